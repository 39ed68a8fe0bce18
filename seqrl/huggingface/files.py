"""The files of a published model: in a folder, or on the hub. Imports no torch.

Nothing in such a folder is trusted: a link may not lead out of it, a JSON file may hold anything.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from seqrl.errors import DataError, need_extra, told_plainly

LARGEST_JSON = 16 * 2**20
"""Bytes; a longer config.json or index is not read."""


@dataclass(frozen=True)
class Source:
    """Where a published model lies: a folder, or, if there is none of that name, a hub id."""

    place: str | PathLike[str]

    def find(self, name: str) -> Path | None:
        """Return the file of that name, or None if the model has none."""
        folder = Path(self.place).expanduser()
        if folder.is_dir():
            return _in_folder(folder, name)
        if folder.exists():
            raise DataError(
                f"{folder} is a file, and a folder is needed: the one with config.json and "
                "model.safetensors in it."
            )
        return _on_hub(str(self.place), name)

    def get(self, name: str) -> Path:
        """Return the file of that name; refuse if there is none."""
        file = self.find(name)
        if file is None:
            raise DataError(
                f"{self.place} has no {name}. A published model is a folder with config.json and "
                "model.safetensors (or the older pytorch_model.bin)."
            )
        return file


def _in_folder(folder: Path, name: str) -> Path | None:
    file = folder / name
    with told_plainly(file, "reading a published model"):
        if not file.is_file():
            if file.is_symlink() or file.exists():
                raise DataError(
                    f"{file} is not a file: it is a folder, a device or a link to nothing. Put "
                    "the file itself there."
                )
            return None
        real, home = file.resolve(), folder.resolve()
    allowed = [home]
    if home.parent.name == "snapshots":  # the hub's cache keeps the content beside its snapshots
        allowed.append(home.parent.parent / "blobs")
    if not any(real.is_relative_to(place) for place in allowed):
        raise DataError(
            f"{file} is a link that leads out of its folder, to {real}; a published model must "
            "not name other files of this machine. If it is yours, put the file itself there."
        )
    return file


def _on_hub(place: str, name: str) -> Path | None:
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", place, re.ASCII) is None:
        raise DataError(
            f"There is no folder {place!r}, and it cannot be a hub id either, which looks like "
            "owner/name. Check how it is spelt."
        )
    need_extra("huggingface_hub", "hub", f"Looking on the hub for {place!r} (no folder here)")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(place, name))
    except Exception as error:  # a connection can fail in the words of several packages
        unasked = isinstance(error, LocalEntryNotFoundError)
        if isinstance(error, EntryNotFoundError) and not unasked:
            return None
        problem = error
    raise DataError(
        f"There is no folder {place!r}, and {name} of the hub id {place!r} could not be had: "
        f"{_first_line(problem)} Check the spelling and the connection, or download the model "
        "elsewhere and name its folder."
    ) from problem


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[0] if lines else type(error).__name__
    return said if said.endswith(".") else f"{said}."


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object of finite numbers."""
    with told_plainly(file, "reading a published model"):
        size = file.stat().st_size
        if size > LARGEST_JSON:
            raise DataError(f"{file} is {size:,} bytes long; at most {LARGEST_JSON:,} are read.")
        content = file.read_bytes()
    try:
        plain = json.loads(content)
        bad = next((key for key, number in _numbers(plain, "") if not math.isfinite(number)), None)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{file} is not JSON that can be read ({error}). Get the file again, or repair it."
        ) from error
    if not isinstance(plain, dict):
        raise DataError(
            f"{file} holds a {type(plain).__name__}, and must hold an object: names and values in "
            "braces. Get the file again, or repair it."
        )
    if bad is not None:
        raise DataError(
            f"{file}: {bad} is not a finite number, which JSON does not allow. Repair the file."
        )
    return plain


def _numbers(plain: Any, key: str) -> Iterator[tuple[str, float]]:
    """Walk over all numbers with a point, each with the way to it."""
    if isinstance(plain, float):
        yield key, plain
    elif isinstance(plain, dict | list):
        inner = plain.items() if isinstance(plain, dict) else enumerate(plain)
        for name, value in inner:
            yield from _numbers(value, f"{key}.{name}" if key else str(name))
