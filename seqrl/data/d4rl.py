"""The official D4RL files: found on this machine or downloaded, checked against what is published
of them."""

import os
from pathlib import Path

from seqrl.data.cache import Origin, Prepared, home, open_prepared
from seqrl.data.download import fetch
from seqrl.data.layout import (
    KEYS,
    read_layout,
    stamp_of,
    state_parts_of,
    what_is_wrong,
)
from seqrl.data.whole import sha256_of
from seqrl.errors import DataError, told_plainly
from seqrl.progress import Progress, silent
from seqrl.tasks.d4rl import Entry, Facts


class NotOfficial(DataError):
    """A file bears an official name, and its content is not what is published under it."""


UNVERIFIED = "file with an official name, UNVERIFIED: nothing is published of its content"
"""What is said of a set whose content cannot be compared with anything."""


def folders(data_dir: Path | None = None) -> list[Path]:
    """Where official files are looked for, in this order."""
    named = os.environ.get("D4RL_DATASET_DIR")
    return [
        *([data_dir.expanduser()] if data_dir else []),
        *([Path(named).expanduser()] if named else []),
        Path("~/.d4rl/datasets").expanduser(),
        home() / "files",
    ]


def find_file(entry: Entry, data_dir: Path | None = None) -> Path | None:
    """Return the official file if this machine has it."""
    name = entry.file.rpartition("/")[2]
    if data_dir is not None:
        with told_plainly(data_dir, "looking for official files"):
            if not data_dir.expanduser().is_dir():
                raise DataError(
                    f"--data-dir {data_dir} is not a folder. Name the folder that holds {name}."
                )
    for folder in folders(data_dir):
        with told_plainly(folder, "looking for official files"):
            if (folder / name).is_file():
                return folder / name
    return None


def download(entry: Entry, progress: Progress = silent, mirror: str | None = None) -> Path:
    """Fetch the official file; `mirror` is the address of another folder of the same files."""
    name = entry.file.rpartition("/")[2]
    if mirror is not None and not mirror.startswith(("http://", "https://")):
        raise DataError(
            f"--mirror {mirror}: expected is an address that begins with http:// or https://. A "
            "folder of this machine is named with --data-dir."
        )
    urls = [f"{mirror.rstrip('/')}/{name}"] if mirror else entry.urls
    return fetch(urls, home() / "files" / name, what_is_wrong=what_is_wrong, progress=progress)


def origin(entry: Entry, file: Path) -> Origin:
    """Describe the data set in an official file."""
    return Origin(
        task=entry.task,
        read=lambda scratch, progress: read_layout(
            file, entry.task, data_width=entry.data_width, progress=progress
        ),
        stamp=stamp_of(file),
        provenance=lambda: {
            "kind": "official file" if entry.facts else UNVERIFIED,
            "file": file.name,
            "sha256": sha256_of(file),
        },
        accept=lambda prepared: _accepted(entry, file, prepared),
        state_parts=state_parts_of(file),
        bytes_needed=file.stat().st_size,
        source=str(file),
        keys=KEYS,
    )


def _accepted(entry: Entry, file: Path, prepared: Prepared) -> str:
    """Refuse a file whose content is not that of the set whose name it bears."""
    if entry.facts and (wrong := differences(entry.facts, prepared)):
        raise NotOfficial(
            f"{file} is not the official {entry.task.name}: {'; '.join(wrong)}. If it is data of "
            f"your own, import it under another name: `seqrl data import {file} --name NAME "
            f"--environment {entry.task.environment}`; else delete it and fetch it again."
        )
    return entry.task.name


def differences(facts: Facts, prepared: Prepared) -> list[str]:
    """Compare prepared content with published facts; a line for each that differs."""
    returns = open_prepared(prepared).returns
    # Published with one decimal, so half of the last digit is all they may be off, and a
    # float32 sum.
    found: dict[str, tuple[float, float | None, float]] = {
        "episodes": (prepared.episodes, facts.episodes, 0.0),
        "steps": (prepared.steps, facts.steps, 0.0),
        "mean return": (float(returns.mean()), facts.mean, 0.06),
        "return deviation": (float(returns.std()), facts.deviation, 0.06),
        "lowest return": (float(returns.min()), facts.minimum, 0.06),
        "highest return": (float(returns.max()), facts.maximum, 0.06),
    }
    return [
        f"{what} {got:,.10g}, published {published:,.10g}"
        for what, (got, published, room) in found.items()
        if published is not None and abs(got - published) > room
    ]
