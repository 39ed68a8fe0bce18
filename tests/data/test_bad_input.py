"""Whatever is wrong with what people bring: a sentence that helps, status 2, nothing is lost."""

import gzip
import json
import os
import pickle
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import h5py
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from seqrl.data.cache import Prepared, entry_folder, look_up, open_prepared, verify
from seqrl.episodes import Array
from seqrl.tasks.d4rl import ENTRIES, Facts
from tests.conftest import Ended
from tests.data.making import layout, write_hdf5, write_npz

Seqrl = Callable[..., Ended]
Columns = dict[str, Any]
Maker = Callable[[Path], object]

IMPORT = ("--name", "mine", "--environment", "Hopper-v4")
OFFICIAL = "d4rl/hopper-full-replay-v2"
"""An official set of which no content is published, so that made-up data can stand for it."""

STEPS = 15

PROGRESS = re.compile(r"^(preparing|reading|writing|downloading) .* (steps|columns|MB)$")


def said(ended: Ended, *words: str) -> None:
    """Status 2, one or two lines, no traceback, and every one of `words`."""
    assert ended.status == 2, ended
    assert "Traceback" not in ended.err + ended.out
    message = [line for line in ended.err.splitlines() if not PROGRESS.match(line)]
    assert 1 <= len(message) <= 2, ended.err
    assert message[0].startswith("seqrl: ")
    for word in words:
        assert word in ended.err, f"{word!r} is not in {ended.err!r}"


def only_good(known: Prepared | None, fingerprint: str) -> None:
    """Assert that a prepared set is what it was, to the bit, and nothing half stands beside it."""
    assert known is not None
    again = look_up(known.name.partition("+")[0])
    assert again is not None
    assert open_prepared(again).fingerprint == fingerprint
    assert verify(again) == []
    folder = entry_folder(again.name)
    assert [place.name for place in folder.glob("columns-*")] == [again.folder]
    assert nothing_half(folder)


def nothing_half(folder: Path) -> bool:
    """Say whether a folder of prepared data has nothing but what belongs there."""
    allowed = {"episodes.json", ".lock", "unfinished"}
    return all(p.name in allowed or p.name.startswith("columns-") for p in folder.glob("*"))


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


# ---- files that are no data files, or not whole --------------------------------------------------


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


FETCH = "fetch or copy it again"
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


# ---- files with the wrong things in them ---------------------------------------------------------


def _with(**changed: Any) -> Columns:
    return {**layout(), **changed}


def _without(*keys: str) -> Columns:
    return {key: column for key, column in layout().items() if key not in keys}


def _spoilt(key: str, value: float, dtype: Any = np.float32) -> Columns:
    """One entry of a column is `value`, at step 9."""
    column = layout()[key].astype(dtype)
    column.reshape(STEPS, -1)[9, -1] = value
    return _with(**{key: column})


def _longer(key: str) -> Columns:
    column = layout()[key]
    return _with(**{key: np.concatenate([column, column[:1]])})


POSES = {"infos/qpos": np.zeros((STEPS, 6)), "infos/qvel": np.zeros((STEPS, 6))}

