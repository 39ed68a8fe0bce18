"""`seqrl runs`: what was run, what one run was, and why it was run again."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.cli.runs import HEAD
from seqrl.data.whole import sha256_of
from seqrl.runs.record import write_record
from tests.conftest import Ended
from tests.playing import SMALL, trained
from tests.runs.recorded import TASK, recorded, write_all

Run = Callable[..., Ended]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Four records and one that is cut off."""
    *_, bad = write_all(
        tmp_path,
        recorded([0, 40]),
        recorded(seed=1),
        recorded([1], name="old", protocol=1),
        recorded([7, 8], task="file/mine+1a2b3c4d", reference=None),
        recorded([1], seed=5),
    )
    bad.write_text("{")
    return tmp_path


def test_the_list(seqrl: Run, results: Path) -> None:
    """What was run must be seen with what failed and what cannot be read."""
    work = results / ".work" / "0123456789abcdef"
    work.mkdir(parents=True)
    (work / "state").write_bytes(b"x" * 2_500_000)
    ended = seqrl("runs", "--results", results)
    assert ended.status == 0
    head, *lines = [line.split() for line in ended.out.splitlines()]
    assert head == [word for title in HEAD for word in title.split()]
    made = recorded([0, 40])
    assert lines[1][:7] == ["quick", "BC", TASK, "0", "done", "10.0", "3.0"]
    assert lines[1][7:] == ["2026-11-25", "10:20", made.hash[:8]]
    assert lines[2][:7] == ["quick", "BC", TASK, "1", "failed", "-", "-"]
    assert "done, protocol 1" in ended.out and len(lines) == 4
    assert "1 file cannot be counted." in ended.err and "seed-5-" in ended.err
    assert "1 unfinished run below" in ended.err and "2.5 MB, last touched 20" in ended.err
    plain = json.loads(seqrl("runs", "--results", results, "--json").out)
    assert len(plain["runs"]) == 4 and plain["runs"][1]["hash"] == made.hash
    assert "seed-5-" in plain["unread"][0]["file"] and plain["unfinished"]["bytes"] == 2_500_000


def test_what_is_chosen(seqrl: Run, results: Path) -> None:
    """A filter that does not filter shows a mean of everything."""
    for option, pattern, count in (
        ("--task", "hopper-*", 3), ("--task", "file/*", 1), ("--agent", "ol?", 1),
        ("--seed", 1, 1), ("--status", "failed", 1), ("--experiment", "q*", 4),
    ):  # fmt: skip
        ended = seqrl("runs", "--results", results, option, pattern, "--json")
        assert len(json.loads(ended.out)["runs"]) == count, (option, pattern)
    ended = seqrl("runs", "--results", results, "--agent", "TT")
    assert ended.status == 2 and "agents BC, old" in ended.err


def test_time_of_what_was_interrupted(seqrl: Run, tmp_path: Path) -> None:
    """Half of a time looks like a fast run."""
    made = recorded([1])
    (one,) = made.evaluations
    write_all(tmp_path, replace(made, evaluations=[{**one, "seconds": None}]))
    assert " 2.0+ " in seqrl("runs", "--results", tmp_path).out
    assert "playing was interrupted" in seqrl("runs", made.hash, "--results", tmp_path).out


def test_nothing_yet(seqrl: Run, tmp_path: Path) -> None:
    """A new folder is no error; a misspelt one is."""
    assert "no runs below" in seqrl("runs", "--results", tmp_path).out
    assert seqrl("runs", "--results", tmp_path / "x").status == 2


def test_a_real_run_explained(seqrl: Run, tmp_path: Path) -> None:
    """All that is known of a number stands in one place; it says when the weights are others."""
    made = trained(seqrl, tmp_path, "DT", *SMALL, updates=2)
    results = ("--results", tmp_path / "results")
    ended = seqrl("runs", made["hash"][:6], *results)
    assert ended.status == 0, ended.err
    for words in (
        made["data"]["fingerprint"], made["hash"], "network.width", "16", "128", "float32",
        "experiment quick", "best_in_data", "mean and standard deviation of 3 episodes",
        "Checkpoint", "(there)", "Metrics", "updates a second",
    ):  # fmt: skip
        assert words in ended.out, words
    plain = json.loads(seqrl("runs", made["record"], "--json").out)
    assert plain["record"]["hash"] == made["hash"]
    returns = [one["return"] for one in made["evaluations"][-1]["episodes"]]
    mean = sum(returns) / 3
    deviation = (sum((one - mean) ** 2 for one in returns) / 2) ** 0.5
    assert plain["spread"]["return_deviation"] == pytest.approx(deviation)
    assert plain["spread"]["score_deviation"] == pytest.approx(deviation / 10)  # 0 to 1000
    checkpoint = Path(plain["checkpoint"]["file"])
    assert sha256_of(checkpoint) == made["checkpoint"]["sha256"]
    checkpoint.write_bytes(b"x")
    assert "(another than the record's)" in seqrl("runs", made["record"]).out
    checkpoint.unlink()
    assert "(missing)" in seqrl("runs", made["record"]).out


