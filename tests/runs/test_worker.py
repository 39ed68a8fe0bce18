"""Orders that travel, without anything to travel on: what comes back, and what is gone on from."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seqrl.agents.agent import Agent
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.data.copies import packed, unpack
from seqrl.errors import DataError
from seqrl.evaluation import Evaluation
from seqrl.plain import to_plain
from seqrl.runs.experiment import agent_named, experiment_named
from seqrl.runs.identity import code_of
from seqrl.runs.job import Job
from seqrl.runs.ledger import Claim, Ledger
from seqrl.runs.order import (
    Begun,
    DataMissing,
    Failed,
    Finished,
    Going,
    Kept,
    Order,
    order_of,
    spec_in,
)
from seqrl.runs.run import run_one
from seqrl.runs.worker import messages
from tests.runs.launching import jobs_of, without_times
from tests.runs.making import agent_classes, small, toy_source
from tests.runs.test_run import AGENT


@pytest.fixture(autouse=True)
def told_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hear every step, not one a second."""
    monkeypatch.setattr("seqrl.runs.worker.TELL_SECONDS", 0.0)


def job_of(agent: Agent, **given: Any) -> Job:
    return jobs_of([agent], toy_source(), 1, **given)[0]


def ordered(job: Job, **changed: Any) -> Order:
    return replace(order_of(job, kept={}, device="cpu", threads=1), **changed)


def claimed(job: Job, results: Path) -> Claim:
    claim = Ledger(results).claim(job)
    assert claim is not None
    return claim


@pytest.mark.parametrize("kind", agent_classes(), ids=lambda kind: kind.__name__)
def test_what_comes_back_is_what_a_run_here_gives(kind: type[Agent], tmp_path: Path) -> None:
    """Numbers that depend on where they were made are nobody's."""
    job = job_of(small(kind))
    begun, *between, last = messages(ordered(job), "there")
    assert begun == Begun("there") and isinstance(last, Finished)
    assert {type(message) for message in between} == {Going, Kept}
    claim = claimed(job, tmp_path)
    record = claim.finish(last.record, last.checkpoint, last.metrics)
    here, place = run_one(job.spec, job.source, results=tmp_path / "here", device="cpu", threads=1)
    assert without_times(record) == without_times(here)
    assert claim.place.checkpoint.read_bytes() == place.checkpoint.read_bytes()
    assert claim.place.metrics.exists() and not claim.place.work.exists()


def test_a_spec_survives_the_way(tmp_path: Path) -> None:
    """A setting that is lost on the way is another run under the same name."""
    job = job_of(small(DecisionTransformer, target=3.5), evaluation=Evaluation(episodes=2, times=2))
    assert spec_in(ordered(job)) == job.spec


def test_it_goes_on_from_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is lost must cost a minute, not the run."""
    from seqrl.training.trainer import Trainer

    monkeypatch.setattr("seqrl.training.trainer.SAVE_SECONDS", 0.0)
    job = job_of(small(DecisionTransformer), evaluation=Evaluation(episodes=3, times=3))
    *_, whole = messages(ordered(job), "there")
    assert isinstance(whole, Finished)
    claim = claimed(job, tmp_path)
    stream, kept = messages(ordered(job), "there"), 0
    for message in stream:
        if isinstance(message, Kept):
            claim.keep(message.files)
            kept += "episodes-20.jsonl" in message.files
        if kept:
            break
    stream.close()  # type: ignore[attr-defined]
    updates: list[None] = []
    step = Trainer._step
    monkeypatch.setattr(Trainer, "_step", lambda self: updates.append(step(self)))
    *_, last = messages(ordered(job, kept=claim.kept()), "elsewhere")
    assert isinstance(last, Finished) and len(updates) == 10, "it began anew"
    assert last.checkpoint == whole.checkpoint and last.metrics.count(b"\n") == 1
    both = [claim.finish(m.record, m.checkpoint, m.metrics) for m in (whole, last)]
    assert without_times(both[0]) == without_times(both[1])


def test_a_failure_comes_back_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """ "It failed somewhere" is no help."""
    job = job_of(small(DecisionTransformer))
    monkeypatch.setattr("seqrl.runs.run.play", lambda *_, **__: 1 / 0)
    *_, last = messages(ordered(job), "there")
    assert isinstance(last, Failed) and "ZeroDivisionError" in last.error
    assert last.record is not None and b'"failed"' in last.record


def test_another_machine_under_other_conditions_refuses() -> None:
    """The right hash over the wrong numbers would never be found out."""
    job = job_of(small(DecisionTransformer))
    identity = {**job.identity, "versions": {**job.identity["versions"], "torch": "1.0"}}
    *_, last = messages(ordered(job, hash="0" * 64, identity=identity), "there")
    assert isinstance(last, Failed) and last.record is None
    assert "versions.torch is " in last.error and "not '1.0'" in last.error


def test_data_is_copied_and_never_takes_the_place_of_other_data(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine's own data of the same name is not ours to replace, nor to train on."""
    job = job_of(small(DecisionTransformer))
    *_, expected = messages(ordered(job), "here")
    parcel = packed(job.source.known)
    monkeypatch.setenv("SEQRL_HOME", str(tmp_path / "other"))
    *_, last = messages(ordered(job), "there")
    assert last == DataMissing("there")
    monkeypatch.setattr("tests.toy.HORIZON", 7)
    own = toy_source().known  # under the same name
    assert own.digests != job.source.known.digests
    *_, last = messages(ordered(job), "there")
    assert last == DataMissing("there")
    assert unpack(parcel) == unpack(parcel)
    before = os.environ["SEQRL_HOME"]
    *_, last = messages(ordered(job), "there")
    assert isinstance(last, Finished) and isinstance(expected, Finished)
    assert last.checkpoint == expected.checkpoint
    assert os.environ["SEQRL_HOME"] == before and toy_source().known.digests == own.digests


