"""`seqrl bench`: what is said before, meanwhile and in the end; what is wrong, all at once."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqrl.errors import SeqrlError
from seqrl.evaluation import play
from seqrl.runs.calibration import Speed
from seqrl.runs.record import read_record
from tests.conftest import Ended
from tests.runs.making import toy_source

ROOT = Path(__file__).parents[2]
QUICKLY = str(ROOT / "tests/runs/quickly.py")


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the data, and save the five seconds of calibration."""
    toy_source()
    speed = Speed(training=100.0, playing=100.0, precision="float32")
    monkeypatch.setattr("seqrl.runs.calibration.calibrate", lambda **_: speed)


@pytest.fixture
def bench(seqrl: Callable[..., Ended], tmp_path: Path) -> Callable[..., Ended]:
    """Run it here, one run after another."""

    def run(*more: object) -> Ended:
        usual = ("--experiment", QUICKLY, "--backend", "inline", "--results", tmp_path / "r")
        return seqrl("bench", *usual, *more)

    return run


def test_from_nothing_to_a_table_and_again(bench: Callable[..., Ended], tmp_path: Path) -> None:
    """The same command again must run nothing, and give the same table to the byte."""
    first = bench()
    assert first.status == 0, first.err
    assert "2 runs, 1 agent x 1 task x 2 seeds (0, 1), each 2 episodes" in first.err
    assert "2 runs to do, 1 at once: under a minute" in first.err
    assert re.search(r"\| BC \| -?\d+\.\d ± \d+\.\d \|", first.out), first.out
    assert (
        "played in tests.toy:Toy-v0" in first.out
        and "seeds 0, 1; episodes of each: 2;" in first.out
    )
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "r").rglob("*.json")}
    assert len(files) == 2 and not list((tmp_path / "r/.work").iterdir())
    again = bench()
    assert again.out == first.out and "2 of 2 runs done before" in again.err
    assert files == {file: file.stat().st_mtime_ns for file in files}


def test_what_is_selected(bench: Callable[..., Ended]) -> None:
    """Another number of seeds, or another agent, must do only what is missing."""
    assert bench("--seeds", "3,").status == 0
    ended = bench("--agents", "all", "--seeds", "4", "--set", "MLP.training.updates=7", "--json")
    assert ended.status == 0 and "1 of 8 runs done before" in ended.err
    records = json.loads(ended.out)
    assert [(r["name"], r["seed"]) for r in records] == [
        (name, seed) for name in ("BC", "MLP") for seed in range(4)
    ]
    assert {r["training"]["updates"] for r in records if r["name"] == "MLP"} == {7}
    assert all(r["changed"] == ["training.updates=7"] for r in records if r["name"] == "MLP")
    assert all(Path(r["record"]).exists() for r in records)


def test_a_plan_starts_nothing(bench: Callable[..., Ended], tmp_path: Path) -> None:
    """Whoever asks how long it takes does not want to wait for it."""
    ended = bench("--plan", "--episodes", "3")
    assert ended.status == 0 and "2 runs to do" in ended.err and not ended.out
    assert not (tmp_path / "r").exists()


def test_everything_that_is_wrong_is_said_at_once(bench: Callable[..., Ended]) -> None:
    """One error an hour is a day."""
    ended = bench("file/tyo", "hoper-medium", "pen-human", "--data", "d4rl")
    assert ended.status == 2
    ended = bench("file/toy", "hoper-medium", "kitchen-none")
    assert ended.status == 2 and "Nothing was started" in ended.err
    assert "hoper-medium" in ended.err and "kitchen-none" in ended.err
    for wrong, said in {
        ("--agents", "BC TD"): "no agent 'TD'",
        ("--set", "BC.training.updtes=3"): "no field 'updtes'",
        ("--set", "MLP.training.updates=3"): "MLP is not among the agents that run",
        ("--set", "training.updates=1", "--times", "2"): "do not fit",
        ("--set", "network.heads=3"): "BC",
        ("--seeds", "0"): "how many, 1 or more",
        ("--seeds", "1,-2"): "how many, 1 or more",
        ("--seeds", "few"): "how many, 1 or more",
        ("--workers", "2"): "leave out --workers",
        ("--address", "auto"): "leave out",
        ("--gpus", "1.5"): "a fraction of one GPU",
        ("--gpus", "nan"): "a fraction of one GPU",
        ("--agents", ","): "There is nothing to run",
    }.items():
        ended = bench(*wrong)
        assert ended.status == 2 and said in ended.err and not ended.out, (wrong, ended)


