"""Scratch folders: removed by whoever made them; what a killed process left is removed by the next
process that makes one."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from seqrl.errors import told_plainly

ATTEMPTS = 20
"""At removing a folder: processes that were killed take a moment to die."""


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder for a while. Its name is short: sockets may lie in it, and their paths are
    limited to some hundred characters. A lock beside it says that its maker lives."""
    place = parent or Path(tempfile.gettempdir())
    folder = place / f"seqrl-{os.getuid()}-{uuid4().hex[:8]}"
    lock = FileLock(_lock_of(folder), mode=0o600)
    with told_plainly(place, "making a folder for a while"):
        _sweep(place)
        lock.acquire()
        folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        _remove(folder, lock)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _sweep(place: Path) -> None:
    """Remove folders whose maker has died."""
    for file in place.glob(f"seqrl-{os.getuid()}-*.lock"):
        lock = FileLock(file)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        _remove(file.with_suffix(""), lock)


def _remove(folder: Path, lock: FileLock) -> None:
    """Remove a folder and its lock; if somebody still writes to it, leave it to the next sweep."""
    for _ in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            _lock_of(folder).unlink(missing_ok=True)
            break
        time.sleep(0.1)
    lock.release()
