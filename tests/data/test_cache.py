"""The cache: prepared once, whole or not at all, the same for everybody who opens it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from seqrl.data.cache import (
    Origin,
    entry_folder,
    everything,
    look_up,
    open_prepared,
    prepare,
    remove,
    verify,
)
from seqrl.data.own import file_origin
from seqrl.errors import DataError
from seqrl.tasks.task import Reference, Task
from tests.data.making import ACTIONS, WIDTH, layout, write_hdf5, write_npz

ROOT = Path(__file__).parents[2]
TASK = Task(
    name="file/mine",
    environment="Hopper-v4",
    horizon=1000,
    observation_width=WIDTH,
    action_width=ACTIONS,
    reference=Reference(minimum=0, maximum=100, source="the test"),
)


def test_what_comes_out_is_what_went_in(tmp_path: Path) -> None:
    """Columns, boundaries, returns: against the file, by hand."""
    columns = layout((5, 3, 7), tail=4)
    known = prepare(file_origin(write_hdf5(tmp_path / "a.hdf5", columns), TASK))
    episodes = open_prepared(known)
    assert (len(episodes), episodes.steps, episodes.cut_off_steps) == (3, 15, 4)
    assert episodes.starts.tolist() == [0, 5, 8, 15]
    for ours, key in (("observations",) * 2, ("actions",) * 2, ("rewards",) * 2):
        np.testing.assert_array_equal(episodes.columns[ours], columns[key][:15])
    np.testing.assert_array_equal(episodes.terminated, columns["terminals"][:15])
    np.testing.assert_array_equal(episodes.timed_out, columns["timeouts"][:15])
    assert isinstance(episodes.observations, np.memmap)
    assert verify(known) == []
    assert [found.name for found in everything()] == [known.name]
    assert known.name == f"file/mine+{episodes.fingerprint[:8]}"


def test_tail_is_dropped_or_kept_without_its_last_transition(tmp_path: Path) -> None:
    """DT's authors drop the cut-off episode; TT's keep it short of its last transition."""
    columns = layout((5, 3, 7), tail=4)
    known = prepare(file_origin(write_hdf5(tmp_path / "a.hdf5", columns), TASK))
    kept = open_prepared(known, tail=True)
    assert kept.starts.tolist() == [0, 5, 8, 15, 18]
    np.testing.assert_array_equal(kept.rewards, columns["rewards"][:18])
    assert not kept[3].terminated and not kept[3].timed_out
    assert kept.fingerprint != open_prepared(known).fingerprint
    assert kept.name.endswith("+tail")
    whole = layout((5, 3, 7), tail=4)
    whole = {key: column[:18] for key, column in whole.items()}
    whole["timeouts"][17] = True  # the same steps, as a finished episode
    finished = prepare(
        file_origin(write_npz(tmp_path / "b.npz", whole), Task(**{**vars(TASK), "name": "file/b"}))
    )
    assert finished.digests["observations"] == kept.digests["observations"]
    assert finished.digests["timed_out"] != kept.digests["timed_out"]


@pytest.mark.parametrize("tail", [0, 1])
def test_without_a_usable_tail_both_views_are_equal(tmp_path: Path, tail: int) -> None:
    """A tail of one step has no transition to keep."""
    known = prepare(file_origin(write_hdf5(tmp_path / "a.hdf5", layout((4, 4), tail=tail)), TASK))
    assert known.cut_off_steps == tail
    assert open_prepared(known, tail=True).fingerprint == open_prepared(known).fingerprint


def test_the_same_content_has_one_fingerprint_in_any_format(tmp_path: Path) -> None:
    """hdf5, npz and float64 values that float32 holds: one content."""
    columns = layout()
    wide = {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in columns.items()}
    prints = set()
    for name, file in {
        "one": write_hdf5(tmp_path / "a.hdf5", columns),
        "two": write_npz(tmp_path / "b.npz", columns),
        "three": write_hdf5(tmp_path / "c.hdf5", wide),
    }.items():
        known = prepare(file_origin(file, Task(**{**vars(TASK), "name": f"file/{name}"})))
        prints.add(open_prepared(known).fingerprint)
        assert any("from float64" in note for note in known.provenance["notes"]) == (
            name == "three"
        )
    assert len(prints) == 1


def test_episodes_without_timeouts_end_at_the_horizon(tmp_path: Path) -> None:
    """D4RL's own rule for old files: the horizon's last step ends an episode."""
    columns = layout((5, 3, 7))
    columns["terminals"][:] = False
    columns["terminals"][4] = True
    del columns["timeouts"]
    task = Task(**{**vars(TASK), "horizon": 4})
    known = prepare(file_origin(write_hdf5(tmp_path / "a.hdf5", columns), task))
    starts, count = [0], 0
    for step, terminal in enumerate(columns["terminals"]):  # as get_dataset's users loop over it
        count += 1
        if terminal or count == 4:
            starts.append(step + 1)
            count = 0
    assert open_prepared(known).starts.tolist() == starts
    assert known.cut_off_steps == 15 - starts[-1]


def test_a_step_that_is_both_counts_as_terminal(tmp_path: Path) -> None:
    """An episode ends one way; what was decided is noted."""
    columns = layout()
    columns["timeouts"][4] = True
    known = prepare(file_origin(write_hdf5(tmp_path / "a.hdf5", columns), TASK))
    episodes = open_prepared(known)
    assert episodes[0].terminated and not episodes[0].timed_out
    assert "1 steps are marked as terminal and as timeout" in known.provenance["notes"][0]


def test_a_changed_file_is_prepared_again_and_an_equal_one_is_not(tmp_path: Path) -> None:
    """Stale data under a fresh name is the worst kind of wrong number."""
    file = write_hdf5(tmp_path / "a.hdf5", layout(seed=1))
    first = prepare(file_origin(file, TASK))
    assert prepare(file_origin(file, TASK)).folder == first.folder
    write_hdf5(file, layout(seed=2))
    os.utime(file, ns=(1, 1))
    with pytest.raises(DataError, match="--replace"):
        prepare(file_origin(file, TASK))
    assert look_up("file/mine") == first
    second = prepare(file_origin(file, TASK, replacing=True))
    assert second.digests != first.digests
    assert [folder.name for folder in entry_folder("file/mine").glob("columns-*")] == [
        second.folder
    ]


def test_readers_keep_what_they_have_open(tmp_path: Path) -> None:
    """Preparing anew must not pull the pages from under a training."""
    file = write_hdf5(tmp_path / "a.hdf5", layout(seed=1))
    episodes = open_prepared(prepare(file_origin(file, TASK)))
    before = np.array(episodes.observations)
    write_hdf5(file, layout(seed=2))
    os.utime(file, ns=(1, 1))
    prepare(file_origin(file, TASK, replacing=True))
    np.testing.assert_array_equal(episodes.observations, before)


def test_an_interrupted_preparation_leaves_the_one_before(tmp_path: Path) -> None:
    """Half a data set must never be taken for a whole one."""
    first = prepare(file_origin(write_hdf5(tmp_path / "a.hdf5", layout(seed=1)), TASK))

    def broken(scratch: Path, progress: object) -> Iterator[dict[str, np.ndarray]]:
        columns = layout(seed=2)
        columns["terminated"], columns["timed_out"] = (
            columns.pop("terminals"),
            columns.pop("timeouts"),
        )
        yield columns
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(Origin(task=TASK, read=broken, stamp={"other": 1}))
    assert look_up("file/mine") == first
    assert [f.name for f in entry_folder("file/mine").glob("columns-*")] == [first.folder]
    assert verify(first) == []


def test_damage_is_found(tmp_path: Path) -> None:
    """A flipped bit on disk changes results without a word, unless somebody looks."""
    known = prepare(file_origin(write_hdf5(tmp_path / "a.hdf5", layout()), TASK))
    column = entry_folder("file/mine") / known.folder / "rewards.npy"
    bytes_ = bytearray(column.read_bytes())
    bytes_[-20] ^= 1
    column.write_bytes(bytes_)
    assert verify(known) == ["rewards"]
    column.write_bytes(bytes_[:-8])
    with pytest.raises(DataError, match="damaged"):
        open_prepared(known)


def test_a_damaged_copy_is_prepared_again(tmp_path: Path) -> None:
    """Whoever has the source should not have to repair by hand."""
    file = write_hdf5(tmp_path / "a.hdf5", layout())
    known = prepare(file_origin(file, TASK))
    (entry_folder("file/mine") / known.folder / "actions.npy").unlink()
    again = prepare(file_origin(file, TASK))
    assert again.folder != known.folder and verify(again) == []


def test_remove_gives_the_room_back(tmp_path: Path) -> None:
    """And leaves the source alone."""
    file = write_hdf5(tmp_path / "a.hdf5", layout())
    prepare(file_origin(file, TASK))
    assert remove("file/mine") > 0
    assert look_up("file/mine") is None and everything() == [] and file.exists()


# ---- size, speed and many at once ----------------------------------------------------------------

IMPORT = """
import sys, time, json
from pathlib import Path
from seqrl.data.cache import prepare, open_prepared
from seqrl.data.own import file_origin
from tests.data.test_cache import TASK
started = time.monotonic()
known = prepare(file_origin(Path(sys.argv[1]), TASK))
# Not getrusage: its peak begins at that of the process that started this one.
(peak,) = [line for line in Path("/proc/self/status").open() if line.startswith("VmHWM:")]
print(json.dumps({"folder": known.folder, "print": open_prepared(known).fingerprint,
    "seconds": time.monotonic() - started,
    "peak": int(peak.split()[1]) * 1024}))