def test_damaged_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data that did not arrive as it was sent would be trained on under the right fingerprint."""
    parcel = packed(toy_source().known)
    monkeypatch.setenv("SEQRL_HOME", str(tmp_path / "other"))
    columns = {**parcel.columns, "rewards": parcel.columns["rewards"] + 1}
    with pytest.raises(DataError, match=r"rewards of file/toy.* did not arrive"):
        unpack(replace(parcel, columns=columns))


@pytest.mark.parametrize("as_file", [True, False])
def test_code_of_ones_own_travels(
    as_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent of one's own that only runs at home cannot be in the table."""
    file = tmp_path / "travels.py"
    file.write_text(AGENT)
    monkeypatch.syspath_prepend(str(tmp_path))
    place = f"{file}:Lazy" if as_file else "travels:Lazy"
    _, lazy = agent_named(place, experiment_named("quick"), "hopper-medium")
    settings = small(DecisionTransformer).training
    job = job_of(replace(lazy, training=settings, context_steps=3))  # type: ignore[call-arg]
    order = ordered(job)
    assert set(order.code) == {str(file) if as_file else "travels", "tests.toy"}
    sys.modules.pop(str(file) if as_file else "travels")
    monkeypatch.undo()
    monkeypatch.setenv("SEQRL_HOME", str(tmp_path / "home"))
    file.unlink()
    *_, last = messages(order, "there")
    assert isinstance(last, Finished), last
    assert to_plain(lazy)["is"].encode() in last.record


class Unlucky(DecisionTransformer):
    """Does not come back from its first decision."""

    def act(self, model: Any, history: Any) -> Any:
        """End the process."""
        sys.exit(3)


def test_a_failure_is_no_progress(tmp_path: Path) -> None:
    """What is written again as it was must not be taken for a step forward: it would go on for
    ever."""
    agent = Unlucky(training=small(DecisionTransformer).training)
    job = job_of(replace(agent, context_steps=4, network=small(DecisionTransformer).network))  # type: ignore[attr-defined]
    claim, news = claimed(job, tmp_path), []
    for _ in range(2):
        *told, last = messages(ordered(job, kept=claim.kept()), "there")
        assert isinstance(last, Failed) and "SystemExit: 3" in last.error
        news.append([message for message in told if isinstance(message, Kept)])
        for message in news[-1]:
            claim.keep(message.files)
    assert news[0] and not news[1]


def test_code_is_what_it_was_when_it_was_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is edited while data is being built, or between two runs, must not lend its hash
    to the code that is run."""
    file = tmp_path / "edited.py"
    file.write_text(AGENT)
    _, lazy = agent_named(f"{file}:Lazy", experiment_named("quick"), "hopper-medium")
    before = code_of(lazy)
    file.write_text(AGENT + "# edited\n")
    assert code_of(lazy) == before
    job = job_of(replace(lazy, training=small(DecisionTransformer).training, context_steps=3))  # type: ignore[call-arg]
    order = ordered(job)
    monkeypatch.delitem(sys.modules, str(file))
    *_, last = messages(order, "there")
    assert isinstance(last, Finished), last


@pytest.fixture
def two_claims(tmp_path: Path) -> Iterator[tuple[Job, Path]]:
    yield job_of(small(DecisionTransformer)), tmp_path


def test_one_run_has_one_owner(two_claims: tuple[Job, Path]) -> None:
    """Two launches that do one run overwrite one another's files."""
    job, results = two_claims
    first = claimed(job, results)
    assert Ledger(results).claim(job) is None
    first.release()
    with claimed(job, results):
        assert Ledger(results).claim(job) is None


def test_something_else_does_not_become_the_record(two_claims: tuple[Job, Path]) -> None:
    """What comes from elsewhere is looked at before it counts."""
    job, results = two_claims
    *_, last = messages(ordered(job), "there")
    assert isinstance(last, Finished)
    claim = claimed(job, results)
    for record, checkpoint in ((last.record[:100], last.checkpoint), (last.record, b"else")):
        with pytest.raises(DataError):
            claim.finish(record, checkpoint, last.metrics)
        assert not list(results.rglob("seed-*.json")) and claim.place.work.exists()
