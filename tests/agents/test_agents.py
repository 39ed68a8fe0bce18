"""What every agent must obey. Agents are found by walking their folder."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from seqrl.agents.agent import Agent
from seqrl.episodes import Array, History
from seqrl.evaluation import Played, Underway, play
from seqrl.nets.model import Model
from seqrl.plain import from_plain, to_plain
from seqrl.policy import Policy
from seqrl.runs.parting import parted
from seqrl.runs.source import Source
from seqrl.runs.underway import read_underway, write_underway
from seqrl.tasks.environment import Environments
from seqrl.tokens.tokenizer import fit
from seqrl.tokens.windows import Windows
from tests.runs.making import agent_classes, small, toy_source, write_policy

AGENTS = pytest.mark.parametrize("kind", agent_classes(), ids=lambda kind: kind.__name__)


@pytest.fixture
def source() -> Source:
    return toy_source()


def model_of(agent: Agent, source: Source, seed: int = 0) -> Model:
    tokenizer = fit(agent.layout(), source.episodes)
    return agent.model(tokenizer, torch.Generator().manual_seed(seed)).eval()


def test_the_published_agents_are_found() -> None:
    """A conformance test that finds nothing passes."""
    names = {kind.__name__ for kind in agent_classes()}
    assert {"DecisionTransformer", "BehaviourCloning", "MlpBehaviourCloning"} <= names
    assert "Agent" not in names and "Cloning" not in names


@AGENTS
def test_an_agent_is_its_fields(kind: type[Agent]) -> None:
    """What is not a field is in no record, no hash and no checkpoint."""
    agent = kind()
    assert from_plain(Agent, json.loads(json.dumps(to_plain(agent)))) == agent
    assert hash(agent) == hash(kind()) and agent.layout() == kind().layout()
    assert type(agent).__doc__ and "\n" not in repr(agent)


@AGENTS
def test_one_seed_one_set_of_weights(kind: type[Agent], source: Source) -> None:
    """Weights from global chance depend on what ran before."""
    agent = small(kind)
    torch.manual_seed(1)
    one = model_of(agent, source).state_dict()
    torch.manual_seed(2)
    same, other = model_of(agent, source).state_dict(), model_of(agent, source, 1).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@AGENTS
def test_filling_changes_no_loss(kind: type[Agent], source: Source) -> None:
    """Windows at episodes' ends would teach the agent the filling."""
    agent = small(kind)
    model, episodes = model_of(agent, source), source.episodes
    batch = Windows(model.tokenizer, episodes).at(torch.arange(episodes.steps))
    loss, errors = model.loss(batch)
    assert "action" in errors
    real = batch.is_real[..., None]
    for name, values in batch.values.items():
        if values.is_floating_point() and values.ndim == 3:
            batch.values[name][:] = torch.where(real, values, 17.0)
    again, _ = model.loss(batch)
    torch.testing.assert_close(again, loss, rtol=0, atol=0)


@AGENTS
def test_a_return_does_not_depend_on_who_plays_beside_it(kind: type[Agent], source: Source) -> None:
    """One alone, seven, or forty: episode 3 is episode 3, bit for bit."""
    agent = small(kind)
    model = model_of(agent, source)

    def played(numbers: list[int]) -> dict[int, tuple[float, int]]:
        found = play(agent, model, source.task, seed=5, numbers=numbers)
        return {episode.number: (episode.return_, episode.length) for episode in found}

    forty = played(list(range(40)))
    assert len({length for _, length in forty.values()}) > 2, "all ends are alike: no test"
    assert played([3]) == {3: forty[3]}
    seven = [8, 3, 39, 20, 0, 17, 4]
    assert played(seven) == {number: forty[number] for number in seven}


