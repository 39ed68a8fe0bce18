"""A record run again: equal where it must be, found out where it is not, and why it is not."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from seqrl.agents.agent import Agent
from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.data.source import import_data
from seqrl.data.whole import sha256_of
from seqrl.errors import DataError, SeqrlError
from seqrl.evaluation import Evaluation
from seqrl.plain import class_at
from seqrl.runs.agreement import Agreement, agreement, conditions
from seqrl.runs.finding import record_at
from seqrl.runs.record import RunRecord, read_record, write_record
from seqrl.runs.records import Found
from seqrl.runs.reproduction import reproduce, spec_of
from seqrl.runs.run import run_one
from tests.runs.making import TRAINING, small, toy_source
from tests.runs.making import spec_of as asked_for
from tests.runs.recorded import recorded, write_all
from tests.runs.test_run import AGENT
from tests.toy import ENVIRONMENT

TWICE = Evaluation(episodes=3, times=2)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Leave the threads of this process as they were."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(folder: Path, agent: Agent | None = None, **given: Any) -> Found:
    source = toy_source()
    given = {"evaluation": TWICE, "changed": ("episodes=3",), **given}
    spec = asked_for(agent or small(BehaviourCloning), source, **given)
    record, place = run_one(spec, source, results=folder / "old", device="cpu", threads=1)
    return Found(file=place.record, record=record)


def again(then: Found, folder: Path, **given: Any) -> Agreement:
    return reproduce(then, results=folder / "new", **given)


def edited(then: Found, change: Callable[[dict[str, Any]], None]) -> Found:
    """Change the record's file, as somebody with an editor would."""
    plain = json.loads(then.file.read_text())
    change(plain)
    then.file.write_text(json.dumps(plain))
    return record_at(str(then.file), None)


def fields(agreed: Agreement) -> list[str]:
    return [one.field for one in agreed.conditions]


def test_on_the_same_machine_all_is_equal(tmp_path: Path) -> None:
    """A tool that finds a difference where there is none is not asked twice."""
    then = run(tmp_path, seed=3, experiment="my.own.py", name="mine")
    torch.set_num_threads(2)
    agreed = again(then, tmp_path)
    assert agreed.equal and agreed.whole and not agreed.conditions
    assert (agreed.episodes, agreed.differing, agreed.largest) == (6, 0, 0.0)
    now = agreed.now.record
    # It was trained again, and not copied; everything that was said is said again.
    assert agreed.now.file.is_relative_to(tmp_path / "new") and agreed.now.file != then.file
    assert now.machine["threads"] == 1 and now.hash == then.record.hash
    for name in ("experiment", "name", "changed", "seed", "agent", "identity", "task"):
        assert getattr(now, name) == getattr(then.record, name), name
    assert agreed.weights is not None and agreed.weights.differing == 0
    assert agreed.weights.tensors == len(load_file(then.file.with_suffix(".safetensors")))


def test_a_return_that_somebody_has_edited_is_found_out(tmp_path: Path) -> None:
    """This is what the command is for."""
    then = run(tmp_path)

    def more(plain: dict[str, Any]) -> None:
        plain["evaluations"][0]["episodes"][1]["return"] += 0.25

    agreed = again(edited(then, more), tmp_path)
    assert not agreed.equal and not agreed.conditions
    assert (agreed.differing, agreed.episodes) == (1, 6)
    assert agreed.largest == pytest.approx(0.25)
    assert agreed.weights is not None and not agreed.weights.differing


@pytest.mark.parametrize("place", ["score", "length", "episode", "evaluation"])
def test_whatever_else_is_edited_is_found_out(tmp_path: Path, place: str) -> None:
    """A better mean above honest returns, a shorter episode, one that is left out."""
    then, now = recorded([1, 2]), recorded([1, 2])
    one = {**now.evaluations[0]}
    one["episodes"] = [{**episode, "length": 5} for episode in one["episodes"]]
    now = replace(now, evaluations=[one])
    bad = json.loads(json.dumps(one))
    if place == "score":
        bad["score"] += 10
    elif place == "length":
        bad["episodes"][0]["length"] = 4
    elif place == "episode":
        del bad["episodes"][0]
    then = replace(now, evaluations=[bad, bad] if place == "evaluation" else [bad])
    agreed = agreement(*_written(tmp_path, then, now))
    assert not agreed.equal
    same = agreement(*_written(tmp_path, now, now))
    assert same.equal and same.weights is None and "missing" in same.without_weights


