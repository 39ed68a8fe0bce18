"""Data files with the wrong things in them."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from seqrl.data.cache import Prepared, entry_folder, look_up
from seqrl.tasks.d4rl import ENTRIES, Facts
from tests.data.bad_input.telling import FETCH, IMPORT, OFFICIAL, STEPS, Columns, Seqrl, said
from tests.data.making import layout, write_hdf5, write_npz


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
