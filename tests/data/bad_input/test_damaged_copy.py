"""The prepared copy is damaged."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqrl.data.cache import entry_folder, look_up, open_prepared
from seqrl.episodes import Array
from tests.data.bad_input.telling import IMPORT, Seqrl, only_good, said
from tests.data.making import layout, write_hdf5


def _cut_file(name: str, keep: int) -> Callable[[Path, Path], None]:
    def damage(entry: Path, columns: Path) -> None:
        place = columns / name
        place.write_bytes(place.read_bytes()[:keep])

    return damage


def _index(text: str | bytes) -> Callable[[Path, Path], None]:
    def damage(entry: Path, columns: Path) -> None:
        place = entry / "episodes.json"
        place.write_bytes(text if isinstance(text, bytes) else text.encode())

    return damage


def _index_with(**changed: Any) -> Callable[[Path, Path], None]:
    def damage(entry: Path, columns: Path) -> None:
        place = entry / "episodes.json"
        place.write_text(json.dumps({**json.loads(place.read_text()), **changed}))

    return damage


def _save(name: str, array: Array) -> Callable[[Path, Path], None]:
    return lambda entry, columns: np.save(columns / name, array)


def _file_for_columns(entry: Path, columns: Path) -> None:
    shutil.rmtree(columns)
    columns.touch()


DAMAGES: dict[str, Callable[[Path, Path], None]] = {
    "a column cut": _cut_file("rewards.npy", 140),
    "a column cut in its header": _cut_file("rewards.npy", 20),
    "a column empty": _cut_file("observations.npy", 0),
    "a column gone": lambda entry, columns: (columns / "actions.npy").unlink(),
    "a column shorter": _save("rewards.npy", np.zeros(9, np.float32)),
    "starts cut": _cut_file("starts.npy", 140),
    "starts empty": _save("starts.npy", np.zeros(0, np.int64)),
    "starts out of order": _save("starts.npy", np.array([0, 9, 3, 15])),
    "starts a single number": _save("starts.npy", np.array(5)),
    "all columns gone": lambda entry, columns: shutil.rmtree(columns),
    "a file for the columns": _file_for_columns,
    "index empty": _index(""),
    "index cut": _index('{"name": "file/mi'),
    "index a list": _index("[1, 2]"),
    "index null": _index("null"),
    "index no text": _index(b"\xff\xfe\x00\x01"),
    "index without a task": _index_with(task=None),
    "index with half a task": _index_with(task={"name": "x", "reference": None}),
    "index with a strange key": _index_with(strange=3),
    "index with no columns": _index_with(columns=3),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_copy_is_told_and_can_be_made_again(
    what: str, tmp_path: Path, seqrl: Seqrl
) -> None:
    """Prevents: a damaged copy that is used, that ends in a traceback, or that cannot be left."""
    file = write_hdf5(tmp_path / "mine.hdf5", layout())
    seqrl("data", "import", file, *IMPORT)
    known = look_up("file/mine")
    assert known
    fingerprint = open_prepared(known).fingerprint
    entry = entry_folder("file/mine")
    DAMAGES[what](entry, entry / known.folder)
    for command in (["info", "file/mine"], ["export", "file/mine", str(tmp_path / "out.hdf5")]):
        ended = seqrl("data", *command)
        said(ended, "file/mine", "is damaged", "seqrl data remove file/mine", "prepare it again")
    assert not (tmp_path / "out.hdf5").exists()
    # Both ways out work: preparing again, and what the message says.
    ended = seqrl("data", "import", file, *IMPORT)
    assert ended.status == 0 and "Traceback" not in ended.err
    only_good(known, fingerprint)
    DAMAGES[what](entry, entry / (look_up("file/mine") or known).folder)
    assert seqrl("data", "remove", "file/mine", "--yes").status == 0
    assert not entry.exists()
    assert seqrl("data", "import", file, *IMPORT).status == 0
    only_good(known, fingerprint)


def test_a_flipped_bit_in_the_copy_is_found_by_check(tmp_path: Path, seqrl: Seqrl) -> None:
    """Prevents: silent rot of the disk behind a name that promises one content."""
    seqrl("data", "import", write_hdf5(tmp_path / "mine.hdf5", layout()), *IMPORT)
    known = look_up("file/mine")
    assert known
    place = entry_folder("file/mine") / known.folder / "rewards.npy"
    whole = bytearray(place.read_bytes())
    whole[-1] ^= 1
    place.write_bytes(whole)
    ended = seqrl("data", "check", "file/mine", "--sample", 5)
    assert ended.status == 1 and "DAMAGED: rewards" in ended.out, ended
    assert "seqrl data remove" in ended.out


def test_list_works_beside_a_damaged_copy(tmp_path: Path, seqrl: Seqrl) -> None:
    """Prevents: one set with missing columns that hides all others from `seqrl data list`."""
    file = write_hdf5(tmp_path / "mine.hdf5", layout())
    for name in ("mine", "other"):
        seqrl("data", "import", file, *IMPORT, "--name", name)
    known = look_up("file/mine")
    assert known
    shutil.rmtree(entry_folder("file/mine") / known.folder)
    ended = seqrl("data", "list")
    assert ended.status == 0 and "file/mine+" in ended.out and "file/other+" in ended.out
