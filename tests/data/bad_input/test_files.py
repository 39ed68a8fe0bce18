"""Files that are no data files, or not whole."""

import gzip
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from seqrl.data.cache import Prepared, look_up, open_prepared
from tests.data.bad_input.telling import (
    FETCH,
    IMPORT,
    OFFICIAL,
    Maker,
    Seqrl,
    only_good,
    said,
)
from tests.data.making import layout, write_hdf5, write_npz


def _hdf5_bytes(folder: Path, **options: Any) -> bytes:
    file = folder / "whole.hdf5"
    with h5py.File(file, "w") as out:
        for key, column in layout().items():
            out.create_dataset(key, data=column, **options)
    whole = file.read_bytes()
    file.unlink()
    return whole


def _cut(share: float) -> Maker:
    def make(file: Path) -> None:
        whole = _hdf5_bytes(file.parent)
        file.write_bytes(whole[: int(len(whole) * share)])

    return make


def _cut_npz(share: float) -> Maker:
    def make(file: Path) -> None:
        whole = write_npz(file.with_name("whole.npz"), layout()).read_bytes()
        file.write_bytes(whole[: int(len(whole) * share)])

    return make


def _flipped(**options: Any) -> Maker:
    """One byte in the middle of the stored observations is another one."""

    def make(file: Path) -> None:
        whole = bytearray(_hdf5_bytes(file.parent, chunks=True, **options))
        file.write_bytes(whole)
        with h5py.File(file) as opened:
            chunk = opened["observations"].id.get_chunk_info(0)
        whole[chunk.byte_offset + chunk.size // 2] ^= 0xFF
        file.write_bytes(whole)

    return make


def _flipped_npz(file: Path) -> None:
    with file.open("wb") as out:
        np.savez_compressed(out, allow_pickle=False, **layout())
    whole = bytearray(file.read_bytes())
    whole[300:310] = bytes(byte ^ 0xFF for byte in whole[300:310])
    file.write_bytes(whole)


def _bytes(content: bytes) -> Maker:
    return lambda file: file.write_bytes(content)


def _loop(file: Path) -> None:
    file.symlink_to(file)


NO_FILES: dict[str, tuple[Maker, tuple[str, ...]]] = {
    "empty": (lambda f: f.touch(), ("neither HDF5 nor .npz", "is empty", "Expected", FETCH)),
    "html": (_bytes(b"<!DOCTYPE html>\n<html>Log in"), ("web page", "Expected", FETCH)),
    "gzip": (
        _bytes(gzip.compress(b"x" * 100)),
        ("starts with b'\\x1f\\x8b", "Expected", FETCH),
    ),
    "text": (_bytes(b"observations,actions\n1,2\n"), ("starts with b'observat'", FETCH)),
    "only a signature": (_bytes(b"\x89HDF\r\n\x1a\n"), ("cannot be opened", FETCH)),
    "half a signature": (_bytes(b"\x89HDF"), ("neither HDF5 nor .npz", FETCH)),
    "hdf5 cut at 1%": (_cut(0.01), ("cannot be opened", "whole HDF5", FETCH)),
    "hdf5 cut at 50%": (_cut(0.5), ("cannot be opened", "truncated file", FETCH)),
    "hdf5 cut at 99%": (_cut(0.99), ("cannot be opened", "truncated file", FETCH)),
    "hdf5 with a wrong checksum": (_flipped(fletcher32=True), ("damaged", "expected", FETCH)),
    "hdf5 with a broken gzip": (
        _flipped(compression="gzip", fletcher32=True),
        ("damaged", "expected", FETCH),
    ),
    "zip with nothing": (_bytes(b"PK\x03\x04" + b"\0" * 40), ("cannot be opened", FETCH)),
    "npz cut at 10%": (_cut_npz(0.1), ("cannot be opened", "whole HDF5 or .npz", FETCH)),
    "npz cut at 99%": (_cut_npz(0.99), ("cannot be opened", "whole HDF5 or .npz", FETCH)),
    "npz with a broken deflate": (_flipped_npz, ("damaged", "expected", FETCH)),
    "a folder": (lambda f: f.mkdir(), ("Is a directory", "a file is needed", "name the file")),
    "not there": (lambda f: None, ("No such file", "Check how it is spelt")),
    "a link to itself": (_loop, ("levels of symbolic links", "leads back to itself", "remove")),
}


@pytest.mark.parametrize("what", NO_FILES)
def test_a_file_that_is_no_data_file_is_refused(
    what: str, tmp_path: Path, seqrl: Seqrl, good: tuple[Path, Prepared]
) -> None:
    """Prevents: a traceback from h5py, zipfile or zlib where a person's download broke off."""
    make, words = NO_FILES[what]
    file = tmp_path / ("bad.npz" if "npz" in what else "bad.hdf5")
    make(file)
    said(seqrl("data", "import", file, *IMPORT), str(file), *words)


NOT_FOUND_AS_OFFICIAL = {"a folder", "not there", "a link to itself"}


@pytest.mark.parametrize("what", sorted(set(NO_FILES) - NOT_FOUND_AS_OFFICIAL))
@pytest.mark.parametrize("how", ["--data-dir", "$D4RL_DATASET_DIR"])
def test_an_official_file_that_is_none_is_refused(
    what: str, how: str, tmp_path: Path, seqrl: Seqrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a broken official file that replaces the good prepared copy, or a traceback."""
    folder = tmp_path / "official"
    file = write_hdf5(folder / "hopper_full_replay-v2.hdf5", layout())
    if how == "--data-dir":
        options: tuple[object, ...] = (how, folder)
    else:
        monkeypatch.setenv(how[1:], str(folder))
        options = ()
    assert seqrl("data", "info", OFFICIAL, *options).status == 0
    known = look_up(OFFICIAL)
    assert known
    fingerprint = open_prepared(known).fingerprint
    file.unlink()
    make, words = NO_FILES[what]
    make(file)
    said(seqrl("data", "info", OFFICIAL, *options), str(file), *words)
    only_good(known, fingerprint)


@pytest.mark.parametrize("what", sorted(NOT_FOUND_AS_OFFICIAL))
def test_an_official_name_without_a_file_says_how_to_get_it(
    what: str, tmp_path: Path, seqrl: Seqrl
) -> None:
    """Prevents: a folder or a dead link under the file's name that is taken for the file."""
    NO_FILES[what][0](tmp_path / "hopper_full_replay-v2.hdf5")
    ended = seqrl("data", "info", OFFICIAL, "--data-dir", tmp_path)
    said(ended, OFFICIAL, "not on this machine", f"seqrl data fetch {OFFICIAL}")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["hdf5", "npz"])
def test_no_damage_whatever_ends_in_a_traceback(
    kind: str, seed: int, tmp_path: Path, seqrl: Seqrl
) -> None:
    """Prevents: one of the dozen exceptions that h5py, zipfile and numpy raise at random damage."""
    generator = np.random.default_rng(seed)
    file = tmp_path / f"mine.{kind}"
    whole = (write_hdf5 if kind == "hdf5" else write_npz)(file, layout()).read_bytes()
    refused = 0
    for _ in range(40):
        damaged = bytearray(whole)
        # Headers, not payload: a flipped bit of a number is a number.
        places = generator.integers(8, 2500 if kind == "hdf5" else len(whole), 12)
        for place in places:
            damaged[place] = generator.integers(256)
        file.write_bytes(damaged)
        ended = seqrl("data", "import", file, *IMPORT, "--replace")
        assert ended.status in (0, 2), ended
        if ended.status:
            said(ended, str(file))
            refused += 1
    assert refused > 10
