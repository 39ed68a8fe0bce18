"""Runs from data to record: what is recorded, what is not run twice, and kill -9."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from seqrl.agents.agent import Agent
from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.episodes import History
from seqrl.errors import DataError, SeqrlError
from seqrl.evaluation import Evaluation
from seqrl.policy import Policy
from seqrl.runs.place import Place
from seqrl.runs.record import RunRecord, read_record, write_record
from seqrl.runs.run import run_one
from seqrl.runs.source import Source
from seqrl.tasks.task import Reference
from tests.conftest import Ended
from tests.runs.making import agent_classes, small, spec_of, toy_source

ROOT = Path(__file__).parents[2]


def done(agent: Agent, source: Source, results: Path, **given: Any) -> tuple[RunRecord, Place]:
    return run_one(spec_of(agent, source, **given), source, results=results, device="cpu")


@pytest.mark.parametrize("kind", agent_classes(), ids=lambda kind: kind.__name__)
def test_a_record_answers_every_question(kind: type[Agent], tmp_path: Path) -> None:
    """A score without its data, seeds or rule is a rumour."""
    source = toy_source()
    record, place = done(small(kind), source, tmp_path, evaluation=Evaluation(episodes=5, times=2))
    assert read_record(place.record) == record
    plain = json.loads(place.record.read_text())
    assert place.record.parent == tmp_path / "runs/quick" / source.task.name.replace("/", "-") / (
        kind.__name__
    )
    assert record.status == "done" and record.error is None
    first, last = plain["evaluations"]
    assert (first["update"], last["update"]) == (15, 30)
    for evaluation in (first, last):
        returns = [episode["return"] for episode in evaluation["episodes"]]
        assert len(returns) == 5 and evaluation["return"] == pytest.approx(sum(returns) / 5)
        assert evaluation["score"] == pytest.approx(100 * (evaluation["return"] + 10) / 30)
        assert all(0 < episode["length"] <= 12 for episode in evaluation["episodes"])
        assert len({episode["seed"] for episode in evaluation["episodes"]}) == 5
    assert record.score == last["score"] and record.checkpoint_rule == "last"
    caption = record.caption()
    for said in (
        source.task.name, record.data["fingerprint"][:8], "tests.toy:Toy-v0", "seed 0",
        "30 updates in ", "last checkpoint, 5 episodes", "played in float32",
        f"torch {torch.__version__}", "mujoco ", "protocol ",
    ):  # fmt: skip
        assert said in caption, said
    metrics = [json.loads(line) for line in place.metrics.read_text().splitlines()]
    assert metrics[-1]["update"] == 30 and "error.action" in metrics[-1]
    assert not place.work.exists() and not list((tmp_path / ".work").iterdir())


def test_a_checkpoint_plays_the_returns_of_its_record(tmp_path: Path) -> None:
    """If it does not, one of the two is not what it says."""
    from seqrl.evaluation import play

    source = toy_source()
    record, place = done(small(DecisionTransformer), source, tmp_path)
    policy = Policy.load(place.checkpoint)
    episodes = play(policy.agent, policy.model, policy.task, seed=0, numbers=range(5))
    assert [e.plain() for e in episodes] == list(record.evaluations[-1]["episodes"])
    assert record.facts["target_rule"] == "best_in_data"
    assert record.facts["target_return"] == pytest.approx(source.episodes.returns.max())


def test_evaluations_on_the_way_change_no_weights(tmp_path: Path) -> None:
    """Looking more often must not give another agent."""
    source, agent = toy_source(), small(DecisionTransformer)
    _, often = done(agent, source, tmp_path, evaluation=Evaluation(episodes=3, times=5))
    _, once = done(agent, source, tmp_path, evaluation=Evaluation(episodes=3, times=1))
    one, other = load_file(often.checkpoint), load_file(once.checkpoint)
    assert once.record != often.record and all(torch.equal(one[n], other[n]) for n in one)


def test_evaluation_seeds_are_the_same_for_every_agent(tmp_path: Path) -> None:
    """Differences between agents are smaller than those between starts: they must be paired."""
    source = toy_source()
    seeds = []
    for agent in (small(DecisionTransformer), small(BehaviourCloning)):
        record, _ = done(agent, source, tmp_path)
        seeds.append([episode["seed"] for episode in record.evaluations[-1]["episodes"]])
    record, _ = done(small(BehaviourCloning), source, tmp_path, seed=1)
    other = [episode["seed"] for episode in record.evaluations[-1]["episodes"]]
    assert seeds[0] == seeds[1] and not set(other) & set(seeds[0])


def test_what_is_done_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The same command twice must cost nothing; another setting must not be taken for done."""
    source, agent = toy_source(), small(DecisionTransformer)
    record, place = done(agent, source, tmp_path)
    before = place.record.stat().st_mtime_ns
    again, same = done(agent, source, tmp_path, experiment="other/quick.py")
    assert again == record and same == place and place.record.stat().st_mtime_ns == before
    assert "is done already" in caplog.text
    assert done(agent, source, tmp_path, experiment="mine.py") == (record, place)
    place.checkpoint.unlink()
    _, renewed = done(agent, source, tmp_path)
    assert renewed.checkpoint.exists()
    reference = Reference(minimum=0.0, maximum=1.0, source="a test")
    scaled = replace(source, task=replace(source.task, reference=reference))
    others = [
        done(agent, source, tmp_path, seed=1),
        done(replace(agent, context_steps=3), source, tmp_path),  # type: ignore[call-arg]
        done(agent, source, tmp_path, evaluation=Evaluation(episodes=4)),
        done(agent, toy_source("+delayed"), tmp_path),
        done(agent, scaled, tmp_path),
        done(agent, replace(source, task=replace(source.task, horizon=11)), tmp_path),
    ]
    assert len({record.hash, *(other.hash for other, _ in others)}) == 7
    assert others[-2][0].score != record.score


