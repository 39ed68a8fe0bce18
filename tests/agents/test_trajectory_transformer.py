"""The Trajectory Transformer and its other uses: what each of them does with the same data."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqrl.agents.trajectory_imitation import TrajectoryImitation, TrajectoryToGoal
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.episodes import Array, Episodes, History
from seqrl.errors import SeqrlError
from seqrl.nets.network import Network
from seqrl.nets.token_model import TokenModel
from seqrl.planning.settings import BeamSearch, MostLikely, Sampling
from seqrl.tokens.layout import Bins
from seqrl.tokens.tokenizer import fit
from seqrl.tokens.windows import Windows
from seqrl.training.settings import Training
from seqrl.training.trainer import Trainer
from tests.tokens.test_signals import made

SMALL: dict[str, Any] = {
    "window_steps": 3,
    "bins": Bins(count=3, spacing="uniform"),
    "network": Network(layers=1, heads=1, width=16, dropout=0.0),
    "training": Training(updates=60, batch=32, learning_rate=2e-2, decay="cosine"),
}
BEST = BeamSearch(horizon=1, beam_width=16, context_steps=1, action=Sampling(), window="full")
LIKELY = MostLikely(horizon=1, beam_width=4, context_steps=1, window="full")


def choices() -> Episodes:
    """One choice an episode: four of five go down, which gives nothing and ends at -1; the others
    go up, which gives a reward and ends at 1. What is seen first says nothing."""
    episodes = made((3,) * 200)
    up = np.arange(200) % 5 == 0
    way = np.where(up, 1.0, -1.0).astype(np.float32)
    observations = np.zeros((200, 3, 1), np.float32)
    observations[:, 1:, 0] = way[:, None]
    actions = np.repeat(way, 3)[:, None].repeat(2, 1)
    rewards = np.zeros((200, 3), np.float32)
    rewards[up] = 1.0
    columns = {
        **episodes.columns,
        "observations": observations.reshape(-1, 1),
        "actions": actions,
        "rewards": rewards.flatten(),
        "terminated": np.zeros(600, bool),
        "timed_out": np.arange(600) % 3 == 2,
    }
    return replace(episodes, columns=columns)


def first_action(agent: TrajectoryTransformer, folder: Path) -> float:
    """Train it on the choices; which way it goes."""
    episodes = choices()
    tokenizer = fit(agent.layout(), episodes)
    model = agent.model(tokenizer, torch.Generator().manual_seed(0))
    windows = Windows(tokenizer, episodes)
    Trainer(model, windows, agent.training, seed=0, folder=folder, about={}).until(
        agent.training.updates
    )
    actions = agent.act(model.eval(), history(np.zeros((3, 1)), horizon=3))
    assert (actions == actions[0, 0]).all(), "three episodes that are alike"
    return float(np.sign(actions[0, 0]))


def history(seen: Array, horizon: int) -> History:
    return History(
        seen.astype(np.float32),
        action_width=2,
        horizon=horizon,
        generators=[np.random.default_rng(row) for row in range(len(seen))],
    )


@pytest.mark.parametrize(
    ("agent", "way"),
    [
        (TrajectoryTransformer(search=BEST, **SMALL), 1),
        (TrajectoryImitation(search=LIKELY, **SMALL), -1),
        (TrajectoryToGoal(search=LIKELY, **SMALL), 1),
        (TrajectoryToGoal(search=LIKELY, goal=0.0, **SMALL), -1),
        (TrajectoryToGoal(search=LIKELY, goal=(1.0,), **SMALL), 1),
        (TrajectoryToGoal(search=LIKELY, goal=(-1.0,), **SMALL), -1),
    ],
    ids=["most reward", "most probable", "best return", "no return", "up there", "down there"],
)
def test_each_use_goes_its_way(agent: TrajectoryTransformer, way: int, tmp_path: Path) -> None:
    """All of them play something, whatever they were asked for."""
    assert first_action(agent, tmp_path) == way


def test_a_goal_that_does_not_fit_is_refused() -> None:
    """Two numbers for three dimensions, before anything is trained; and one that is clipped to the
    last bin in silence would be another goal than the record says."""
    agent = TrajectoryToGoal(goal=(1.0, 2.0), search=LIKELY, **SMALL)
    tokenizer = fit(agent.layout(), made())
    with pytest.raises(SeqrlError, match="goal has 2 numbers; an observation of file/made has 3"):
        agent.model(tokenizer, torch.Generator())
    beyond = replace(agent, goal=(0.0, 99.0, 0.0))
    model = beyond.model(tokenizer, torch.Generator().manual_seed(0))
    with pytest.raises(SeqrlError, match=r"goal_observation\[1\] is to be 99, and file/made has"):
        beyond.act(model, history(np.zeros((4, 3)), horizon=5))
    best = tokenizer.data.best_return
    with pytest.raises(SeqrlError, match="there is no bin for more"):
        TrajectoryToGoal(goal=best + 1).facts(tokenizer.data)
    assert TrajectoryToGoal().facts(tokenizer.data)["target_return"] == best
    with pytest.raises(SeqrlError, match="goes for an observation"):
        agent.asking(3.0)
    with pytest.raises(SeqrlError, match="finite return"):
        TrajectoryToGoal().asking(float("nan"))
    assert TrajectoryToGoal().asking(7.0).goal == 7.0


def test_the_rest_of_a_plan_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planned anew every third step, and what was planned in between; rows that end take theirs
    along."""
    search = BeamSearch(horizon=4, beam_width=2, context_steps=2)
    agent = TrajectoryTransformer(search=search, replan_every=3, **SMALL)
    agent = replace(agent, bins=Bins(count=9))
    model = agent.model(fit(agent.layout(), made()), torch.Generator().manual_seed(0))
    plans: list[tuple[int, Array]] = []

    def planned(self: object, model: TokenModel, history: History) -> Array:
        drawn = np.random.default_rng(history.step).integers(0, 10, (len(history), 4, 7))
        plans.append((history.step, drawn))
        return drawn

    monkeypatch.setattr(TrajectoryTransformer, "plan", planned)
    playing = history(np.zeros((3, 3)), horizon=9)
    for step in range(7):
        found = agent.act(model, playing)
        at, plan = plans[-1]
        assert at == step - step % 3
        rows = [0, 2] if at < 4 <= step else range(len(playing))
        bins = np.minimum(plan[rows, step - at, 3:5], 8)  # the end is no action
        assert (found == model.tokenizer.decode("action", bins)).all()
        playing.add(found, np.zeros(len(playing)), np.zeros((len(playing), 3), np.float32))
        if step == 3:
            playing.keep(np.array([0, 2]))
    assert [at for at, _ in plans] == [0, 3, 6]
    for wrong in (0, 5):
        with pytest.raises(SeqrlError, match="from 1 to the horizon of the search, 4"):
            replace(agent, replan_every=wrong)


def test_the_page_says_the_published_settings() -> None:
    """A default that strays is a number that was never published."""
    agent = TrajectoryTransformer()
    network, training, search = agent.network, agent.training, agent.search
    assert (network.layers, network.heads, network.width) == (4, 4, 128)
    assert (agent.window_steps, agent.bins, agent.at_termination) == (10, Bins(count=100), -100.0)
    assert (training.batch, training.learning_rate, training.betas) == (256, 6e-4, (0.9, 0.95))
    assert (training.weight_decay, training.decay_on, training.clip) == (0.1, "matrices", 1.0)
    assert (training.warmup, training.decay) == ("epoch", "tt")
    assert training.updates * training.batch == pytest.approx(50e6, rel=0.01)
    losses = {part.name: part.loss for part in agent.layout().parts}
    assert losses == {"observation": 1.0, "action": 5.0, "reward": 1.0, "value": 1.0}
    assert search == BeamSearch(horizon=15, beam_width=128, context_steps=5, discount=0.99)
    assert isinstance(search, BeamSearch) and search.action == Sampling(cdf=0.6)
    assert isinstance(TrajectoryImitation().search, MostLikely)