WRONG: dict[str, tuple[Columns, tuple[str, ...]]] = {
    **{
        f"no {key}": (_without(key), (f"no `{key}`", "D4RL's layout needs", "Add what is missing"))
        for key in ("observations", "actions", "rewards", "terminals")
    },
    "nothing but a stray key": (
        {"foo": np.zeros(3)},
        ("no `observations` and no `actions`", "Add what is missing"),
    ),
    **{
        f"{key} one step longer": (
            _longer(key),
            ("unequal lengths", f"`{key}` 16", "one entry a step", "copy it again"),
        )
        for key in layout()
    },
    "poses of another length": (
        _with(**{**POSES, "infos/qvel": np.zeros((3, 6))}),
        ("unequal lengths", "`infos/qvel` 3", "one entry a step"),
    ),
    "poses in one dimension": (
        _with(**{**POSES, "infos/qpos": np.zeros(STEPS)}),
        ("`infos/qpos` has the shape (15,)", "[steps, width]", "leave"),
    ),
    "observations too wide": (
        _with(observations=np.zeros((STEPS, 17), np.float32)),
        ("`observations` has the shape (15, 17)", "[steps, 11]", "right file"),
    ),
    "next_observations too narrow": (
        _with(next_observations=np.zeros((STEPS, 10), np.float32)),
        ("`next_observations` has the shape (15, 10)", "[steps, 11]", "right file"),
    ),
    "observations in three dimensions": (
        _with(observations=np.zeros((STEPS, 11, 1), np.float32)),
        ("`observations` has the shape (15, 11, 1)", "[steps, 11]"),
    ),
    "actions too wide": (
        _with(actions=np.zeros((STEPS, 6), np.float32)),
        ("`actions` have the shape (15, 6)", "[steps, 3], as Hopper-v4", "run the command again"),
    ),
    "actions in one dimension": (
        _with(actions=np.zeros(STEPS, np.float32)),
        ("`actions` have the shape (15,)", "[steps, 3]", "run the command again"),
    ),
    "rewards in two dimensions": (
        _with(rewards=np.zeros((STEPS, 2), np.float32)),
        ("`rewards` have the shape (15, 2)", "[steps]", "run the command again"),
    ),
    "terminals in two dimensions": (
        _with(terminals=np.zeros((STEPS, 2), bool)),
        ("`terminals` has the shape (15, 2)", "[steps]", "run the command again"),
    ),
    "timeouts in two dimensions": (
        _with(timeouts=np.zeros((STEPS, 3), bool)),
        ("`timeouts` has the shape (15, 3)", "[steps]", "run the command again"),
    ),
    **{
        f"a single value as {key}": (
            _with(**{key: 3.0}),
            (f"`{key}` is a group or a single value", "one entry a step", "run the command again"),
        )
        for key in layout()
    },
    "text as actions": (
        _with(actions=np.full((STEPS, 3), b"left")),
        ("`actions` is of type |S4", "expected are numbers", "run the command again"),
    ),
    **{
        f"complex {key}": (
            _with(**{key: layout()[key].astype(np.complex64)}),
            (f"`{key}` is of type complex64", "expected are numbers", "run the command again"),
        )
        for key in ("observations", "terminals", "timeouts")
    },
    "rewards that are true or false": (
        _with(rewards=np.ones(STEPS, bool)),
        ("`rewards` are of type bool", "expected are numbers", "run the command again"),
    ),
    "terminals of 2": (
        _with(terminals=layout()["terminals"] * 2),
        ("`terminals` hold other values than 0 and 1", "true or false", "run the command again"),
    ),
    "terminals of one half": (
        _with(terminals=layout()["terminals"] * 0.5),
        ("`terminals` hold other values than 0 and 1", "true or false"),
    ),
    "timeouts that are not a number": (
        _with(timeouts=np.where(layout()["timeouts"], np.nan, 0)),
        ("`timeouts` hold other values than 0 and 1", "true or false"),
    ),
    **{
        f"{value} in {key}": (
            _spoilt(key, value),
            (f"`{key}` hold {value} at step 9", "finite numbers only", "run the command again"),
        )
        for key in ("observations", "actions", "rewards", "next_observations")
        for value in (np.nan, np.inf, -np.inf)
    },
    **{
        f"1e39 in {key}": (
            _spoilt(key, 1e39, np.float64),
            (f"`{key}` reach 1e+39", "float32 numbers", "run the command again"),
        )
        for key in ("observations", "actions", "rewards", "next_observations")
    },
    "nan in poses": (
        _with(**{**POSES, "infos/qvel": np.full((STEPS, 6), np.nan)}),
        ("`infos/qpos, infos/qvel` hold nan at step 0", "finite numbers only"),
    ),
    "nan in log probabilities": (
        _with(**{"infos/action_log_probs": np.full(STEPS, np.nan)}),
        ("`infos/action_log_probs` hold nan at step 0", "finite numbers only"),
    ),
    "no finished episode": (
        _with(terminals=np.zeros(STEPS, bool), timeouts=np.zeros(STEPS, bool)),
        ("No finished episode in 15 steps", "neither `terminals` nor `timeouts`", "Mark the last"),
    ),
    "no finished episode and no timeouts": (
        {**_without("timeouts"), "terminals": np.zeros(STEPS, bool)},
        ("No finished episode in 15 steps", "Mark the last"),
    ),
    "no steps": (
        {key: column[:0] for key, column in layout().items()},
        ("no steps at all", "at least one finished episode", "right file"),
    ),
}


@pytest.mark.parametrize("kind", ["hdf5", "npz"])
@pytest.mark.parametrize("what", WRONG)
def test_a_file_with_wrong_content_is_refused(
    what: str, kind: str, tmp_path: Path, seqrl: Seqrl, good: tuple[Path, Prepared]
) -> None:
    """Prevents: wrong numbers that reach training, or an error that does not name file and key."""
    columns, words = WRONG[what]
    file = (write_hdf5 if kind == "hdf5" else write_npz)(tmp_path / f"bad.{kind}", columns)
    said(seqrl("data", "import", file, *IMPORT), str(file), *words)