def test_a_failed_run_explained(seqrl: Run, results: Path) -> None:
    """The traceback is in a file that nobody opens."""
    ended = seqrl("runs", recorded(seed=1).hash, "--results", results)
    assert ended.status == 0, ended.err
    assert "FAILED: BC" in ended.out and "It failed:\nTraceback: it broke" in ended.out
    assert "Settings: the defaults of BehaviourCloning" in ended.out


@pytest.mark.parametrize(
    "code", ["raise RuntimeError('no')", "import sys; sys.exit(3)", "def (", "class Mine: pass"]
)
def test_a_class_that_cannot_be_had(seqrl: Run, tmp_path: Path, code: str) -> None:
    """A record outlives the file that its agent was in."""
    (tmp_path / "mine.py").write_text(code)
    for place in (f"{tmp_path / 'mine.py'}:Mine", "not.there:Mine", "nothing"):
        made = recorded([1, 2], hash="a" * 64)
        (file,) = write_all(tmp_path, replace(made, agent={**made.agent, "is": place}))
        ended = seqrl("runs", file)
        assert ended.status == 0, ended.err
        assert "cannot be had here (" in ended.out


def test_a_folder_is_no_record(seqrl: Run, results: Path) -> None:
    """All other commands take results folders as they stand."""
    ended = seqrl("runs", results)
    assert ended.status == 2 and f"`seqrl runs --results {results}` lists" in ended.err


def test_which_one_is_meant(seqrl: Run, results: Path) -> None:
    """An answer about another run than the one asked for."""
    ended = seqrl("runs", "zzz", "--results", results)
    assert ended.status == 2 and recorded([0, 40]).hash[:8] in ended.err
    assert seqrl("runs", "a", "b", "c", "--results", results).status == 2
    (results / "x.json").write_text("{}")
    ended = seqrl("runs", results / "x.json")
    assert ended.status == 2 and "not a whole record" in ended.err


def test_why_it_was_run_again(seqrl: Run, tmp_path: Path) -> None:
    """An evening of training, because of what?"""
    first = recorded([1])
    second = recorded([1], torch="2.9.0", agent=BehaviourCloning(fraction=0.5))
    third = replace(first, experiment="paper", machine={**first.machine, "threads": 9})
    one, two, three = write_all(tmp_path, first, second, third)
    ended = seqrl("runs", one, second.hash[:8], "--results", tmp_path)
    assert ended.status == 0, ended.err
    found = {line.split()[0]: line.split()[1:] for line in ended.out.splitlines()[3:-1]}
    assert found == {
        "agent.fraction": ["1.0", "0.5", "yes"],
        "identity.versions.torch": ["2.8.0", "2.9.0", "yes"],
        "versions.torch": ["2.8.0", "2.9.0", "no"],
    }
    assert "Two runs: 2 fields differ that the hash covers." in ended.out
    said = seqrl("runs", one, three).out
    assert "machine.threads" in said and "One hash: they are one run" in said
    write_record(two, replace(second, seed=4, hash=first.hash))
    ended = seqrl("runs", one, two)
    assert "changed by hand" in ended.out and "contradicts itself: its hash" in ended.err
    plain = json.loads(seqrl("runs", one, two, "--json").out)
    assert plain["differences"][0] == {
        "field": "agent.fraction", "first": 1.0, "second": 0.5, "in_hash": True,
    }  # fmt: skip


def test_it_needs_no_network_library(results: Path) -> None:
    """Whoever looks at results waits for no simulator, and for no torch."""
    command = [sys.executable, "-X", "importtime", "-m", "seqrl", "runs", "--results", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.split("\n")}
    assert "numpy" in loaded and not loaded & {"torch", "gymnasium", "pandas", "matplotlib"}
