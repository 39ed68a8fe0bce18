"""Windows of what was played: the right ones, as the network was shown them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seqrl.agents.agent import Agent
from seqrl.agents.behaviour_cloning import BehaviourCloning, MlpBehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.episodes import Array, History
from seqrl.errors import SeqrlError
from seqrl.evaluation import play
from seqrl.nets import looking
from seqrl.policy import Policy
from seqrl.runs.attention import look
from seqrl.runs.looks import Looks
from seqrl.runs.origin import Origin
from seqrl.tokens.layout import Part, TokenLayout, Vector
from tests.runs.making import small, toy_source, write_policy

EPISODES = 3


@dataclass(frozen=True, kw_only=True)
class Seeker(DecisionTransformer):
    """Wants to end at one place."""

    def layout(self) -> TokenLayout:
        parts = super().layout().parts
        goal = Part("observation", Vector(standardise=True))
        return TokenLayout(*parts, steps=self.context_steps, prefix=(goal,))

    def act(self, model: Any, history: History) -> Array:
        wanted = 7.0 - history.reward_before
        place = np.repeat([[0.5, 0.25, 0.125]], len(history), 0)
        found: Array = model.read(history, "action", return_to_go=wanted, goal_observation=place)
        return found


@dataclass(frozen=True, kw_only=True)
class Silent(DecisionTransformer):
    """Tells nobody what it asks for."""

    def act(self, model: Any, history: History) -> Array:
        return np.zeros((len(history), 2), np.float32)


@dataclass(frozen=True, kw_only=True)
class Lazy(DecisionTransformer):
    """Asks only now and then."""

    def act(self, model: Any, history: History) -> Array:
        if history.step % 2 == 0:
            return super().act(model, history)
        return np.zeros((len(history), 2), np.float32)


def policy_of(folder: Path, kind: type[Agent], **given: Any) -> tuple[Policy, Origin]:
    file = folder / "policy.safetensors"
    write_policy(small(kind, **given), toy_source(), file)
    policy = Policy.load(file)
    return policy, Origin.of(file, policy, 5)


def looked_at(
    policy: Policy, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> tuple[Looks, dict[str, Tensor], Tensor]:
    """Measure; and what the network was shown: values and steps of all windows."""
    shown: list[tuple[Mapping[str, Tensor], Tensor]] = []
    measured = looking.attention

    def attention(model: Any, values: Mapping[str, Tensor], steps: Tensor) -> Tensor:
        shown.append((values, steps))
        return measured(model, values, steps)

    monkeypatch.setattr(looking, "attention", attention)
    looks = look(policy, origin, episodes=EPISODES)
    values = {name: torch.cat([one[name] for one, _ in shown]) for name in shown[0][0]}
    return looks, values, torch.cat([steps for _, steps in shown])


def episodes_of(policy: Policy) -> list[dict[str, Array]]:
    """Play the same once more; all columns of each episode."""
    found: dict[int, dict[str, Array]] = {}

    def stepped(numbers: Array, history: History) -> None:
        for row, number in enumerate(numbers.tolist()):
            found[number] = {
                "observation": history.observations[row, :-1].copy(),
                "action": history.actions[row].copy(),
                "reward": history.rewards[row, :, None].copy(),
                "before": history.reward_before[row, :-1, None].copy(),
            }

    play(policy.agent, policy.model, policy.task, seed=5, numbers=range(EPISODES), stepped=stepped)
    return [found[number] for number in range(EPISODES)]


@pytest.mark.parametrize("kind", [DecisionTransformer, BehaviourCloning, Seeker])
def test_windows_of_vectors(
    kind: type[Agent], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every window of every episode in order, and the return asked for as the agent asked."""
    asking = kind is not BehaviourCloning
    policy, origin = policy_of(tmp_path, kind, **({"target": 7.0} if asking else {}))
    looks, values, steps = looked_at(policy, origin, monkeypatch)
    tokenizer, length = policy.model.tokenizer, 4
    cut = [
        (episode, first)
        for episode in episodes_of(policy)
        for first in range(len(episode["reward"]) - length + 1)
    ]
    assert len(cut) == len(steps) == int(looks.about["windows"]) > 5
    for window, (episode, first) in enumerate(cut):
        own = slice(first, first + length)
        assert steps[window].tolist() == list(range(first, first + length))
        wanted = {n: episode[n][own] for n in ("observation", "action")}
        if asking:
            wanted["return_to_go"] = 7.0 - episode["before"][own]
        if kind is Seeker:
            wanted["goal_observation"] = np.array([0.5, 0.25, 0.125])
        assert set(wanted) == set(values)
        for name, column in wanted.items():
            have = tokenizer.unscaled(name, values[name][window].numpy())
            np.testing.assert_allclose(have, column, atol=1e-5, rtol=1e-5)
    assert "read" not in vars(policy.model), "the model must be as before"


def test_windows_of_bins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planner reads nothing through its model: its windows are of the history alone."""
    policy, origin = policy_of(tmp_path, TrajectoryTransformer)
    monkeypatch.setattr("seqrl.runs.attention.WINDOWS", 5)
    looks, values, steps = looked_at(policy, origin, monkeypatch)
    tokenizer, length = policy.model.tokenizer, 4
    cut = [
        {n: episode[n][first : first + length].astype(np.float32) for n in values if n != "value"}
        for episode in episodes_of(policy)
        for first in range(len(episode["reward"]) - length + 1)
    ]
    assert len(steps) == 5 and looks.about["windows"] == "5"
    for window in range(5):
        for name, column in cut[window * len(cut) // 5].items():
            have = values[name][window].numpy()
            assert (have == tokenizer.encode(name, column)).all(), "not evenly spread"
    assert [token.known for token in looks.tokens[:7]] == [True] * 6 + [False]
    assert [token.attended for token in looks.tokens[:7]] == [True] * 6 + [False]
    assert looks.tokens[7].label == "observation[0]" and looks.tokens[7].step == 1
    np.testing.assert_allclose(looks.weights.sum(-1), 1, atol=1e-5)
    assert "2 steps" not in looks.caption and "5 windows of 4 steps" in looks.caption
    assert looks.about["plans"].startswith("3 steps, 4 beams") and looks.about["seed"] == "5"


def test_what_cannot_be_looked_into(tmp_path: Path) -> None:
    """Each with a sentence, and not with an empty figure."""
    policy, origin = policy_of(tmp_path, MlpBehaviourCloning)
    with pytest.raises(SeqrlError, match="its network is a Perceptron"):
        look(policy, origin, episodes=1)
    policy, origin = policy_of(tmp_path, BehaviourCloning, context_steps=13)
    with pytest.raises(SeqrlError, match="No episode lasted 13 steps"):
        look(policy, origin, episodes=1)
    for kind in (Silent, Lazy):
        policy, origin = policy_of(tmp_path, kind)
        with pytest.raises(SeqrlError, match="'return_to_go' while playing cannot be seen"):
            look(policy, origin, episodes=EPISODES)