"""


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A million steps in D4RL's layout, 2,200 episodes."""
    steps, episodes = 1_000_000, 2_200
    file = tmp_path_factory.mktemp("big") / "big.hdf5"
    generator = np.random.default_rng(0)
    ends = np.sort(generator.choice(steps - 1, episodes - 1, replace=False))
    terminals, timeouts = np.zeros((2, steps), bool)
    terminals[ends], timeouts[-1] = True, True
    with h5py.File(file, "w") as out:
        for key, width in (("observations", 11), ("next_observations", 11), ("actions", 3)):
            out[key] = generator.standard_normal((steps, width), np.float32)
        out["rewards"] = generator.standard_normal(steps, np.float32)
        out["terminals"], out["timeouts"] = terminals, timeouts
    return file


def _start(file: Path, home: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", IMPORT, str(file)],
        cwd=ROOT,
        env={**os.environ, "SEQRL_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_million_steps_take_little_memory(big: Path, tmp_path: Path) -> None:
    """The whole file in memory, twice, would not fit beside other work."""
    out, err = (first := _start(big, tmp_path)).communicate()
    assert first.returncode == 0, err
    assert json.loads(out)["peak"] < 2 * big.stat().st_size
    again, _ = _start(big, tmp_path).communicate()
    assert json.loads(again)["folder"] == json.loads(out)["folder"]
    assert json.loads(again)["seconds"] < json.loads(out)["seconds"] / 5


def test_ten_at_once_leave_one_good_copy(big: Path, tmp_path: Path) -> None:
    """Ten workers of a sweep start in the same second."""
    processes = [_start(big, tmp_path) for _ in range(10)]
    results = [process.communicate() for process in processes]
    assert all(process.returncode == 0 for process in processes), results
    found = [json.loads(out) for out, _ in results]
    assert len({f["folder"] for f in found}) == len({f["print"] for f in found}) == 1
    folder = tmp_path / "data" / "file" / "mine"
    assert sorted(f.name for f in folder.iterdir()) == sorted(
        [".lock", "episodes.json", found[0]["folder"]]
    )


@pytest.mark.parametrize("moment", [0.2, 0.5, 0.8])
def test_killed_while_preparing(big: Path, tmp_path: Path, moment: float) -> None:
    """The next one must find no lock, no half copy, and do it right."""
    first, _ = _start(big, tmp_path / "timing").communicate()
    expected = json.loads(first)
    victim = _start(big, tmp_path / "killed")
    folder = tmp_path / "killed" / "data" / "file" / "mine"
    deadline = time.monotonic() + 60
    while not list(folder.glob("columns-*/*.npy")) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(moment * expected["seconds"] / 2)
    victim.kill()
    victim.communicate()
    out, err = (again := _start(big, tmp_path / "killed")).communicate()
    assert again.returncode == 0, err
    assert json.loads(out)["print"] == expected["print"]
    assert len(list(folder.glob("columns-*"))) == 1
