"""The command line: what a person and a program get, and what happens without a network."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seqrl.data import behaviours
from seqrl.data.behaviours import SETS
from tests.conftest import Ended
from tests.data import small_build
from tests.data.making import layout, write_hdf5

Run = Callable[..., Ended]


def _import(seqrl: Run, folder: Path, name: str = "mine", **made: object) -> str:
    file = write_hdf5(folder / f"{name}.hdf5", layout(**made))  # type: ignore[arg-type]
    ended = seqrl(
        "data", "import", file, "--name", name, "--environment", "Hopper-v4", "--reference", 0, 100,
        "--json", "--replace",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    return str(json.loads(ended.out)["name"])


def test_score_of_the_issue(seqrl: Run) -> None:
    """The number that everybody asks for first."""
    assert seqrl("score", "--task", "hopper-medium", "--return", 1985).out == "61.6\n"
    found = json.loads(seqrl("score", "--task", "hopper-medium-v2", "--return", 1985, "--json").out)
    assert found["score"] == pytest.approx(61.6148, abs=1e-3)
    assert found["reference"]["source"] == "d4rl 1.1, infos.py"
    assert (
        seqrl("score", "--task", "maze2d-umaze-dense", "--return", 193.66285642381482).out
        == "100.0\n"
    )
    assert seqrl("score", "--task", "hopper-medium-snapshots", "--return", 1985).out == "61.6\n"


def test_score_refuses_nonsense(seqrl: Run) -> None:
    """A misspelt task gets near names, a NaN gets no score."""
    wrong = seqrl("score", "--task", "hoper-medium", "--return", 1)
    assert wrong.status == 2 and "Did you mean hopper-medium" in wrong.err and not wrong.out
    assert seqrl("score", "--task", "hopper-medium", "--return", "nan").status == 2
    assert seqrl("score", "--task", "hopper-medium", "--return", "many").status == 2


def test_tasks_lists_the_catalogue(seqrl: Run) -> None:
    """Every task, with the reason where it cannot be played."""
    found = json.loads(seqrl("tasks", "--json").out)
    assert len(found) == 59 + len(SETS)
    assert all({"name", "environment", "reference", "not_playable"} <= set(task) for task in found)
    text = seqrl("tasks", "kitchen").out
    assert text.count("kitchen-") >= 3 and "no: " in text
    tiny = seqrl("tasks", "hopper-tiny").out
    assert "seqrl/hopper-tiny-v1" in tiny and "not for results" in " ".join(tiny.split())
    assert seqrl("tasks", "nothing-like-this").status == 2


def test_doctor_needs_no_network(seqrl: Run) -> None:
    """It is what people run when nothing works: it must not fail itself."""
    ended = seqrl("doctor", "--json")
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    assert found["packages"]["mujoco"] and found["device"]["cores"] >= 1
    assert set(found["hosts"]) == {"rail.eecs.berkeley.edu", "huggingface.co"}
    assert not any(said == "answers" for said in found["hosts"].values())
    assert "This machine" in seqrl("doctor").out


def test_doctor_reports_a_folder_that_cannot_be_used(
    seqrl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where the cache folder should be is a problem to be told, not a traceback."""
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("SEQRL_HOME", str(tmp_path / "taken"))
    ended = seqrl("doctor")
    assert ended.status == 1 and "cannot run a benchmark yet" in ended.out


def test_info_of_imported_data(seqrl: Run, tmp_path: Path) -> None:
    """Counts and statistics against the arrays themselves."""
    name = _import(seqrl, tmp_path, lengths=(5, 3, 7), tail=4, seed=3)
    columns = layout((5, 3, 7), tail=4, seed=3)
    rewards = columns["rewards"].astype(np.float64)
    returns = np.array([rewards[:5].sum(), rewards[5:8].sum(), rewards[8:15].sum()])
    found = json.loads(seqrl("data", "info", "file/mine", "--json").out)
    assert found["name"] == name and re.fullmatch(r"file/mine\+[0-9a-f]{8}", name)
    assert (found["episodes"], found["steps"], found["cut_off_steps"]) == (3, 15, 4)
    assert found["return"]["mean"] == pytest.approx(returns.mean())
    assert found["return"]["std"] == pytest.approx(returns.std())
    assert found["score"]["max"] == pytest.approx(returns.max())
    assert found["length"]["quantiles"]["0.5"] == 5
    text = seqrl("data", "info", name).out
    assert "3 episodes, 15 steps (19 collected; the last 4 are a cut-off episode, dropped)" in text
    tail = json.loads(seqrl("data", "info", "file/mine+tail", "--json").out)
    assert (tail["episodes"], tail["steps"]) == (4, 18)
    delayed = json.loads(seqrl("data", "info", "file/mine+delayed", "--json").out)
    assert delayed["return"]["mean"] == pytest.approx(returns.mean(), rel=1e-5)
    assert len({d["fingerprint"] for d in (found, tail, delayed)}) == 3


