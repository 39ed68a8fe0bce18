"""A good set, which nothing bad may spoil."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from seqrl.data.cache import Prepared, look_up, open_prepared
from tests.data.bad_input.telling import IMPORT, Seqrl, only_good
from tests.data.making import layout, write_hdf5


@pytest.fixture
def good(tmp_path: Path, seqrl: Seqrl) -> Iterator[tuple[Path, Prepared]]:
    """A good file, imported; after the test the prepared copy must be what it was."""
    file = write_hdf5(tmp_path / "good" / "mine.hdf5", layout())
    assert seqrl("data", "import", file, *IMPORT).status == 0
    known = look_up("file/mine")
    assert known is not None
    fingerprint = open_prepared(known).fingerprint
    yield file, known
    only_good(known, fingerprint)
