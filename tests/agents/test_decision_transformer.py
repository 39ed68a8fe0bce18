"""The Decision Transformer: its targets, and what it asks for while it plays."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.target import target_return
from seqrl.episodes import Array, History
from seqrl.errors import SeqrlError
from seqrl.nets.network import Network
from seqrl.tokens.tokenizer import DataFacts, facts_of
from seqrl.training.settings import Training
from tests.tokens.test_signals import made


def facts(name: str = "d4rl/hopper-medium-v2") -> DataFacts:
    return replace(facts_of(made()), name=name, best_return=3222.4)


@pytest.mark.parametrize(
    ("target", "name", "expected"),
    [
        ("best_in_data", "file/mine+1a2b3c4d", 3222.4),
        ("paper_code", "d4rl/hopper-medium-v2", 3600.0),
        ("paper_code", "seqrl/halfcheetah-medium-v1+delayed@v5", 12000.0),
        ("paper_code", "minari/mujoco/walker2d/medium-v0", 5000.0),
        ("paper_table9", "d4rl/halfcheetah-medium-v2", 6000.0),
        ("paper_table9", "d4rl/hopper-medium-replay-v2", 3600.0),
        (1800.0, "d4rl/hopper-medium-v2", 1800.0),
    ],
)
def test_a_target_comes_from_its_rule(target: Any, name: str, expected: float) -> None:
    """A wrong target moves halfcheetah-medium-expert by fifty points."""
    assert target_return(target, facts(name)) == expected


def test_a_rule_that_does_not_know_the_body_says_so() -> None:
    """Zero in its place would play badly, and nobody would know why."""
    for rule in ("paper_code", "paper_table9"):
        with pytest.raises(SeqrlError, match="hopper, halfcheetah, walker2d"):
            target_return(rule, facts("file/hopper2+1a2b3c4d"))


def test_a_target_that_is_no_number_is_refused() -> None:
    """The network would be blamed for what it was asked."""
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(SeqrlError, match="finite return"):
            DecisionTransformer().asking(wrong)


class Listener:
    """A model that only writes down what it is asked."""

    def __init__(self) -> None:
        self.tokenizer = type("Tokenizer", (), {"data": facts()})
        self.heard: list[Array] = []

    def read(self, history: History, name: str, **given: Array) -> Array:
        assert name == "action" and set(given) == {"return_to_go"}
        self.heard.append(given["return_to_go"].copy())
        return np.zeros((len(history), 2), np.float32)


def test_what_is_wanted_falls_by_what_was_got() -> None:
    """Off by one reward and the agent is asked for a return that no data shows."""
    agent, model = DecisionTransformer(target=10.0), Listener()
    history = History(
        np.zeros((2, 3), np.float32),
        action_width=2,
        horizon=5,
        generators=[np.random.default_rng(0)] * 2,
    )
    rewards = np.array([[1.0, 2.5], [3.0, -1.0]])
    for reward in rewards:
        actions = agent.act(model, history)  # type: ignore[arg-type]
        history.add(actions, reward, np.zeros((2, 3), np.float32))
    agent.act(model, history)  # type: ignore[arg-type]
    np.testing.assert_array_equal(model.heard[0], [[10.0], [10.0]])
    np.testing.assert_array_equal(model.heard[2], [[10.0, 9.0, 6.0], [10.0, 7.5, 8.5]])


def test_the_defaults_are_the_published_protocol() -> None:
    """The paper's Table 9 and the authors' code; whoever changes one changes every table."""
    agent = DecisionTransformer()
    assert agent.training == Training(
        updates=100_000, batch=64, learning_rate=1e-4, weight_decay=1e-4, warmup=0.1, decay="none",
        clip=0.25, decay_on="everything", betas=(0.9, 0.999), held_out=0.0,
    )  # fmt: skip
    assert agent.network == Network(
        layers=3, heads=1, width=128, dropout=0.1, activation="relu", normalise_embeddings=True,
        norm_eps=1e-5, init="dt",
    )  # fmt: skip
    assert (agent.context_steps, agent.return_scale) == (20, 1000.0)
    assert [part.name for part in agent.layout().parts] == ["return_to_go", "observation", "action"]
    assert agent.layout().loss_over == "real steps" and agent.target == "best_in_data"
    assert agent.facts(facts()) == {"target_rule": "best_in_data", "target_return": 3222.4}
    assert agent.asking(5.0).facts(facts()) == {"target_rule": "given", "target_return": 5.0}