def test_a_failed_run_does_not_stop_the_others(
    bench: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep that dies at night with its first error, or hides it, is worth nothing."""

    def unlucky(*given: Any, seed: int, **more: Any) -> Any:
        return 1 / 0 if seed == 0 else play(*given, seed=seed, **more)

    def refused(*_: Any, **__: Any) -> Any:
        raise SeqrlError("These do not belong together.")

    with monkeypatch.context() as broken:
        broken.setattr("seqrl.runs.run.play", unlucky)
        broken.setattr("seqrl.report.summary.summary_of", refused)
        without_table = bench("--seeds", "1")
    assert without_table.status == 2 and "do not belong together" in without_table.err
    assert "seed 0 failed: ZeroDivisionError" in without_table.err
    with monkeypatch.context() as broken:
        broken.setattr("seqrl.runs.run.play", unlucky)
        ended = bench("--seeds", "3")
    assert ended.status == 1 and "seed 0: failed: ZeroDivisionError" in ended.err
    assert "tried again by the same command" in ended.err
    assert "failed (1 of 3)" in ended.out and " ± " in ended.out
    statuses = sorted(read_record(file).status for file in tmp_path.rglob("seed-*.json"))
    assert statuses == ["done", "done", "failed"]
    again = bench("--seeds", "3")
    assert again.status == 0 and "2 of 3 runs done before" in again.err
    assert "failed (" not in again.out and not list((tmp_path / "r/.work").iterdir())


MISTAKES = {
    "tasks='file/toy'": "tasks is 'file/toy'; it must be a list",
    "seeds=[1.5, True]": "seeds must be whole numbers from 0 on",
    "seeds=[-1]": "seeds must be whole numbers from 0 on",
    "seeds=3": "seeds must be whole numbers from 0 on",
    "seeds=[]": "There is nothing to run",
    "agents={'BC': 3}": "agents must give each name an agent",
    "agentz={}": "(line 5): TypeError: Experiment.__init__() got an unexpected keyword argument",
    "agents={'BC': BehaviourCloning(training=Training(updats=5))}": "Training has: updates, batch",
    "agents={'BC': BehaviourCloning(training=Training(updates=5.5))}": "updates is 5.5; it must be",
    "agents={'BC': BehaviourCloning(training=None)}": "training is None",
    "evaluation=Evaluation(episodes='2')": "episodes must be 1 or more, a whole number",
    "seeds=exit(4)": "SystemExit: 4",
    "agents={'A': BehaviourCloning(), 'B': BehaviourCloning()}": "are one run",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_an_experiment_of_ones_own(
    mistake: str, seqrl: Callable[..., Ended], tmp_path: Path
) -> None:
    """What the command line refuses, a file must not smuggle in; and nobody reads tracebacks."""
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\n"
        "from seqrl.agents.behaviour_cloning import BehaviourCloning\n"
        "from seqrl.evaluation import Evaluation; from seqrl.training.settings import Training\n"
        "from tests.runs import quickly\n"
        f"EXPERIMENT = replace(quickly.EXPERIMENT, default_agents=(), {mistake})\n"
    )
    usual = ("--backend", "inline", "--results", tmp_path / "r")
    ended = seqrl("bench", "--experiment", file, *usual)
    assert ended.status == 2 and MISTAKES[mistake] in ended.err, ended
    assert not (tmp_path / "r").exists()


def test_folders_that_cannot_be_written(
    bench: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first run, and in a sentence."""
    (tmp_path / "r").write_text("a file")
    ended = bench()
    assert ended.status == 2 and "Cannot go on while making the folder for results" in ended.err


def test_the_disk_is_full(
    bench: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done before must stay, and the sentence must say what to do."""
    assert bench("--seeds", "1").status == 0
    (file,) = tmp_path.rglob("seed-*.json")
    before = file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        ended = bench("--seeds", "2")
    assert ended.status == 2 and "No room left" in ended.err, ended.err
    assert file.read_bytes() == before and len([*tmp_path.rglob("seed-*.json")]) == 1
    assert bench("--seeds", "2").status == 0


@pytest.mark.parametrize("protocol", [None, 99, 1])
def test_records_that_are_none(
    protocol: int | None,
    bench: Callable[..., Ended],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Half a record, or one whose content is not what its hash says, is run again, aloud."""
    assert bench("--seeds", "1").status == 0
    (file,) = tmp_path.rglob("seed-*.json")
    if protocol is None:
        file.write_bytes(file.read_bytes()[:300])
    else:
        plain = json.loads(file.read_text())
        plain["identity"]["protocol"] = protocol
        file.write_text(json.dumps(plain))
    ended = bench("--seeds", "1")
    assert ended.status == 0 and "1 run to do" in ended.err, ended.err
    assert "so it is run again" in caplog.text and read_record(file).identity["protocol"] == 2


def test_two_launches_at_once(tmp_path: Path) -> None:
    """Two terminals, one folder: each run done once, and both end well."""
    results = tmp_path / "r"
    command = [
        sys.executable, "-m", "seqrl", "bench", "--experiment", QUICKLY, "--backend", "inline",
        "--results", str(results), "--seeds", "6", "--json",
    ]  # fmt: skip
    both = [
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ended = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    one, other = (json.loads(out) for out, _ in ended)
    assert one == other and len(one) == 6
    begun = [err.count(": begins") for _, err in ended]
    assert sum(begun) == 6, f"of 6 runs {begun} were begun"
    assert not list((results / ".work").iterdir())