def _written(folder: Path, *records: RunRecord) -> list[Found]:
    files = [write_all(folder / str(n), one)[0] for n, one in enumerate(records)]
    return [Found(file=file, record=one) for file, one in zip(files, records, strict=True)]


def test_other_weights_are_found_out(tmp_path: Path) -> None:
    """Equal returns of other weights are luck; a file that is not the record's proves nothing."""
    then = run(tmp_path)
    file = then.file.with_suffix(".safetensors")
    agreed = again(then, tmp_path)
    whole = file.read_bytes()
    with safe_open(file, framework="pt") as opened:
        about = opened.metadata()
    tensors = load_file(file)
    name = next(name for name in tensors if name.startswith("weights."))
    tensors[name].view(-1)[0] += 0.5
    save_file(tensors, file, metadata=about)
    other = again(then, tmp_path)
    assert other.weights is None and "another than the record's" in other.without_weights
    said = {"file": file.name, "sha256": sha256_of(file)}
    changed = again(Found(file=then.file, record=replace(then.record, checkpoint=said)), tmp_path)
    assert changed.weights is not None and not changed.equal and changed.differing == 0
    assert changed.weights.differing == 1
    assert changed.weights.largest == pytest.approx(0.5)
    file.unlink()
    without = again(then, tmp_path)
    assert without.equal and without.weights is None and "missing" in without.without_weights
    file.write_bytes(whole)
    assert again(then, tmp_path) == agreed


def test_what_was_not_as_it_was_is_named(tmp_path: Path) -> None:
    """Not equal, and no word why: the evening begins with a search."""
    then = recorded([1, 2], torch="2.8.0")
    now = recorded([1, 2], torch="2.9.0")
    now = replace(
        now,
        machine={**now.machine, "threads": 7, "processor": "AVX512"},
        versions={**now.versions, "numpy": "9.9"},
        identity={**now.identity, "code": {"/my/a.b.py": "1"}, "fingerprint": "f"},
        agent={**now.agent, "training": {**now.agent["training"], "precision": "float32"}},
    )
    found = {one.field: (one.first, one.second) for one in conditions(then, now)}
    assert found == {
        "identity.fingerprint": ("0123456789abcdef", "f"),
        "identity.versions.torch": ("2.8.0", "2.9.0"),
        "identity.code./my/a.b.py": ("(not there)", "1"),
        "machine.processor": ("AVX2", "AVX512"),
        "machine.threads": (2, 7),
        "versions.numpy": ("2.1.0", "9.9"),
    }
    hashed = [one.in_hash for one in conditions(then, now)]
    assert hashed == sorted(hashed, reverse=True) and sum(hashed) == 3
    moves = {one.field: one.moves for one in conditions(then, now)}
    assert "code" in moves["identity.code./my/a.b.py"]
    assert "last bits" in moves["machine.threads"] and "everything" in moves["identity.fingerprint"]


def test_every_field_of_a_record_has_something_to_move(tmp_path: Path) -> None:
    """A condition that nobody thought of must not end the comparison."""
    then = run(tmp_path).record
    empty: dict[str, Any] = {}
    now = replace(then, agent=empty, identity=empty, task=empty, machine=empty, versions=empty)
    found = conditions(then, now)
    assert len(found) > 50 and all(one.moves for one in found)


def test_a_build_of_the_same_version(tmp_path: Path) -> None:
    """2.8.0+cpu and 2.8.0+cu128 are one version, and no record of a GPU would be reproduced."""
    then, now = recorded([1]), recorded([1])
    now = replace(now, versions={**now.versions, "torch": "2.8.0+cu128"})
    assert [one.field for one in conditions(then, now)] == ["versions.torch"]


