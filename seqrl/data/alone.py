"""One process at a time: whoever comes second waits, and says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from seqrl.errors import told_plainly
from seqrl.progress import Progress


@contextmanager
def alone(file: Path, waiting_for: str, progress: Progress) -> Iterator[None]:
    """Hold a lock. The system releases it when the process dies, however it dies."""
    with told_plainly(file, "making a lock"):
        file.open("a").close()  # the lock itself would wait for a place that cannot be written
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(f"another process is {waiting_for}: waiting for it", 0, 0, "")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
