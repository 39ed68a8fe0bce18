"""Files that are whole or not there: written under another name, seen on disk, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def put_whole(target: Path) -> Iterator[Path]:
    """Give a name to write to, with the same ending; what stands there in the end takes the place
    of `target`.

    Whatever goes wrong meanwhile leaves `target` as it was.
    """
    fresh = target.with_name(f".{uuid4().hex[:12]}.{target.name}")
    try:
        yield fresh
        to_disk(fresh)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def replace_file(target: Path, content: str | bytes) -> None:
    """Put `content` in the place of `target`."""
    with put_whole(target) as fresh:
        fresh.write_bytes(content.encode() if isinstance(content, str) else content)


def to_disk(file: Path) -> None:
    """Wait until a file is on disk, and not only on its way there."""
    with file.open("rb") as open_file:
        os.fsync(open_file.fileno())
