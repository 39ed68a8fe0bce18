"""Files that are whole or not there: written under another name, seen on disk, then renamed."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from seqrl.errors import DataError, told_plainly


@contextmanager
def put_whole(target: Path) -> Iterator[Path]:
    """Give a name to write to, with the same ending; what stands there in the end takes the place
    of `target`, or of what it links to, and its permissions.

    Whatever goes wrong meanwhile leaves `target` as it was; so do pipes and devices, which are
    refused.
    """
    mode = _mode_of(target)
    place = Path(os.path.realpath(target))
    fresh = place.with_name(f".{uuid4().hex[:12]}.{place.name}")
    try:
        yield fresh
        if mode is not None:
            fresh.chmod(mode)
        to_disk(fresh)
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)


def _mode_of(target: Path) -> int | None:
    """Return the permissions of the file that stands there; nothing of one that does not."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # of a folder, renaming complains
        raise DataError(
            f"{target} is no regular file but a pipe or a device, and nothing takes its place. "
            "Name a file."
        )
    return stat.S_IMODE(mode)


def replace_file(target: Path, content: str | bytes) -> None:
    """Put `content` in the place of `target`."""
    with put_whole(target) as fresh:
        fresh.write_bytes(content.encode() if isinstance(content, str) else content)


def to_disk(file: Path) -> None:
    """Wait until a file is on disk, and not only on its way there."""
    with file.open("rb") as open_file:
        os.fsync(open_file.fileno())


def whole_lines(file: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines up to the first that was cut off; one that is not there has none.

    Such files grow line by line, and a kill may leave half a line at their end.
    """
    found = []
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def json_lines(lines: list[dict[str, Any]]) -> str:
    """Return what `whole_lines` reads."""
    return "".join(json.dumps(line) + "\n" for line in lines)


def sha256_of(file: Path) -> str:
    """Hash a file, in pieces."""
    with told_plainly(file, "reading"), file.open("rb") as bytes_:
        return hashlib.file_digest(bytes_, "sha256").hexdigest()