def test_edited_code_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old score for the new code: nobody would look twice at "done already"."""
    from seqrl.runs.experiment import agent_named, experiment_named
    from seqrl.runs.identity import code_of

    quick = experiment_named("quick")
    digests, file = [], tmp_path / "mine_agent.py"
    for share in ("0.5", "0.25"):
        file.write_text(AGENT.replace("0.5", share))
        _, agent = agent_named(f"{file}:Lazy", quick, "hopper-medium")
        digests.append(code_of(agent))
        del sys.modules[str(file)]
    assert digests[0].keys() == digests[1].keys() == {str(file)} and digests[0] != digests[1]
    assert code_of(BehaviourCloning()) == {}
    file.write_text(AGENT.replace("@dataclass(frozen=True, kw_only=True)", ""))
    _, bare = agent_named(f"{file}:Lazy", quick, "hopper-medium")
    with pytest.raises(SeqrlError, match="no dataclass itself"):
        done(bare, toy_source(), tmp_path)


def test_an_agent_of_an_experiments_file_plays_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that only the process which wrote it can read is none."""
    from seqrl.runs.experiment import experiment_named

    file = str(ROOT / "tests/runs/slow.py")
    slow = experiment_named(file).agents["slow"]
    agent = replace(slow, training=small(DecisionTransformer).training)
    _, place = done(agent, toy_source(), tmp_path, evaluation=Evaluation(episodes=1))
    monkeypatch.delitem(sys.modules, file)
    assert type(Policy.load(place.checkpoint).agent).__name__ == "Slow"


