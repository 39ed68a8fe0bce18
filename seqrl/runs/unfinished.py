"""Unfinished work: what runs that did not end have left below a results folder, to go on with."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG

from seqrl.errors import told_plainly

NAME = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """Runs that were begun, and are under way or have been ended from outside."""

    folder: Path
    hashes: tuple[str, ...]
    """The first 16 letters of each run's hash."""
    bytes: int
    touched: str
    """When anything of it was last written, in UTC."""


def unfinished(results: Path) -> Unfinished | None:
    """Measure it; nothing if there is none."""
    work = results / ".work"
    if not work.is_dir():
        return None
    with told_plainly(work, "looking for unfinished work"):
        folders = [one for one in sorted(work.iterdir()) if NAME.fullmatch(one.name)]
    found = [known for folder in folders for known in _all_of(folder)]
    if not found:
        return None
    last = max(known.st_mtime for known in found)
    return Unfinished(
        folder=work,
        hashes=tuple(folder.name for folder in folders),
        bytes=sum(known.st_size for known in found if S_ISREG(known.st_mode)),
        touched=datetime.fromtimestamp(last, UTC).isoformat(timespec="seconds"),
    )


def _all_of(folder: Path) -> Iterator[os.stat_result]:
    """Look at a folder and all in it; what goes meanwhile, as its run goes on, has gone."""
    for place, _, names in os.walk(folder):
        for file in (Path(place), *(Path(place, name) for name in names)):
            with suppress(FileNotFoundError):
                yield file.stat()