def test_other_versions_are_said_before_it_is_trained(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Hours later one hears that it could not have been equal."""

    def older(plain: dict[str, Any]) -> None:
        plain["identity"]["versions"]["torch"] = "1.0"
        plain["versions"]["numpy"] = "1.0"

    agreed = again(edited(run(tmp_path), older), tmp_path)
    assert agreed.equal and not agreed.whole
    assert fields(agreed) == ["identity.versions.torch", "versions.numpy"]
    assert "versions.torch: 1.0 then" in caplog.text


def test_precision_is_the_records_and_not_this_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` comes to something else on the next machine; the numbers must not."""
    supported = "torch.cpu._is_avx512_bf16_supported"
    assert TRAINING.precision == "auto"
    weights = []
    for first in (False, True):
        monkeypatch.setattr(supported, lambda first=first: first)
        then = run(tmp_path / str(first))
        assert then.record.agent["training"]["precision"] == "auto"
        monkeypatch.setattr(supported, lambda first=first: not first)
        agreed = again(then, tmp_path / str(first))
        precision = "bfloat16" if first else "float32"
        assert agreed.now.record.training["precision"] == precision
        assert agreed.now.record.agent["training"]["precision"] == precision
        assert agreed.equal and not agreed.conditions and agreed.weights is not None
        weights.append(load_file(then.file.with_suffix(".safetensors")))
    # Or the test would say nothing: in another precision they are others.
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_other_data_under_that_name_is_refused(tmp_path: Path) -> None:
    """An hour of training for numbers that cannot be equal."""
    then = run(tmp_path)
    import_data(
        "tests.runs.test_reproduction:fewer", name="toy", environment=ENVIRONMENT,
        reference=(-10.0, 20.0), replacing=True,
    )  # fmt: skip
    with pytest.raises(SeqrlError, match=r"cannot be equal: data file/toy\+.*fingerprint .*anyway"):
        again(then, tmp_path)
    assert not (tmp_path / "new").exists()
    agreed = again(then, tmp_path, anyway=True)
    assert not agreed.equal and {"identity.fingerprint", "identity.data"} <= {*fields(agreed)}
    assert "task.name" not in fields(agreed)


def fewer() -> Any:
    """Give other data for the same name."""
    from tests.toy import episodes

    return episodes(20)


def test_another_protocol_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number is raised because numbers move; nothing need be fetched to know that."""

    def older(plain: dict[str, Any]) -> None:
        plain["identity"]["protocol"] = 1

    then = edited(run(tmp_path), older)
    with monkeypatch.context() as without:
        without.setattr("seqrl.runs.reproduction.Source", None)
        with pytest.raises(SeqrlError, match="protocol 1 then, 2 here"):
            again(then, tmp_path)
    agreed = again(then, tmp_path, anyway=True)
    assert fields(agreed) == ["identity.protocol"]


def test_it_is_not_compared_with_itself(tmp_path: Path) -> None:
    """Equal, because it is the same file."""
    then = run(tmp_path)
    with pytest.raises(SeqrlError, match="compared with itself"):
        reproduce(then, results=tmp_path / "old")
    agreed = again(then, tmp_path)
    with pytest.raises(SeqrlError, match="compared with itself"):
        again(agreed.now, tmp_path)


def test_done_already_it_is_compared_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked twice it must cost nothing; asked otherwise it must not take the old answer."""
    then = run(tmp_path)
    first = again(then, tmp_path)
    monkeypatch.setattr("seqrl.runs.run.work_on", lambda *_, **__: pytest.fail("it ran again"))
    assert again(then, tmp_path) == first
    record = replace(then.record, machine={**then.record.machine, "threads": 2})
    with pytest.raises(SeqrlError, match="before, with threads 1 and not 2"):
        again(Found(file=then.file, record=record), tmp_path)


def test_killed_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What costs a day is killed on that day."""
    then = run(tmp_path)
    from seqrl.training.trainer import Trainer

    begun, until, step = [], Trainer.until, Trainer._step

    def killed(self: Trainer, update: int) -> None:
        if self.update >= 15:
            raise KeyboardInterrupt
        until(self, update)

    def counted(self: Trainer) -> None:
        begun.append(self.update)
        step(self)

    monkeypatch.setattr(Trainer, "_step", counted)
    with monkeypatch.context() as broken:
        broken.setattr(Trainer, "until", killed)
        with pytest.raises(KeyboardInterrupt):
            again(then, tmp_path)
    assert begun == [*range(15)] and not [*(tmp_path / "new").rglob("seed-*.json")]
    assert again(then, tmp_path).equal
    assert begun == [*range(30)]


# ---- failures ------------------------------------------------------------------------------------


def _broken(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("seqrl.runs.run.play", fail)


def test_does_it_fail_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that nobody can bring about again cannot be mended."""
    with monkeypatch.context() as broken:
        _broken(broken, RuntimeError("it\nis broken"))
        with pytest.raises(RuntimeError):
            run(tmp_path)
    (file,) = tmp_path.rglob("seed-*.json")
    failed = record_at(str(file), None)
    with monkeypatch.context() as broken:
        _broken(broken, RuntimeError("it\nis broken"))
        assert again(failed, tmp_path).equal
    with monkeypatch.context() as broken:
        _broken(broken, RuntimeError("otherwise"))
        agreed = again(failed, tmp_path)
        assert not agreed.equal and agreed.now.record.status == "failed"
    agreed = again(failed, tmp_path)
    assert not agreed.equal and agreed.now.record.status == "done"
    assert agreed.weights is None and agreed.now.record.score is not None


def test_what_was_done_fails_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is an answer; a full disk here is none."""
    then = run(tmp_path)
    with monkeypatch.context() as broken:
        _broken(broken, SeqrlError("The agent's actions are not finite."))
        agreed = again(then, tmp_path)
        assert not agreed.equal and "not finite" in str(agreed.now.record.error)
    with monkeypatch.context() as broken:
        _broken(broken, DataError("No room left."))
        with pytest.raises(DataError, match="No room left"):
            again(then, tmp_path)
    assert again(then, tmp_path).equal


# ---- agents of one's own -------------------------------------------------------------------------


def own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Found]:
    """Run an agent that is a file here; and forget the file, as another process would."""
    monkeypatch.syspath_prepend(str(folder))
    file = folder / "lazy_mine.py"
    file.write_text(AGENT)
    kind: type[Agent] = class_at("lazy_mine:Lazy", Agent)  # type: ignore[type-abstract]
    then = run(folder, small(kind))
    monkeypatch.delitem(sys.modules, "lazy_mine")
    return file, then


def test_an_agent_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The file that made the number is the first thing that people edit."""
    file, then = own(tmp_path, monkeypatch)
    assert again(then, tmp_path).equal
    monkeypatch.delitem(sys.modules, "lazy_mine")
    file.write_text(AGENT.replace("self.share *", "0.9 * self.share *"))
    agreed = again(then, tmp_path)
    assert not agreed.equal and fields(agreed) == ["identity.code.lazy_mine"]
    assert agreed.weights is not None and not agreed.weights.differing
    assert "own code has changed since: lazy_mine" in caplog.text


def test_an_agent_of_ones_own_that_is_not_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which file, of which agent: whoever gets a record by mail has only this sentence."""
    file, then = own(tmp_path, monkeypatch)
    file.write_text(AGENT.replace("share", "part"))
    with pytest.raises(SeqrlError, match=r"no field 'share'.*not what it was: lazy_mine"):
        again(then, tmp_path)
    monkeypatch.delitem(sys.modules, "lazy_mine")
    file.unlink()
    with pytest.raises(SeqrlError, match=r"lazy_mine:Lazy, and its code is not here: lazy_mine"):
        again(then, tmp_path)
    gone = replace(then.record, identity={**then.record.identity, "code": {"/no/mine.py": "1"}})
    with pytest.raises(SeqrlError, match=r"not here: /no/mine\.py"):
        again(Found(file=then.file, record=gone), tmp_path)


def test_a_spec_is_what_was_asked_for(tmp_path: Path) -> None:
    """A setting that is lost on the way is another run under the same name."""
    source = toy_source("+delayed")
    agent = small(BehaviourCloning, fraction=0.5)
    spec = asked_for(agent, source, seed=7, evaluation=TWICE, changed=("fraction=0.5",))
    record, place = run_one(spec, source, results=tmp_path, device="cpu", threads=1)
    assert replace(spec_of(record), experiment="quick") == spec
    assert again(Found(file=place.record, record=record), tmp_path).equal
    write_record(place.record, replace(record, agent={**record.agent, "newer": 1}))
    with pytest.raises(SeqrlError, match=r"no field 'newer'.*written by seqrl \d"):
        spec_of(read_record(place.record))