@pytest.mark.parametrize("what", ["nan in rewards", "actions too wide", "no finished episode"])
def test_an_official_file_with_wrong_content_leaves_nothing_half(
    what: str, tmp_path: Path, seqrl: Seqrl
) -> None:
    """Prevents: an entry that a failed preparation leaves, later taken for prepared data."""
    columns, words = WRONG[what]
    file = write_hdf5(tmp_path / "hopper_medium-v2.hdf5", columns)
    ended = seqrl("data", "info", "d4rl/hopper-medium-v2", "--data-dir", tmp_path)
    said(ended, str(file), *words)
    assert look_up("d4rl/hopper-medium-v2") is None
    assert not list(entry_folder("d4rl/hopper-medium-v2").glob("columns-*"))


def test_a_group_where_an_array_should_be_is_refused(
    tmp_path: Path, seqrl: Seqrl, good: tuple[Path, Prepared]
) -> None:
    """Prevents: the nested layout of other libraries, taken for D4RL's, and a TypeError."""
    for key in layout():
        file = write_hdf5(tmp_path / "bad.hdf5", _without(key))
        with h5py.File(file, "a") as out:
            out.create_group(key)["part"] = np.zeros(STEPS)
        ended = seqrl("data", "import", file, *IMPORT)
        said(ended, str(file), f"`{key}` is a group", "one entry a step", "run the command again")


def test_text_of_any_length_and_a_dangling_link_are_refused(
    tmp_path: Path, seqrl: Seqrl, good: tuple[Path, Prepared]
) -> None:
    """Prevents: HDF5's own objects (text of any length, links to nowhere) that pass as columns."""
    file = write_hdf5(tmp_path / "bad.hdf5", _without("actions", "rewards"))
    with h5py.File(file, "a") as out:
        out["actions"] = h5py.SoftLink("/nowhere")
        out.create_dataset("rewards", data=["one"] * STEPS)
    said(seqrl("data", "import", file, *IMPORT), str(file), "damaged", "component not found", FETCH)
    with h5py.File(file, "a") as out:
        del out["actions"]
        out["actions"] = layout()["actions"]
    said(seqrl("data", "import", file, *IMPORT), "`rewards` is of type object", "numbers")


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        """Remember where."""
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        """Give pickle something to run."""
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("key", ["observations", "terminals", "timeouts", "infos/qpos"])
def test_nothing_is_ever_unpickled(
    key: str, tmp_path: Path, seqrl: Seqrl, good: tuple[Path, Prepared]
) -> None:
    """Prevents: a downloaded .npz that runs somebody else's code."""
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists(), "the bomb works"
    mark.unlink()
    bombs = np.array([Bomb(mark)] * STEPS, object)
    file = write_npz(tmp_path / "bad.npz", {**_with(**POSES), key: bombs})
    ended = seqrl("data", "import", file, *IMPORT)
    said(ended, str(file), f"`{key}` holds pickled Python objects", "expected are numbers")
    assert not mark.exists()


def test_a_pickle_under_the_name_of_a_prepared_column_is_not_read(
    tmp_path: Path, seqrl: Seqrl
) -> None:
    """Prevents: code that runs because somebody put a pickle into the shared cache."""
    file = write_hdf5(tmp_path / "mine.hdf5", layout())
    seqrl("data", "import", file, *IMPORT)
    known = look_up("file/mine")
    assert known
    mark = tmp_path / "mark"
    for column in ("rewards", "starts"):
        target = entry_folder("file/mine") / known.folder / f"{column}.npy"
        whole = target.read_bytes()
        with target.open("wb") as out:
            np.save(out, np.array([Bomb(mark)] * STEPS, object), allow_pickle=True)
        ended = seqrl("data", "info", "file/mine")
        said(ended, known.name, "is damaged", "seqrl data remove", "prepare it again")
        assert not mark.exists()
        target.write_bytes(whole)


def test_a_file_that_another_program_writes_is_not_said_to_be_broken(
    tmp_path: Path, seqrl: Seqrl
) -> None:
    """Prevents: the advice to delete a file on which somebody's collection is still at work."""
    file = write_hdf5(tmp_path / "busy.hdf5", layout())
    script = "import h5py, sys; f = h5py.File(sys.argv[1], 'a'); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "HDF5_USE_FILE_LOCKING": "TRUE"},
    ) as writer:
        assert writer.stdout and writer.stdout.readline() == b"open\n"
        ended = seqrl("data", "import", file, *IMPORT)
        writer.communicate(b"\n")
    said(ended, str(file), "open for writing in another program", "Wait")
    assert "elete" not in ended.err