def test_what_does_not_belong_together_is_run_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a checkpoint, or somebody's edit, must not pass for a finished run."""
    source, agent = toy_source(), small(BehaviourCloning)
    record, place = done(agent, source, tmp_path)
    whole = place.checkpoint.read_bytes()
    for file, content in (
        (place.checkpoint, whole[:500]),
        (place.record, place.record.read_bytes()[:200]),
        (place.record, place.record.read_bytes().replace(record.hash.encode(), b"0" * 64)),
    ):
        file.write_bytes(content)
        caplog.clear()
        again, _ = done(agent, source, tmp_path)
        assert "so it is run again" in caplog.text and again.hash == record.hash
        assert place.checkpoint.read_bytes() == whole


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([True, False] * 15, list(range(0, 30, 2))),
        ([5, 3, 3], [3, 5]),
        ([-1], None),
        ([30], None),
        ([], None),
        ([0.5], None),
    ],
)
def test_what_is_learnt_from_is_what_was_said(chosen: list[Any], expected: Any) -> None:
    """A sorted mask is the last episodes, and looks like a result."""
    from seqrl.runs.parting import parted

    class Choosy(BehaviourCloning):
        def learns_from(self, episodes: Any) -> Any:
            return np.array(chosen)

    episodes = toy_source().episodes
    if expected is None:
        with pytest.raises(SeqrlError, match=r"learns_from\(\) must return numbers"):
            parted(Choosy(), episodes)
    else:
        assert parted(Choosy(), episodes)[0].tolist() == expected


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.35, 0.4, 0.5])
def test_as_much_is_held_out_as_was_asked(share: float) -> None:
    """A third in place of four tenths measures another training."""
    from seqrl.runs.parting import parted

    agent = small(BehaviourCloning)
    agent = replace(agent, training=replace(agent.training, held_out=share))
    learnt, held_out = parted(agent, toy_source().episodes)
    assert len(held_out) == math.ceil(30 * share) and len(learnt) + len(held_out) == 30
    assert not set(learnt) & set(held_out)