@AGENTS
def test_playing_goes_on_where_it_was_killed(
    kind: type[Agent], source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of planning, lost; or taken up with other chance, or without the rest of a plan."""
    agent = small(kind)
    if "replan_every" in vars(agent):
        agent = small(kind, replan_every=2)
    model = model_of(agent, source)
    whole = play(agent, model, source.task, seed=5, numbers=range(9))
    monkeypatch.setattr("seqrl.evaluation.KEEP_SECONDS", 0.0)
    for cut in (1, 2, 5):
        ended: list[Played] = []

        def keep(underway: Underway, cut: int = cut) -> None:
            write_underway(tmp_path / "underway", underway)
            if underway.steps == cut:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            play(agent, model, source.task, seed=5, numbers=range(9), told=ended.append, keep=keep)
        missing = [number for number in range(9) if number not in {one.number for one in ended}]
        begun = read_underway(tmp_path / "underway")
        assert begun is not None and [*begun.numbers] == missing and begun.steps == cut
        acted = Counting(agent)
        ended += play(acted, model, source.task, seed=5, numbers=missing, begun=begun)  # type: ignore[arg-type]
        assert sorted(ended, key=lambda one: one.number) == whole
        assert acted.times == max(one.length for one in ended) - cut, "what was done is not redone"
        elsewhere = play(agent, model, source.task, seed=5, numbers=range(9), begun=begun)
        assert elsewhere == whole, "of other episodes it is of no use"


class Counting:
    """An agent, counted."""

    def __init__(self, agent: Agent) -> None:
        self.agent, self.times = agent, 0

    def act(self, model: Model, history: History) -> Array:
        """Act."""
        self.times += 1
        return self.agent.act(model, history)


@AGENTS
def test_it_is_the_slow_obvious_episode(kind: type[Agent], source: Source) -> None:
    """One episode at a time through the public door, `Policy.act`, gives the same returns."""
    agent = small(kind)
    model = model_of(agent, source)
    policy = Policy(agent, model, source.task, {}, seed=2)
    for episode in play(agent, model, source.task, seed=2, numbers=range(4)):
        environments = Environments(source.task, 1)
        seen, reward, rewards = environments.start([episode.seed])[0], None, []
        while len(environments.playing):
            outcome = environments.step(policy.act(seen, reward)[None])
            seen, reward = outcome.observations[0], float(outcome.rewards[0])
            rewards.append(reward)
        policy.reset()
        assert len(rewards) == episode.length
        assert sum(rewards) == pytest.approx(episode.return_, rel=1e-12)


@AGENTS
def test_a_checkpoint_acts_alike_without_the_data(
    kind: type[Agent], source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that needs the data set, or rounds a scale, cannot be passed on."""
    agent = small(kind)
    file, task = tmp_path / "agent.safetensors", source.task
    model = write_policy(agent, source, file)
    monkeypatch.setenv("SEQRL_HOME", str(tmp_path / "empty"))
    loaded = Policy.load(file)
    assert loaded.agent == agent and loaded.task == task
    assert not (tmp_path / "empty").exists()
    expected = play(agent, model, task, seed=0, numbers=range(6))
    assert play(loaded.agent, loaded.model, loaded.task, seed=0, numbers=range(6)) == expected


@AGENTS
def test_episodes_are_parted_cleanly(kind: type[Agent], source: Source) -> None:
    """A held-out episode that is trained on measures nothing."""
    agent = small(kind, training=small(kind).training.__class__(updates=5, held_out=0.2))
    learnt, held_out = parted(agent, source.episodes)
    assert not set(learnt) & set(held_out) and len(held_out) == round(0.2 * len(source.episodes))
    everything, nothing = parted(small(kind), source.episodes)
    assert len(nothing) == 0 and set(everything) == set(range(len(source.episodes)))


@AGENTS
def test_actions_are_within_the_bounds(kind: type[Agent], source: Source) -> None:
    """What the environment would clip in silence is not what the agent did."""
    agent = small(kind)
    model = model_of(agent, source)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(30.0)
    said: list[np.ndarray] = []
    act: Callable[..., np.ndarray] = type(agent).act

    class Listening(type(agent)):  # type: ignore[misc]
        def act(self, model: Model, history: object) -> np.ndarray:
            said.append(act(self, model, history))
            return said[-1]

    play(Listening(**vars(agent)), model, source.task, seed=0, numbers=range(3))
    assert 0.5 < np.abs(np.concatenate(said)).max() <= 1.0