def test_an_official_file_whose_content_is_another_is_refused(tmp_path: Path, seqrl: Seqrl) -> None:
    """Prevents: a renamed or re-collected file that passes for the official one in a table."""
    file = write_hdf5(tmp_path / "hopper_medium-v2.hdf5", layout())
    ended = seqrl("data", "info", "d4rl/hopper-medium-v2", "--data-dir", tmp_path)
    said(ended, f"{file} is not the official d4rl/hopper-medium-v2", "episodes 3, published 2,186")
    said(ended, "seqrl data import", "fetch it again")
    assert look_up("d4rl/hopper-medium-v2") is None


@pytest.mark.parametrize(
    "fact", ["episodes", "steps", "mean", "deviation", "minimum", "maximum", "none"]
)
def test_every_published_fact_is_compared(
    fact: str, tmp_path: Path, seqrl: Seqrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a fact that is listed and never looked at."""
    columns = layout()
    ends = np.flatnonzero(columns["terminals"] | columns["timeouts"]) + 1
    pieces = np.split(columns["rewards"].astype(np.float64), ends[:-1])
    returns = np.array([piece.sum() for piece in pieces])
    true = {
        "episodes": 3,
        "steps": STEPS,
        "mean": returns.mean(),
        "deviation": returns.std(),
        "minimum": returns.min(),
        "maximum": returns.max(),
    }
    if fact != "none":
        true[fact] += 1
    entry = ENTRIES[OFFICIAL]
    changed = type(entry)(
        task=entry.task, file=entry.file, data_width=entry.data_width, facts=Facts(**true)
    )
    monkeypatch.setitem(ENTRIES, OFFICIAL, changed)
    write_hdf5(tmp_path / "hopper_full_replay-v2.hdf5", columns)
    ended = seqrl("data", "info", OFFICIAL, "--data-dir", tmp_path)
    if fact == "none":
        assert ended.status == 0, ended
    else:
        said(ended, "hopper_full_replay-v2.hdf5 is not the official", "published", "fetch it again")
        assert ended.err.count(", published ") == 1


# ---- wrong words on the command line -------------------------------------------------------------

WORDS: dict[str, tuple[tuple[object, ...], tuple[str, ...]]] = {
    "unknown environment": (
        ("--environment", "Hoper-v4"),
        ("'Hoper-v4' could not be made", "module:Id"),
    ),
    "environment of a module that is missing": (
        ("--environment", "no_such_module:Thing-v0"),
        ("'no_such_module:Thing-v0' could not be made", "No module named", "module:Id"),
    ),
    "empty environment": (("--environment", ""), ("'' could not be made", "module:Id")),
    "discrete actions": (
        ("--environment", "CartPole-v1"),
        ("CartPole-v1", "Discrete(2)", "one row of numbers"),
    ),
    "wider environment": (
        ("--environment", "HalfCheetah-v4"),
        ("`observations` has the shape (15, 11)", "[steps, 17]"),
    ),
    "no time limit": (
        ("--environment", "Endless-v0"),
        ("Endless-v0 has no time limit", "--horizon"),
    ),
    "horizon 0": (("--horizon", 0), ("--horizon must be at least 1, not 0",)),
    "horizon below 0": (("--horizon", -3), ("--horizon must be at least 1, not -3",)),
    "reference upside down": (
        ("--reference", 10, 3),
        ("minimum (10.0)", "must be below the maximum (3.0)"),
    ),
    "reference without span": (("--reference", 3, 3), ("must be below the maximum",)),
    "reference nan": (("--reference", "nan", 3), ("must be finite numbers", "nan")),
    "reference inf": (("--reference", 0, "inf"), ("must be finite numbers", "inf")),
    **{
        f"name {name!r}": (("--name", name), (name, "letters, digits"))
        for name in ("a/b", "..", ".hidden", "a+b", "a@v5", "a b", "", "a*", "ä")
    },
    "name too long": (("--name", "a" * 300), ("File name too long", "shorter name")),
}


class Endless(gymnasium.Env[Array, Array]):
    """An environment that nobody ends."""

    observation_space = gymnasium.spaces.Box(-1, 1, (11,))
    action_space = gymnasium.spaces.Box(-1, 1, (3,))


@pytest.mark.parametrize("what", WORDS)
def test_a_wrong_word_of_import_is_refused(
    what: str, seqrl: Seqrl, good: tuple[Path, Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: data under a name, an environment or a scale that nobody can use later."""
    spec = EnvSpec("Endless-v0", entry_point="tests.data.test_bad_input:Endless")
    monkeypatch.setitem(gymnasium.registry, "Endless-v0", spec)
    options, words = WORDS[what]
    said(seqrl("data", "import", good[0], *IMPORT, *options), *words)


def test_an_environment_of_ones_own_is_imported_by_its_module(
    tmp_path: Path, seqrl: Seqrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: the advice `module:Id` of these errors, which nobody could follow."""
    (tmp_path / "own_environment.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('Own-v0', 'tests.data.test_bad_input:Endless', max_episode_steps=9)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    file = write_hdf5(tmp_path / "mine.hdf5", layout())
    words = ("--name", "mine", "--environment", "own_environment:Own-v0")
    ended = seqrl("data", "import", file, *words)
    gymnasium.registry.pop("Own-v0")
    assert ended.status == 0, ended
    known = look_up("file/mine")
    assert known and known.task.horizon == 9


def _episode(**changed: Any) -> dict[str, Any]:
    columns = layout((4,))
    return {
        "observations": columns["observations"],
        "actions": columns["actions"],
        "rewards": columns["rewards"],
        "terminated": True,
        **changed,
    }


GIVEN: dict[str, tuple[Any, tuple[str, ...]]] = {
    "nothing": (None, ("returned NoneType", "iterable of episodes", "yield")),
    "a number": (7, ("returned int", "iterable of episodes")),
    "no mappings": ([3], ("Episode 0", "not a mapping with observations", "3")),
    "half a mapping": (
        [{"rewards": [1.0], 3: 4}],
        ("Episode 0", "mapping with observations", "rewards, 3", "run the command again"),
    ),
    "no episodes": ([], ("no steps at all", "at least one finished episode")),
    "an episode without steps": (
        [_episode(), _episode(rewards=[])],
        ("Episode 1", "no steps", "Leave such episodes out"),
    ),
    "a reward that is one number": ([_episode(rewards=3.0)], ("Episode 0", "has no steps")),
    "ragged actions": (
        [_episode(actions=[[1, 2], [3]])],
        ("Episode 0", "`actions` is no array", "rows of equal width"),
    ),
    "the last observation too": (
        [_episode(observations=np.zeros((5, 11)))],
        ("Episode 0", "`rewards` has 4 entries", "(5, 11)", "next_observations"),
    ),
    "terminated at every step": (
        [_episode(terminated=[False, False, False, True])],
        ("Episode 0", "`terminated` is [False", "once for the whole episode"),
    ),
    "terminated in words": (
        [_episode(terminated="no")],
        ("Episode 0", "`terminated` is no", "true or false"),
    ),
    "timed out in words": (
        [_episode(timed_out="maybe")],
        ("Episode 0", "`timed_out` is maybe", "true or false"),
    ),
    "a column now and then": (
        [_episode(), _episode(next_observations=np.zeros((4, 11)))],
        ("`next_observations` is present in some episodes only", "in every episode"),
    ),
    "actions too wide": (
        [_episode(actions=np.zeros((4, 6)))],
        ("`actions` have the shape (4, 6)", "[steps, 3]"),
    ),
    "text": ([_episode(rewards=["much"] * 4)], ("`rewards` are of type <U4", "numbers")),
    "nan": ([_episode(rewards=[1, np.nan, 1, 1])], ("`rewards` hold nan at step 1", "finite")),
}


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An importable module `somebodys` whose function gives what the test puts in."""
    module = ModuleType("somebodys")
    monkeypatch.setitem(sys.modules, "somebodys", module)
    return module


@pytest.mark.parametrize("what", GIVEN)
def test_a_function_that_gives_something_else_is_told(
    what: str, seqrl: Seqrl, good: tuple[Path, Prepared], own_module: Any
) -> None:
    """Prevents: numpy's errors, without a word about which episode of whose function."""
    given, words = GIVEN[what]
    own_module.episodes = lambda: given
    said(seqrl("data", "import", "somebodys:episodes", *IMPORT), "somebodys:episodes", *words)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("no_such_module:f", "No module named 'no_such_module'"),
        ("somebodys:nothing", "no attribute 'nothing'"),
        ("somebodys:", "no attribute"),
        (":f", "Empty module name"),
        (".relative:f", "relative import"),
        ("somebodys:number", "is a int"),
    ],
)
def test_a_function_that_is_none_is_told(
    source: str, word: str, seqrl: Seqrl, good: tuple[Path, Prepared], own_module: Any
) -> None:
    """Prevents: a traceback of Python's import machinery for a slip of the pen."""
    own_module.number = 7
    said(seqrl("data", "import", source, *IMPORT), source, word, "module:function")