def test_another_content_under_the_same_name_is_refused(seqrl: Run, tmp_path: Path) -> None:
    """A record names its content; data imported anew under that name must not take its place."""
    first = _import(seqrl, tmp_path, seed=1)
    second = _import(seqrl, tmp_path / "again", seed=2)
    assert first != second
    ended = seqrl("data", "info", first)
    assert ended.status == 2 and second in ended.err


def test_a_short_name_says_what_it_became(
    seqrl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Embedded data must never be taken for D4RL's because nobody said so."""
    ended = seqrl("data", "info", "hopper-medium")
    assert ended.status == 2 and "seqrl data build seqrl/hopper-medium-v1" in ended.err
    monkeypatch.setitem(SETS, small_build.NAME, small_build.SMALL)
    behaviours.build(small_build.NAME, processes=1)
    ended = seqrl("data", "info", "hopper-medium")
    assert ended.status == 0
    assert "because the official file is not on this machine" in ended.err
    assert "NOT D4RL data" in ended.out and "d4rl/hopper-medium-v2" in ended.out
    assert "this is not seqrl/hopper-medium-v1: its content differs" in ended.err
    forbidden = seqrl("data", "info", "hopper-medium", "--data", "d4rl")
    assert forbidden.status == 2 and "seqrl data fetch d4rl/hopper-medium-v2" in forbidden.err
    versioned = seqrl("data", "info", "hopper-medium-v2")
    assert versioned.status == 2, "a D4RL version must not fall back to embedded data"


def test_check_ends_with_its_verdict(
    seqrl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 where simulator and data agree, 1 where they do not, 2 where the question is wrong."""
    monkeypatch.setitem(SETS, small_build.NAME, small_build.SMALL)
    behaviours.build(small_build.NAME, processes=1)
    same = seqrl("data", "check", "hopper-medium", "--sample", 50)
    assert same.status == 0 and "to the last stored bit" in same.out and "intact" in same.out
    found = json.loads(seqrl("data", "check", "hopper-medium", "--sample", 50, "--json").out)
    assert found["agrees"] and found["observation"]["worst"] == 0 and found["changed_columns"] == []
    newer = seqrl("data", "check", "hopper-medium@v5", "--sample", 50, "--json")
    assert json.loads(newer.out)["environment"] == "Hopper-v5"
    made_up = _import(seqrl, tmp_path)
    foreign = seqrl("data", "check", made_up)
    assert foreign.status == 1 and "FOREIGN" in foreign.out
    assert seqrl("data", "check", made_up, "--sample", 0).status == 2


@pytest.mark.parametrize("ending", ["hdf5", "npz"])
def test_export_and_import_again_is_the_same_data(seqrl: Run, tmp_path: Path, ending: str) -> None:
    """What leaves must come back with the same fingerprint."""
    name = _import(seqrl, tmp_path)
    assert seqrl("data", "export", "file/mine", tmp_path / f"out.{ending}").status == 0
    out = tmp_path / f"out.{ending}"
    ended = seqrl("data", "import", out, "--name", "back", "--environment", "Hopper-v4", "--json")
    assert json.loads(ended.out)["name"].split("+")[1] == name.split("+")[1]


def test_import_from_a_function(
    seqrl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No edit inside the package for one's own data."""
    (tmp_path / "mydata.py").write_text(
        "import numpy as np\n"
        "def episodes():\n"
        "    for n in (4, 6):\n"
        "        yield dict(observations=np.ones((n, 11)), actions=np.zeros((n, 3)),\n"
        "                   rewards=np.full(n, 0.5), terminated=n == 4)\n"
    )
    monkeypatch.chdir(tmp_path)
    ended = seqrl(
        "data", "import", "mydata:episodes", "--name", "f", "--environment", "Hopper-v4", "--json"
    )
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    assert (found["episodes"], found["steps"]) == (2, 10)
    assert found["ends"] == {"terminated": 1, "timed_out": 1, "cut_off": 0}
    assert found["return"]["max"] == 3.0


def test_list_and_remove(seqrl: Run, tmp_path: Path) -> None:
    """What is here, what can be made; and a removal that only removes what it says."""
    name = _import(seqrl, tmp_path)
    listed = json.loads(seqrl("data", "list", "--json").out)["data"]
    assert [row["how"] for row in listed if row["name"] == name] == ["prepared"]
    assert sum(row["how"].startswith("seqrl data build") for row in listed) == len(SETS)
    assert sum(row["how"].startswith("seqrl data fetch") for row in listed) == 59
    text = seqrl("data", "list").out
    assert name in text and "hopper-tiny" in text
    how = {row["name"]: row["how"] for row in listed}
    assert how["seqrl/hopper-tiny-v1"].endswith("not for results)")
    assert how["seqrl/hopper-medium-v1"] == "seqrl data build seqrl/hopper-medium-v1"
    asked = seqrl("data", "remove", "file/mine")
    assert asked.status == 2 and "--yes" in asked.err
    assert seqrl("data", "remove", "file/mine", "--yes").status == 0
    assert seqrl("data", "info", "file/mine").status == 2
    assert (tmp_path / "mine.hdf5").exists()


def test_every_command_explains_itself(seqrl: Run) -> None:
    """--help that teaches, for every command there is."""
    groups = {
        "data": ["list", "info", "build", "fetch", "check", "import", "export", "remove"],
        "behaviours": ["train", "measure"],
    }
    for group, commands in groups.items():
        for command in commands:
            ended = seqrl(group, command, "--help")
            assert ended.status == 0 and len(ended.out) > 200, command
    assert "seqrl 0." in seqrl("--version").out


def test_progress_without_a_terminal_is_a_few_plain_lines(seqrl: Run, tmp_path: Path) -> None:
    """A log file full of carriage returns helps nobody."""
    file = write_hdf5(tmp_path / "a.hdf5", layout())
    ended = seqrl("data", "import", file, "--name", "mine", "--environment", "Hopper-v4")
    assert "\r" not in ended.err and "\x1b" not in ended.err
    assert "15/15 steps" in ended.err


def test_ctrl_c_is_said_and_leaves_nothing_running(tmp_path: Path) -> None:
    """Whoever stops a build must know that nothing is lost, and that nobody plays on."""
    build = subprocess.Popen(
        [sys.executable, "-m", "seqrl", "data", "build", "hopper-random", "--processes", "1"],
        env={**os.environ, "SEQRL_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests that run in the background ignore the signal, and their children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert build.stderr is not None
    assert "playing hopper-random 0/1,000,000 steps" in build.stderr.readline()
    build.send_signal(signal.SIGINT)
    _, said = build.communicate(timeout=60)
    assert build.returncode == 130
    assert said.strip() == (
        "seqrl: stopped. What was complete before is untouched; a download, a build or a run is "
        "taken up where it was by the same command."
    )
    assert not (tmp_path / "data/seqrl/hopper-random-v1/episodes.json").exists()


@pytest.mark.parametrize(
    "name",
    [
        "file/mine@v5+tail+",
        "file/mine+",
        "file/mine@",
        "file/mine@v9+nonsense",
        "file/mine+tail+tail",
        "file/mine@v4@v5",
        "file/mine@elsewhere",
        "d4rl/hopper-medium-v2+1a2b3c4d",
        "seqrl/hopper-medium-v1@v9",
        "",
    ],
)
def test_what_follows_a_name_is_understood_or_refused(
    seqrl: Run, tmp_path: Path, name: str
) -> None:
    """A suffix that is swallowed shows other data than was asked for, under the name asked for."""
    _import(seqrl, tmp_path)
    for command in ("info", "check"):
        assert seqrl("data", command, name).status == 2, command


def test_suffixes_may_stand_in_any_order_and_stay_in_the_name(seqrl: Run, tmp_path: Path) -> None:
    """Two columns of a table must not carry one name."""
    name = _import(seqrl, tmp_path, tail=4)
    for text in ("file/mine@v5+tail+delayed", "file/mine+delayed+tail@Hopper-v5"):
        found = json.loads(seqrl("data", "info", text, "--json").out)
        assert (found["name"], found["episodes"]) == (f"{name}+tail+delayed", 4)
    scored = json.loads(seqrl("score", "--task", "hopper-medium@v5", "--return", 1, "--json").out)
    assert scored["task"] == "d4rl/hopper-medium-v2@v5"


def test_only_what_is_named_is_removed(seqrl: Run, tmp_path: Path) -> None:
    """Deleting is the one thing that cannot be taken back."""
    name = _import(seqrl, tmp_path, tail=4)
    for other in ("file/mine+00000000", "file/mine+tail", "file/mine@v5", f"{name}+delayed"):
        ended = seqrl("data", "remove", other, "--yes")
        assert ended.status == 2, other
    assert seqrl("data", "info", name).status == 0
    removed = json.loads(seqrl("data", "remove", name, "--yes", "--json").out)
    assert removed["removed"] == "file/mine" and removed["bytes"] > 1000


def test_nothing_is_replaced_without_being_told(seqrl: Run, tmp_path: Path) -> None:
    """An import may be the only copy; an export must not write over its own source."""
    file = write_hdf5(tmp_path / "mine.hdf5", layout())
    arguments = ("data", "import", file, "--name", "mine", "--environment")
    assert seqrl(*arguments, "Hopper-v4").status == 0
    assert seqrl(*arguments, "Hopper-v4").status == 0, "the same again is no change"
    other = seqrl(*arguments, "Hopper-v5", "--reference", 0, 100)
    assert other.status == 2 and "another environment, horizon or reference" in other.err
    assert seqrl(*arguments, "Hopper-v5", "--reference", 0, 100, "--replace").status == 0
    assert (
        json.loads(seqrl("data", "info", "file/mine", "--json").out)["environment"] == "Hopper-v5"
    )
    ended = seqrl("data", "export", "file/mine", file)
    assert ended.status == 2 and "--overwrite" in ended.err
    written = json.loads(seqrl("data", "export", "file/mine", file, "--overwrite", "--json").out)
    assert written["written"] == str(file) and written["name"].startswith("file/mine+")


def test_what_a_killed_build_left_is_seen_and_can_be_removed(
    seqrl: Run, tmp_path: Path, home: Path
) -> None:
    """Two hundred megabytes that no command shows fill a disk."""
    left = home / "data" / "seqrl" / "hopper-random-v1" / "unfinished" / "x"
    left.mkdir(parents=True)
    (left / "share-00.shard-00000.npz").write_bytes(b"0" * 5000)
    rows = json.loads(seqrl("data", "list", "--json").out)["data"]
    (row,) = [row for row in rows if "unfinished" in row["how"]]
    assert (row["name"], row["bytes"]) == ("seqrl/hopper-random-v1", 5000)
    assert seqrl("data", "remove", "seqrl/hopper-random-v1", "--yes").status == 0
    assert not left.exists()


def test_one_damaged_set_does_not_hide_the_others(seqrl: Run, tmp_path: Path, home: Path) -> None:
    """`data list` is where one looks when something is wrong."""
    name = _import(seqrl, tmp_path)
    _import(seqrl, tmp_path, name="broken")
    (home / "data" / "file" / "broken" / "episodes.json").write_text("{")
    ended = seqrl("data", "list")
    assert ended.status == 0 and name in ended.out


def test_a_function_whose_episodes_do_not_end_is_refused(
    seqrl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two unfinished episodes one after the other would become one."""
    (tmp_path / "endless.py").write_text(
        "import numpy as np\n"
        "def episodes():\n"
        "    for _ in range(2):\n"
        "        yield dict(observations=np.ones((5, 11)), actions=np.zeros((5, 3)),\n"
        "                   rewards=np.ones(5), terminated=False, timed_out=False)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    ended = seqrl("data", "import", "endless:episodes", "--name", "f", "--environment", "Hopper-v4")
    assert ended.status == 2 and "Episode 0 of endless:episodes is neither" in ended.err


def test_changes_of_boundaries_and_tails_are_found(seqrl: Run, tmp_path: Path, home: Path) -> None:
    """What is read must be what was prepared, and not only where one usually looks."""
    _import(seqrl, tmp_path, tail=4)
    (folder,) = (home / "data" / "file" / "mine").glob("columns-*")
    starts = np.load(folder / "starts.npy")
    moved = starts.copy()
    moved[1] += 1
    np.save(folder / "starts.npy", moved)
    assert "DAMAGED: starts" in seqrl("data", "check", "file/mine").out
    np.save(folder / "starts.npy", starts[1:])
    assert seqrl("data", "info", "file/mine").status == 2
    np.save(folder / "starts.npy", starts)
    rewards = np.load(folder / "rewards.npy")
    rewards[16] += 1
    np.save(folder / "rewards.npy", rewards)
    assert "DAMAGED: rewards" in seqrl("data", "check", "file/mine").out
