"""`seqrl reproduce`: what it says, for people and for programs, and how it ends."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.cli.reproduce import verdict
from seqrl.runs.agreement import Weights, agreement
from seqrl.runs.record import RunRecord
from seqrl.runs.records import Found
from seqrl.runs.run import run_one
from tests.conftest import Ended
from tests.runs.making import small, spec_of, toy_source
from tests.runs.recorded import recorded

Run = Callable[..., Ended]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """Make a run in a results folder, with one thread; its record."""
    before, source = torch.get_num_threads(), toy_source()
    spec = spec_of(small(BehaviourCloning), source)
    _, place = run_one(spec, source, results=tmp_path, device="cpu", threads=1)
    yield place.record
    torch.set_num_threads(before)


def edit(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    plain = json.loads(file.read_text())
    change(plain)
    file.write_text(json.dumps(plain))


def test_equal_by_file_and_by_hash(seqrl: Run, file: Path, tmp_path: Path) -> None:
    """The verdict comes first; what was run again must not be counted as another seed."""
    listed = seqrl("runs", "--results", tmp_path).out
    ended = seqrl("reproduce", file, "--results", tmp_path)
    assert ended.status == 0, ended.err
    assert ended.out.splitlines()[:2] == [
        "equal: all 5 returns and all weights, bit for bit",
        "No recorded condition differs.",
    ]
    (again,) = (tmp_path / "reproduced" / "runs").rglob("seed-*.json")
    assert str(file) in ended.out and str(again) in ended.out and "30/30 updates" in ended.err
    assert seqrl("runs", "--results", tmp_path).out == listed
    begun = json.loads(file.read_text())["hash"][:8]
    ended = seqrl("reproduce", begun, "--results", tmp_path, "--json")
    plain = json.loads(ended.out)
    assert ended.status == 0 and "updates" not in ended.err
    assert plain["equal"] and plain["conditions"] == [] and plain["weights"]["differing"] == 0
    assert plain["then"]["file"] == str(file) and plain["now"]["file"] == str(again)
    assert plain["then"]["score"] == plain["now"]["score"] and not plain["changed_by_hand"]


def test_not_equal_says_by_how_much_and_why(
    seqrl: Run, file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A status for scripts, a sentence for people, a table for who looks for the cause."""

    def otherwise(plain: dict[str, Any]) -> None:
        plain["evaluations"][0]["episodes"][2]["return"] += 0.5
        plain["machine"]["processor"] = "ABACUS"
        plain["identity"]["versions"]["mujoco"] = "1.0"

    edit(file, otherwise)
    ended = seqrl("reproduce", file, "--results", tmp_path)
    assert ended.status == 1
    first, second, head, hashed, unhashed, *_ = ended.out.splitlines()
    assert first.startswith("not equal: 1 of 5 episodes differ, their returns by at most 0.5; ")
    assert "changed by hand" in second and head.split()[0] == "differs"
    assert hashed.split()[:2] == ["identity.versions.mujoco", "1.0"] and " yes " in hashed
    assert unhashed.split()[:2] == ["machine.processor", "ABACUS"] and " no " in unhashed
    assert "last bits" in unhashed
    assert "versions.mujoco: 1.0 then" in caplog.text  # before it is trained
    plain = json.loads(seqrl("reproduce", file, "--results", tmp_path, "--json").out)
    assert (plain["differing"], plain["episodes"], plain["changed_by_hand"]) == (1, 5, True)
    assert plain["largest_difference"] == pytest.approx(0.5)
    one, other = plain["conditions"]
    assert one["in_hash"] and not other["in_hash"] and other["first"] == "ABACUS"


def test_without_a_recorded_cause_it_says_what_no_record_knows(
    seqrl: Run, file: Path, tmp_path: Path
) -> None:
    """Nothing differs, and nothing is equal: that needs a word."""
    edit(file, lambda plain: plain["evaluations"][0]["episodes"][0].update(length=1))
    ended = seqrl("reproduce", file, "--results", tmp_path)
    assert ended.status == 1 and "1 of 5 episodes differ; score" in ended.out
    assert "What no record knows of" in ended.out


def test_what_cannot_be_asked_ends_with_a_sentence(seqrl: Run, file: Path, tmp_path: Path) -> None:
    """And with another status than a difference: a script must tell them apart."""
    results = ("--results", tmp_path)
    for command, said in (
        (("zzz", *results), "no record whose hash begins so"),
        ((file, "--results", tmp_path, "--device", "tpu"), "A device is auto, cpu"),
    ):
        ended = seqrl("reproduce", *command)
        assert ended.status == 2 and said in ended.err and not ended.out
    edit(file, lambda plain: plain["identity"].update(protocol=1))
    ended = seqrl("reproduce", file, *results)
    assert ended.status == 2 and "protocol 1 then" in ended.err and "--anyway" in ended.err
    ended = seqrl("reproduce", file, *results, "--anyway")
    assert ended.status == 0 and "identity.protocol" in ended.out


def test_every_verdict() -> None:
    """A sentence that says the opposite of the status is worse than none."""

    def said(then: RunRecord, now: RunRecord, **given: Any) -> str:
        place = Path("nowhere")
        agreed = agreement(Found(file=place, record=then), Found(file=place, record=now))
        agreed = replace(agreed, **given)
        assert verdict(agreed).startswith("equal: ") == agreed.equal
        return verdict(agreed)

    done, failed = recorded([10, 20]), recorded()
    other = recorded(error="Traceback\nOSError: full\n")
    one = {**done.evaluations[0]}
    better = replace(done, evaluations=[{**one, "score": 99.0}])
    for found, expected in (
        (said(failed, failed), "equal: it fails again: Traceback: it broke"),
        (said(failed, other), "not equal: it fails again, otherwise: Traceback: it broke then, "
         "OSError: full now"),
        (said(done, other), "not equal: score 7.5 then; now it fails: OSError: full"),
        (said(other, done), "not equal: it failed then (OSError: full), and now it does not: "
         "score 7.5"),
        (said(done, recorded([10, 20.5])), "not equal: 1 of 2 episodes differ, their returns by at "
         "most 0.5; score 7.5 then, 7.6 now"),
        (said(better, done), "not equal: all 2 returns are equal; score 99.0 then, 7.5 now"),
        (said(done, done, weights=Weights(tensors=9, differing=2, largest=1e-7)), "not equal: 2 of "
         "9 arrays of weights differ, by at most 1e-07; all 2 returns are equal; score 7.5 then, "
         "7.5 now"),
        (said(recorded([3], reference=None), recorded([4], reference=None)), "not equal: 1 of 1 "
         "episode differ, their returns by at most 1; return 3.0 then, 4.0 now"),
    ):  # fmt: skip
        assert found == expected
    assert said(done, done).startswith(
        "equal: all 2 returns, bit for bit; weights were not compared"
    )
