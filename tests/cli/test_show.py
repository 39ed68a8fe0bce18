"""`seqrl show`: what is printed must be what is trained."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended
from tests.playing import SMALL, trained

Run = Callable[..., Ended]

OWN = """
from dataclasses import dataclass
from typing import ClassVar

from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.nets.network import Network
from seqrl.tokens.layout import Bins, Part, TokenLayout, Vector
from seqrl.tokens.signals import Signal, Value


@dataclass(frozen=True)
class Pair(Signal):
    name: ClassVar[str] = "pair"
    power: int = 2

    def offline(self, episodes):
        return episodes.observations[:, :2] ** self.power


@dataclass(frozen=True)
class Lost(Signal):
    name: ClassVar[str] = "lost"

    def offline(self, episodes):
        return episodes.columns["states"]


@dataclass(frozen=True, kw_only=True)
class Binned(BehaviourCloning):
    network: Network = Network(layers=1, heads=1, width=8)

    def layout(self):
        return TokenLayout(
            Part(Pair(), Bins(count=10, spacing="uniform"), loss=1.0),
            Part("action", Bins(count=20), loss=5.0),
            Part(Value(discount=0.9), Bins(count=20), loss=1.0, attended=False),
            steps=4, positions="token", after_end="end token", loss_over="all positions",
        )


class Wanting(Binned):
    def layout(self):
        return TokenLayout(
            Part("action", Bins(count=20), loss=5.0),
            steps=4, positions="token", prefix=(Part("episode_return", Vector()),),
        )


class Astray(Binned):
    def layout(self):
        return TokenLayout(Part(Lost(), Vector()), Part("action", Vector(), loss=1.0), steps=1)
"""


def test_the_decision_transformer(seqrl: Run) -> None:
    """The table against the layout's page, and the weights against a count by hand."""
    ended = seqrl("show", "DT", "hopper-medium", "--json")
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    assert [(t["label"], t["encoding"], t["read_from"], t["loss"]) for t in found["tokens"]] == [
        ("return_to_go", "vector of 1, divided by 1000", None, 0.0),
        ("observation", "vector of 11, standardised", None, 0.0),
        ("action", "vector of 3, squashed to the action's bounds", "observation", 1.0),
    ]
    assert found["window"]["window"] == "20 steps x 3 tokens = 60 tokens"
    d = 128
    embeddings = (1 + 11 + 3) * d + 3 * d + 1000 * d + 2 * d
    block = (d + 1) * 3 * d + (d + 1) * d + (d + 1) * 4 * d + (4 * d + 1) * d + 4 * d
    assert found["weights"] == embeddings + 3 * block + 2 * d + (d + 1) * 3
    assert found["task"] == "d4rl/hopper-medium-v2", "the official task, although no data is here"


def test_bins_and_what_is_hidden(
    seqrl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token a dimension; the first is read from the step before; a width that nobody has said."""
    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    found = json.loads(seqrl("show", "mine:Binned", "hopper-medium", "--json").out)
    value = "value, discount 0.9"
    assert [tuple(token.values()) for token in found["tokens"]] == [
        (1, "pair[0]", "pair, power 2", "10 bins of equal width", True,
         "value[0] of the step before", 1.0),
        (2, "pair[1]", "pair, power 2", "10 bins of equal width", True, "pair[0]", 1.0),
        (3, "action[0]", "action", "20 quantile bins", True, "pair[1]", 5.0),
        (4, "action[1]", "action", "20 quantile bins", True, "action[0]", 5.0),
        (5, "action[2]", "action", "20 quantile bins", True, "action[1]", 5.0),
        (6, "value[0]", value, "20 quantile bins", False, "action[2]", 1.0),
    ]  # fmt: skip
    d, bins = 8, 2 * 10 + 3 * 20 + 20
    block = (d + 1) * 3 * d + (d + 1) * d + (d + 1) * 4 * d + (4 * d + 1) * d + 4 * d
    ends, positions = d, 4 * 6 * d
    assert found["weights"] == bins * d + (bins + 6) * d + ends + positions + block + 2 * d
    text = seqrl("show", "mine:Binned", "hopper-medium").out
    assert "4 steps x 6 tokens = 24 tokens" in text and "an end token, which is learnt" in text
    assert "all positions of the window" in text and "first token is not predicted" in text
    rows = [line.split() for line in text.splitlines()]
    assert [row[1] for row in rows if "hidden" in row] == ["value[0]"]


def test_goals_stand_in_front(seqrl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that the table leaves out is one that the window has too much."""
    (tmp_path / "wanting.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    found = json.loads(seqrl("show", "wanting:Wanting", "hopper-medium", "--json").out)
    assert [(t["number"], t["label"], t["read_from"]) for t in found["tokens"]] == [
        (None, "goal_episode_return", None),
        (1, "action[0]", "action[2] of the step before (at first goal_episode_return)"),
        (2, "action[1]", "action[0]"),
        (3, "action[2]", "action[1]"),
    ]
    assert found["window"]["window"] == "1 goal token + 4 steps x 3 tokens = 13 tokens"
    text = seqrl("show", "wanting:Wanting", "hopper-medium").out
    assert "goal  goal_episode_return" in text and "is not predicted" not in text


def test_a_signal_that_cannot_be_computed_is_named(
    seqrl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A KeyError out of somebody's own file must say which signal, and why it is asked at all."""
    (tmp_path / "astray.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    ended = seqrl("show", "astray:Astray", "hopper-medium")
    assert ended.status == 2 and not ended.out
    assert "How wide the signal 'lost' is" in ended.err and "KeyError" in ended.err


def test_it_shows_what_is_then_trained(seqrl: Run, tmp_path: Path) -> None:
    """Made-up data must give the very network that real data gives, with the same fields set."""
    record = trained(seqrl, tmp_path, "BC", *SMALL)
    chosen = [word for field in SMALL for word in ("--set", field)]
    found = json.loads(seqrl("show", "BC", "file/small", *chosen, "--json").out)
    assert found["weights"] == record["training"]["parameters"]
    assert found["window"]["window"].startswith("3 steps x 2 tokens")
    assert (found["agent"], found["task"]) == (record["agent"]["is"], record["task"]["name"])


def test_a_network_without_the_reading_rule_does_not_claim_it(seqrl: Run) -> None:
    """A perceptron reads the whole step; "read from the observation" would be a guess."""
    text = seqrl("show", "MLP-BC", "halfcheetah-medium").out
    (row,) = [line for line in text.splitlines() if line.startswith("2  action")]
    assert "see network" in row and "network: Perceptron: " in text
    assert "weights: " + f"{(17 + 1) * 256 + 257 * 256 + 257 * 6:,}" in text


def test_fields_are_shared_with_run(seqrl: Run) -> None:
    """One way to name an agent: a field that run takes, show takes, and refuses alike."""
    listed = seqrl("show", "DT", "hopper-medium", "--set", "help")
    assert listed.status == 0 and listed.out == seqrl("run", "DT", "x", "--set", "help").out
    assert "training.updates=2000" in listed.out
    wrong = [seqrl(command, "DT", "hopper-medium", "--set", "a=1") for command in ("show", "run")]
    assert {(ended.status, ended.err) for ended in wrong} == {(2, wrong[0].err)}
    assert "has no field 'a'" in wrong[0].err
    assert "say FIELD=VALUE" in seqrl("show", "DT", "hopper-medium", "--set", "target").err
    assert "5 updates of" in seqrl("show", "DT", "hopper-medium", "--set", "training.updates=5").out