def test_what_would_fail_in_the_end_fails_at_once(tmp_path: Path) -> None:
    """After hours of training is the wrong moment to hear that nothing can be played."""
    source, agent = toy_source(), small(BehaviourCloning)

    class Odd(BehaviourCloning):
        def facts(self, data: Any) -> dict[str, Any]:
            return {"x": np.float32(3)}

    unbounded = replace(source.task, action_low=(-np.inf, -1.0))
    for said, wrong, task in (
        ("could not be made", agent, replace(source.task, environment="tests.toy:Toy-v5")),
        ("have no bounds", agent, unbounded),
        (r"facts\(\) must return plain", Odd(), source.task),
    ):
        with pytest.raises(SeqrlError, match=said):
            done(wrong, replace(source, task=task), tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_journal_that_was_cut_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line glued to half a line loses a good episode, and with it the training."""
    source, agent = toy_source(), small(DecisionTransformer)
    evaluation = Evaluation(episodes=5, times=2)
    with monkeypatch.context() as broken:
        broken.setattr("seqrl.training.trainer.Trainer.save", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            done(agent, source, tmp_path, evaluation=evaluation)
    (work,) = (work for work in (tmp_path / ".work").iterdir() if work.is_dir())
    (work / "episodes-15.jsonl").write_text('{"number": 0, "se')
    with monkeypatch.context() as broken:
        broken.setattr("seqrl.training.trainer.Trainer.write_policy", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            done(agent, source, tmp_path, evaluation=evaluation)
    lines = (work / "episodes-15.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines if line] and len(lines) == 5
    record, _ = done(agent, source, tmp_path, evaluation=evaluation)
    assert [e["seconds"] is None for e in record.evaluations] == [True, True]


def test_delayed_data_is_played_delayed(tmp_path: Path) -> None:
    """Trained on rewards at the end and fed them at once, an agent would count down twice."""
    source = toy_source("+delayed")
    assert source.task.rewards_at_end and source.episodes.name.endswith("+delayed")
    record, place = done(small(DecisionTransformer), source, tmp_path)
    assert record.task["rewards_at_end"] and Policy.load(place.checkpoint).task.rewards_at_end
    assert any(episode["return"] != 0 for episode in record.evaluations[-1]["episodes"])


def test_a_failure_leaves_a_record_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that vanishes from the table looks as if it had never been asked for."""
    source, agent = toy_source(), small(BehaviourCloning)
    with monkeypatch.context() as broken:
        broken.setattr("seqrl.runs.run.play", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            done(agent, source, tmp_path)
    (file,) = (tmp_path / "runs").rglob("seed-*.json")
    failed = read_record(file)
    assert failed.status == "failed" and "ZeroDivisionError" in str(failed.error)
    assert failed.score is None and failed.evaluations == []
    record, place = done(agent, source, tmp_path)
    assert record.status == "done" and place.record == file


def test_files_that_are_no_records(tmp_path: Path) -> None:
    """A table is a function of records: what is none must be said, not skipped."""
    for content in ("", "{}", "[1]", '{"format": 99}', '{"format": 1, "status": "done"}'):
        (tmp_path / "r.json").write_text(content)
        with pytest.raises(DataError, match=r"r\.json"):
            read_record(tmp_path / "r.json")


def test_a_record_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a record would end every later command."""
    source = toy_source()
    record, place = done(small(BehaviourCloning), source, tmp_path)
    before = place.record.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(SeqrlError, match="No room left"):
        write_record(place.record, replace(record, seed=9))
    assert place.record.read_bytes() == before
    assert len(list(place.record.parent.iterdir())) == 3


# ---- killed ----------------------------------------------------------------------------------


def _command(results: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "seqrl", "run", "slow", "file/toy", "--experiment",
         str(ROOT / "tests/runs/slow.py"), "--results", str(results), "--threads", "1"],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "SEQRL_TEST_KEEP": "1"},
    )  # fmt: skip


def _finished(results: Path) -> tuple[list[Any], dict[str, torch.Tensor]]:
    """Return what a finished run came to: all evaluations, but for their seconds; the weights."""
    (file,) = (results / "runs").rglob("seed-*.json")
    evaluations = json.loads(file.read_text())["evaluations"]
    # How long it took nobody can say after a kill.
    told = [{k: v for k, v in evaluation.items() if k != "seconds"} for evaluation in evaluations]
    return told, load_file(file.with_suffix(".safetensors"))


def _killed_when(results: Path, ready: Callable[[Path], bool], chance: random.Random) -> None:
    """Start the command, and kill it a moment after what is awaited can be seen on disk."""
    process = _command(results)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if any(ready(work) for work in (results / ".work").glob("*") if work.is_dir()):
            time.sleep(chance.random() * 0.3)
            break
        time.sleep(0.01)
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_killed_in_training_and_in_evaluation_it_ends_the_same(tmp_path: Path) -> None:
    """The power goes where it goes; the same command must lose nothing and change nothing."""
    toy_source()
    chance = random.Random(time.time_ns())
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    reference = _command(whole)
    _killed_when(cut, lambda work: (work / "metrics.jsonl").exists(), chance)
    _killed_when(cut, lambda work: (work / "episodes-200.jsonl").exists(), chance)
    _killed_when(cut, lambda work: (work / "underway-400.safetensors").exists(), chance)
    assert not list(cut.rglob("seed-*.json")), "it was finished already: nothing was tested"
    assert _command(cut).wait() == 0 and reference.wait() == 0
    evaluations, weights = _finished(cut)
    expected, expected_weights = _finished(whole)
    assert evaluations == expected and len(evaluations) == 3
    assert all(torch.equal(weights[name], expected_weights[name]) for name in expected_weights)


def test_an_evaluation_goes_on_in_the_middle_of_its_episodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Played anew it would give the same numbers, and take hours."""
    source, agent, acts, act = toy_source(), small(DecisionTransformer), [], DecisionTransformer.act

    def counted(self: DecisionTransformer, model: Any, history: History) -> Any:
        acts.append(history.step)
        if len(acts) == 5:
            raise KeyboardInterrupt
        return act(self, model, history)

    whole, _ = done(agent, source, tmp_path / "whole")
    monkeypatch.setattr(DecisionTransformer, "act", counted)
    monkeypatch.setattr("seqrl.evaluation.KEEP_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        done(agent, source, tmp_path)
    assert acts == [0, 1, 2, 3, 4]
    record, _ = done(agent, source, tmp_path)
    episodes = record.evaluations[0]["episodes"]
    assert acts[5:] == [*range(4, max(one["length"] for one in episodes))]
    assert episodes == whole.evaluations[0]["episodes"]


def test_lost_episodes_are_not_played_with_later_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut the journal may be older than the weights: the returns would be theirs."""
    source, agent = toy_source(), small(DecisionTransformer)
    evaluation = Evaluation(episodes=5, times=2)
    with monkeypatch.context() as broken:
        broken.setattr("seqrl.training.trainer.Trainer.write_policy", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            done(agent, source, tmp_path, evaluation=evaluation)
    (journal,) = tmp_path.rglob("episodes-15.jsonl")
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:3]) + lines[3][:10])
    with pytest.raises(DataError, match="has lost episodes"):
        done(agent, source, tmp_path, evaluation=evaluation)
    journal.write_text("".join(lines))
    record, _ = done(agent, source, tmp_path, evaluation=evaluation)
    whole, _ = done(agent, source, tmp_path / "whole", evaluation=evaluation)
    assert [e["episodes"] for e in record.evaluations] == [e["episodes"] for e in whole.evaluations]


def test_two_at_once_are_one_run(tmp_path: Path) -> None:
    """The same command in two terminals must not run twice, nor write into one another's files."""
    toy_source()
    both = [_command(tmp_path), _command(tmp_path)]
    assert [process.wait() for process in both] == [0, 0]
    evaluations, _ = _finished(tmp_path)
    assert len(evaluations) == 3 and not list((tmp_path / ".work").iterdir())


AGENT = """
from dataclasses import dataclass

from seqrl.agents.behaviour_cloning import BehaviourCloning


@dataclass(frozen=True, kw_only=True)
class Lazy(BehaviourCloning):
    "Copies, and does half of it."

    share: float = 0.5

    def act(self, model, history):
        return self.share * super().act(model, history)
"""


def test_an_agent_of_ones_own_is_one_file(
    seqrl: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever must register, subclass a trainer or edit the package goes elsewhere."""
    toy_source()
    (tmp_path / "lazy_agent.py").write_text(AGENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    less = ["--set", "training.updates=20", "--set", "network.layers=1", "--set", "share=0.25"]
    ended = seqrl("run", "lazy_agent:Lazy", "file/toy", *less, "--episodes", 3, "--json")
    assert ended.status == 0, ended.err
    record = json.loads(ended.out)
    assert record["agent"]["is"] == "lazy_agent:Lazy" and record["agent"]["share"] == 0.25
    policy = Policy.load(Path(record["record"]).with_suffix(".safetensors"))
    assert type(policy.agent).__name__ == "Lazy" and policy.agent.share == 0.25  # type: ignore[attr-defined]


def test_the_command(seqrl: Callable[..., Ended], tmp_path: Path) -> None:
    """What a person types, and what is said when it is wrong."""
    toy_source()
    usual = ["--results", tmp_path, "--episodes", 3, "--device", "cpu"]
    less = ["--set", "training.updates=20", "--set", "network.layers=1", "--set", "context_steps=3"]
    ended = seqrl("run", "DT", "file/toy", *less, *usual)
    assert ended.status == 0, ended.err
    assert "DT on file/toy+" in ended.out and "score" in ended.out and "20 updates" in ended.out
    plain = json.loads(seqrl("run", "DT", "file/toy", *less, *usual, "--json").out)
    assert plain["training"]["updates"] == 20 and Path(plain["record"]).exists()
    assert plain["agent"]["network"]["layers"] == 1
    listed = seqrl("run", "DT", "file/toy", "--set", "help")
    assert "training.updates=2000  (a whole number)" in listed.out and "target=" in listed.out
    for wrong, said in {
        ("DT", "file/tyo"): "file/tyo is not on this machine",
        ("TD", "file/toy"): "It has DT, TT, BC",
        ("DT", "file/toy", "--set", "training.updtes=3"): "Training has no field 'updtes'",
        ("DT", "file/toy", "--set", "training.updates"): "FIELD=VALUE",
        ("DT", "file/toy", "--set", "training.updates=0"): "it must be 1 or more",
        ("DT", "file/toy", "--set", "target=paper_code"): "hopper, halfcheetah, walker2d",
        ("DT", "file/toy", "--experiment", "none"): "There is no experiment 'none'",
        ("DT", "file/toy", "--device", "tpu"): "A device is auto, cpu",
        ("DT", "file/toy", "--times", "9", "--set", "training.updates=3"): "do not fit",
    }.items():
        ended = seqrl("run", *wrong, "--results", tmp_path / "none")
        assert ended.status == 2 and said in ended.err and not ended.out, (wrong, ended)
