"""Scratch folders: removed by whoever made them; what a killed process left is removed by the next
process that makes one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from seqrl.errors import told_plainly

PREFIX = "seqrl-"


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder for a while. Its name is short: sockets may lie in it, and their paths are
    limited to some hundred characters."""
    place = parent or Path(tempfile.gettempdir())
    with told_plainly(place, "making a folder for a while"):
        _sweep(place)
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getuid()}-", dir=place))
        lock = FileLock(folder / ".lock")
        lock.acquire()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _sweep(place: Path) -> None:
    """Remove folders whose maker has died."""
    for folder in place.glob(f"{PREFIX}{os.getuid()}-*"):
        lock = FileLock(folder / ".lock")
        try:
            if not (folder / ".lock").exists():
                continue  # its maker has not come to the lock yet
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
