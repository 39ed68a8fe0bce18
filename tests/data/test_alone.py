"""One process at a time, and a sentence where there is no room for a lock."""

from pathlib import Path

import pytest

from seqrl.data.alone import alone
from seqrl.errors import DataError
from seqrl.progress import silent


def test_a_place_that_cannot_be_locked_is_told_at_once(tmp_path: Path) -> None:
    """Waiting for a lock that can never be made would be waiting for ever."""
    (tmp_path / "file").write_text("no folder")
    with (
        pytest.raises(DataError, match="making a lock"),
        alone(tmp_path / "file" / "x.lock", "playing", silent),
    ):
        raise AssertionError
    with alone(tmp_path / "x.lock", "playing", silent):
        pass