def test_a_functions_own_exception_keeps_its_traceback_and_loses_nothing(
    seqrl: Seqrl, good: tuple[Path, Prepared], own_module: Any
) -> None:
    """Prevents: hiding where in the user's own code the mistake is; and a half-written copy."""

    def episodes() -> Iterator[Mapping[str, Any]]:
        yield _episode()
        raise ZeroDivisionError("in the user's own code")

    own_module.episodes = episodes
    with pytest.raises(ZeroDivisionError, match="own code"):
        seqrl("data", "import", "somebodys:episodes", *IMPORT)


MISSING = ("file/other", "seqrl/hopper-meddium-v1", "d4rl/hoper-medium-v2", "hoper-medium")
VERBS: dict[str, tuple[object, ...]] = {
    "info": (),
    "check": (),
    "export": ("out.hdf5",),
    "remove": ("--yes",),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", [*MISSING, "what/is-this", "file/../mine", "hopper+x+y", "d4rl/"])
def test_a_name_that_does_not_exist_is_told(
    verb: str, name: str, seqrl: Seqrl, good: tuple[Path, Prepared]
) -> None:
    """Prevents: a traceback, or a verb that does something to another set than the named one."""
    said(seqrl("data", verb, name, *VERBS[verb]), name.partition("/")[2] or name)


@pytest.mark.parametrize("verb", ["build", "fetch"])
@pytest.mark.parametrize("name", [*MISSING, "what/is-this"])
def test_a_name_that_cannot_be_made_or_fetched_is_told(
    verb: str, name: str, seqrl: Seqrl, good: tuple[Path, Prepared]
) -> None:
    """Prevents: an hour of work, or a download, for a name that was misspelt."""
    said(seqrl("data", verb, name), name.partition("/")[2])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("remove", "file/mine"), ("file/mine", "add --yes")),
        (("export", "file/mine", "mine.csv"), ("mine.csv ends in '.csv'", ".hdf5 or .npz")),
        (("export", "file/mine", "mine"), ("mine ends in 'nothing'", ".hdf5 or .npz")),
        (("export", "file/mine", "no/such/out.hdf5"), ("No such file", "folder around it")),
        (("export", "file/mine", "no/such/out.npz"), ("No such file", "folder around it")),
        (("export", "file/mine", "out.hdf5", "--states"), ("no simulator states", "--states away")),
        (("export", "file/mine", "out.npz", "--states"), ("no simulator states", "--states away")),
        (("check", "file/mine", "--sample", 0), ("--sample must be at least 1, not 0",)),
        (("check", "file/mine", "--sample", -1), ("--sample must be at least 1, not -1",)),
        (("build", "hopper-medium", "--processes", 0), ("--processes must be at least 1, not 0",)),
        (("build", "hopper-medium", "--processes", -2), ("--processes must be at least 1",)),
        (("info", "hopper-medium", "--data-dir", "nowhere"), ("nowhere is not a folder",)),
        (("info", "file/mine", "--data", "d4rl"), ("--data d4rl asks for others",)),
        (("info", "file/mine+12345678"), ("another content", "not +12345678")),
        (("info", "hopper-medium@v9"), ("not on this machine",)),
        (("fetch", "hopper-medium", "--reference", 0, 1), ("--reference is for Minari sets",)),
        (("fetch", "hopper-medium", "--mirror", "/mnt/d4rl"), ("/mnt/d4rl", "http://")),
        (("fetch", "hopper-medium", "--mirror", "http://[::1"), ("no usable address", "--data")),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_a_wrong_use_of_a_verb_is_told(
    command: tuple[object, ...],
    words: tuple[str, ...],
    seqrl: Seqrl,
    good: tuple[Path, Prepared],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prevents: a slip that deletes, overwrites, or ends in a traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", (tmp_path / "good" / "mine.hdf5").open("rb"))
    before = {*tmp_path.glob("*")}
    said(seqrl("data", *command), *words)
    assert {*tmp_path.glob("*")} - before <= {tmp_path / "home"}
    sys.stdin.close()


# ---- the machine refuses -------------------------------------------------------------------------


@contextmanager
def powerless() -> Iterator[None]:
    """Be nobody for a while: root may read and write everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_home(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home into which everybody may walk; pytest's own folders are shut."""
    top = Path(tempfile.mkdtemp(prefix="seqrl-test-"))
    top.chmod(0o755)
    folder = top / "home"
    monkeypatch.setenv("SEQRL_HOME", str(folder))
    folder.mkdir()
    return folder


@pytest.fixture
def shut(open_home: Path) -> Iterator[Callable[[Path, int], None]]:
    """Change permissions, and give them back in the end so that everything can be removed."""
    changed: list[tuple[Path, int]] = []

    def change(place: Path, mode: int) -> None:
        changed.append((place, place.stat().st_mode))
        place.chmod(mode)

    yield change
    for place, mode in reversed(changed):
        if place.exists():
            place.chmod(mode)
    shutil.rmtree(open_home.parent)


REFUSALS: dict[str, tuple[str, int, tuple[object, ...]]] = {
    "source that may not be read": (
        "home/../mine.hdf5",
        0o000,
        ("data", "import", "{top}/mine.hdf5", *IMPORT),
    ),
    "home that may not be written": (
        "home/data/file",
        0o555,
        ("data", "import", "{top}/mine.hdf5", "--name", "new", "--environment", "Hopper-v4"),
    ),
    "entry that may not be written": (
        "home/data/file/mine",
        0o555,
        ("data", "import", "{top}/other.hdf5", *IMPORT),
    ),
    "entry that may not be entered": ("home/data/file/mine", 0o000, ("data", "info", "file/mine")),
    "index that may not be read": (
        "home/data/file/mine/episodes.json",
        0o000,
        ("data", "info", "file/mine"),
    ),
    "column that may not be read": ("{columns}/rewards.npy", 0o000, ("data", "info", "file/mine")),
    "entry that may not be removed": (
        "home/data/file/mine",
        0o555,
        ("data", "remove", "file/mine", "--yes"),
    ),
    "target that may not be written": (
        "locked",
        0o555,
        ("data", "export", "file/mine", "{top}/locked/out.hdf5"),
    ),
    "target that may not be written, npz": (
        "locked",
        0o555,
        ("data", "export", "file/mine", "{top}/locked/out.npz"),
    ),
    "data folder that may not be entered": (
        "locked",
        0o000,
        ("data", "info", OFFICIAL, "--data-dir", "{top}/locked"),
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_no_permission_is_told(
    what: str, open_home: Path, shut: Callable[[Path, int], None], seqrl: Seqrl
) -> None:
    """Prevents: a PermissionError's traceback; or the advice to remove what is whole."""
    place, mode, command = REFUSALS[what]
    top = open_home.parent
    file = write_hdf5(top / "mine.hdf5", layout())
    write_hdf5(top / "other.hdf5", layout(seed=1))
    (top / "locked").mkdir()
    seqrl("data", "import", file, *IMPORT)
    known = look_up("file/mine")
    assert known
    fingerprint = open_prepared(known).fingerprint
    columns = entry_folder("file/mine") / known.folder
    shut(top / place.format(columns=columns), mode)
    with powerless():
        ended = seqrl(*[str(word).format(top=top) for word in command])
    said(ended, "No permission", str(top), "Change its permissions")
    (top / place.format(columns=columns)).chmod(0o755)
    only_good(known, fingerprint)


@pytest.mark.parametrize("depth", ["", "data", "data/file", "data/file/mine"])
def test_a_file_where_a_folder_should_be_is_told(
    depth: str, tmp_path: Path, home: Path, seqrl: Seqrl
) -> None:
    """Prevents: a NotADirectoryError when SEQRL_HOME names a file."""
    (home / depth).parent.mkdir(parents=True, exist_ok=True)
    (home / depth).write_text("I am a file")
    file = write_hdf5(tmp_path / "mine.hdf5", layout())
    ended = seqrl("data", "import", file, *IMPORT)
    said(ended, str(home / depth), "folder is needed", "SEQRL_HOME")
    assert (home / depth).read_text() == "I am a file"


@contextmanager
def full_disk(bytes_: int) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 100, 400, 3_000, 100_000])
def test_a_full_disk_while_preparing_is_told(
    room: int, tmp_path: Path, home: Path, seqrl: Seqrl, good: tuple[Path, Prepared]
) -> None:
    """Prevents: a half-written copy under the final name, or the loss of the one before."""
    big = write_hdf5(tmp_path / "big.hdf5", layout((1000,) * 5))
    with full_disk(room):
        ended = seqrl("data", "import", big, *IMPORT)
    said(ended, "No room left", str(home), "Free some space", "SEQRL_HOME")


@pytest.mark.parametrize("room", [0, 1_000, 100_000])
@pytest.mark.parametrize("kind", ["hdf5", "npz"])
def test_a_full_disk_while_exporting_is_told(
    kind: str, room: int, tmp_path: Path, seqrl: Seqrl
) -> None:
    """Prevents: a crash of HDF5, or a half file in the place of a good one."""
    big = write_hdf5(tmp_path / "big.hdf5", layout((1000,) * 5))
    assert seqrl("data", "import", big, *IMPORT).status == 0
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / f"out.{kind}"
    target.write_text("good")
    with full_disk(room):
        ended = seqrl("data", "export", "file/mine", target, "--overwrite")
    said(ended, "No room left", str(target.parent), "Free some space")
    assert [place.name for place in target.parent.iterdir()] == [target.name]
    assert target.read_text() == "good"


def test_too_little_room_is_told_before_the_work(
    tmp_path: Path,
    home: Path,
    seqrl: Seqrl,
    good: tuple[Path, Prepared],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prevents: minutes of work that end at a full disk which could be seen from the start."""
    other = write_hdf5(tmp_path / "other.hdf5", layout(seed=1))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=1000))
    ended = seqrl("data", "import", other, *IMPORT)
    said(ended, "No room left: file/mine needs about", str(home), "SEQRL_HOME")


# ---- killed in the middle ------------------------------------------------------------------------

SLOW = """
import os, sys
import numpy as np
from tests.data.making import layout

def episodes():
    columns = layout((400,))
    for number in range(3000):
        if number == 200:  # enough that some of it is on disk
            print("under way", flush=True)
            sys.stdin.readline()
        yield dict(observations=columns["observations"], actions=columns["actions"],
                   rewards=columns["rewards"] + number, terminated=True)
        if number == 300:
            return
"""


def _environment(*more: Path) -> dict[str, str]:
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [root, *more]))}


def test_a_kill_in_the_middle_loses_nothing_and_the_same_command_succeeds(
    tmp_path: Path, seqrl: Seqrl
) -> None:
    """Prevents: a killed preparation that leaves a half set, a lock for ever, or spoils the old."""
    file = write_hdf5(tmp_path / "mine.hdf5", layout())
    assert seqrl("data", "import", file, *IMPORT).status == 0
    known = look_up("file/mine")
    assert known
    fingerprint = open_prepared(known).fingerprint
    (tmp_path / "slow_module.py").write_text(SLOW)
    command = [sys.executable, "-m", "seqrl", "data", "import", "slow_module:episodes", *IMPORT]
    command.append("--replace")
    with subprocess.Popen(
        command,
        env=_environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as killed:
        assert killed.stdout and killed.stdout.readline() == b"under way\n"
        folder = entry_folder("file/mine")
        assert len(list(folder.glob("columns-*"))) == 2, "it is writing"
        killed.send_signal(signal.SIGKILL)
    again = look_up("file/mine")
    assert again and again.folder == known.folder
    assert open_prepared(again).fingerprint == fingerprint and verify(again) == []
    # Even a command that fails makes room again, and first of all.
    bad = write_hdf5(tmp_path / "bad.hdf5", WRONG["nan in rewards"][0])
    said(seqrl("data", "import", bad, *IMPORT), str(bad))
    only_good(known, fingerprint)
    done = subprocess.run(
        command, env=_environment(tmp_path), input=b"\n", capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    after = look_up("file/mine")
    assert after and after.episodes == 301
    assert [place.name for place in folder.glob("columns-*")] == [after.folder]
    assert nothing_half(folder)
    assert not (folder / "unfinished").exists()


def test_the_shell_sees_status_2_and_a_sentence(tmp_path: Path) -> None:
    """Prevents: what holds in the test's own process and not for the real command."""
    file = tmp_path / "bad.hdf5"
    file.write_bytes(b"<html>")
    done = subprocess.run(
        [sys.executable, "-m", "seqrl", "data", "import", str(file), *IMPORT],
        env=_environment(),
        capture_output=True,
        check=False,
        text=True,
    )
    said(Ended(done.returncode, done.stdout, done.stderr), str(file), "web page", FETCH)


# ---- the prepared copy is damaged ----------------------------------------------------------------


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
