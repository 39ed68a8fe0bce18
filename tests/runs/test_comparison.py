"""Two ways to act with the same weights: pairs that are pairs, and files of one thing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.errors import DataError, SeqrlError
from seqrl.evaluation import Underway, play
from seqrl.policy import Policy
from seqrl.runs.comparison import Comparison, compare
from seqrl.runs.origin import Origin
from tests.runs.making import small, toy_source, write_policy


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    file = tmp_path / "tt.safetensors"
    write_policy(small(TrajectoryTransformer), toy_source(), file)
    return file


def compared(checkpoint: Path, *changes: str, **given: Any) -> Comparison:
    policy = Policy.load(checkpoint)
    usual = {"episodes": 7, "file": checkpoint.with_name("compare.jsonl")}
    origin = Origin.of(checkpoint, policy, 3)
    return compare(policy, origin, changes, **{**usual, **given})


def test_differences_are_of_the_same_episodes(checkpoint: Path) -> None:
    """A difference of unlike episodes is mostly their own luck."""
    found = compared(checkpoint, "search.context_steps=3", "replan_every=2")
    policy = Policy.load(checkpoint)
    agent = policy.agent
    assert isinstance(agent, TrajectoryTransformer)
    other = replace(agent, search=replace(agent.search, context_steps=3), replan_every=2)
    returns = [
        [one.return_ for one in play(way, policy.model, policy.task, seed=3, numbers=range(7))]
        for way in (agent, other)
    ]
    assert [*found.as_run.returns] == returns[0] and [*found.changed.returns] == returns[1]
    expected = [b - a for a, b in zip(*returns, strict=True)]
    assert found.differences == expected and found.mean == pytest.approx(sum(expected) / 7)
    spread = sum((one - found.mean) ** 2 for one in expected) / 6
    assert found.standard_error == pytest.approx((spread / 7) ** 0.5)
    assert found.better + found.worse <= 7
    assert found.as_run.origin.facts["planned_anew_every"] == 1
    assert found.changed.origin.facts["planned_anew_every"] == 2


def test_it_goes_on_with_the_episodes_that_are_missing(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of planning must survive a kill, and end in the same numbers."""
    whole = compared(checkpoint, "replan_every=3", file=checkpoint.with_name("whole.jsonl"))
    monkeypatch.setattr("seqrl.evaluation.KEEP_SECONDS", 0.0)
    asked: list[list[int]] = []
    begun: list[Underway | None] = []
    ended = 0

    def counted(*rest: Any, **given: Any) -> Any:
        asked.append([*given["numbers"]])
        begun.append(given["begun"])

        def told(played: Any) -> None:
            nonlocal ended
            given["told"](played)
            ended += 1
            if ended == 3:
                raise KeyboardInterrupt

        return play(*rest, **{**given, "told": told})

    monkeypatch.setattr("seqrl.runs.comparison.play", counted)
    with pytest.raises(KeyboardInterrupt):
        compared(checkpoint, "replan_every=3")
    file = checkpoint.with_name("compare.jsonl")
    assert len(file.read_text().splitlines()) == 3
    with file.open("a") as out:
        out.write('{"number": 99, "retu')  # what a kill would leave
    assert compared(checkpoint, "replan_every=3") == whole
    assert len(asked[1]) == 4 and (taken_up := begun[1]) and taken_up.steps > 0
    assert len(asked[2]) == 7
    assert compared(checkpoint, "replan_every=3") == whole
    assert asked[3:] == [[], []], "what is known is not played again"


def test_weights_that_would_be_others_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    """A difference between a network and the same network would be called one of its settings."""
    for change, said in {
        "training.updates=7": "with another training",
        "network.layers=3": "with another network",
        "bins.count=30": "with another bins",
        "search.discount=0.5": "another thing stands in a step",
        "window_steps=9": "with another window_steps",
        "search.window=published": "Nothing is changed",
        "search.horizon=0": "horizon must be a whole number",
        "search.context_steps=30": "the context has 30 steps",
        "surch.horizon=3": "no field 'surch'",
    }.items():
        with pytest.raises(SeqrlError, match=said):
            compared(checkpoint, change)
    assert not checkpoint.with_name("compare.jsonl").exists(), "refused before anything is played"
    write_policy(small(DecisionTransformer), toy_source(), tmp_path / "dt.safetensors")
    found = compared(tmp_path / "dt.safetensors", "target=3.0")
    assert found.changed.origin.facts["target_return"] == 3.0
    with pytest.raises(DataError, match="do not belong into one table"):
        compared(checkpoint, "replan_every=2")
    for content in (b'{"a": 1}\n', b"a,b\n1,2\n", b"1\n", b"\xff\xfe"):
        (tmp_path / "other.jsonl").write_bytes(content)
        with pytest.raises(DataError, match="no table of `seqrl compare`"):
            compared(checkpoint, "replan_every=2", file=tmp_path / "other.jsonl")
        assert (tmp_path / "other.jsonl").read_bytes() == content
    write_policy(small(BehaviourCloning, fraction=0.2), toy_source(), tmp_path / "bc.safetensors")
    with pytest.raises(SeqrlError, match="with another fraction the weights"):
        compared(tmp_path / "bc.safetensors", "fraction=0.5")
