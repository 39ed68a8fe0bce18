"""Evaluation: playing episodes with an agent. Knows no training and no files.

All episodes are played together, step by step; finished ones leave. Each has its own environment
seed and its own generator, and models compute rows in chunks of one size; so what an episode gives
depends on its number and the weights, and not on who is played beside it.

Letters: B episodes still playing, a action width.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqrl.agents.agent import Agent
from seqrl.episodes import Array, Episode, History
from seqrl.errors import SeqrlError
from seqrl.progress import Progress, silent
from seqrl.seeds import seed_for
from seqrl.tasks.task import Task

if TYPE_CHECKING:
    from seqrl.nets.model import Model
    from seqrl.tasks.environment import Environments

PRECISION = "float32"
"""What networks compute in while playing, on every device: in less, returns are others."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How much is played, and when."""

    episodes: int = 100
    times: int = 1
    """Evaluations, evenly spaced over the training, the last at its end. The weights do not depend
    on it."""

    def __post_init__(self) -> None:
        """Refuse to measure nothing."""
        for name in ("episodes", "times"):
            if getattr(self, name) < 1:
                raise SeqrlError(f"Evaluation: {name} must be 1 or more, not {getattr(self, name)}")

    def milestones(self, updates: int) -> list[int]:
        """Return after how many updates to evaluate."""
        if self.times > updates:
            raise SeqrlError(
                f"{self.times} evaluations do not fit into {updates} updates: ask for fewer."
            )
        return [round(updates * (time + 1) / self.times) for time in range(self.times)]


@dataclass(frozen=True)
class Played:
    """How one episode went."""

    number: int
    seed: int
    """Of the environment."""
    return_: float
    length: int
    terminated: bool
    """By the task's own rule; else its time was up."""
    outside: int
    """Numbers of its observations that lay outside the range of the data's bins, and counted as
    their ends; where observations are no bins, none do."""

    def plain(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "number": self.number,
            "seed": self.seed,
            "return": self.return_,
            "length": self.length,
            "terminated": self.terminated,
            "outside": self.outside,
        }


def environment_seed(seed: int, task: Task, number: int) -> int:
    """Return the seed with which episode `number` of a run begins, the same for every agent."""
    return seed_for(seed, task.name, "evaluation", number)


def generator_of(seed: int, task: Task, number: int) -> np.random.Generator:
    """Return the generator for an agent's own chance in episode `number`."""
    return np.random.default_rng(seed_for(seed, task.name, "planning", number))


def play(
    agent: Agent,
    model: "Model",
    task: Task,
    *,
    seed: int,
    numbers: Collection[int],
    told: Callable[[Played], None] = lambda played: None,
    progress: Progress = silent,
    doing: str = "playing",
    seen: Callable[["Environments"], None] = lambda environments: None,
    pictures: bool = False,
    kept: Callable[[int, Episode], None] = lambda number, episode: None,
) -> list[Played]:
    """Play the episodes with these numbers, in their order. `told` hears of each when it ends;
    `seen` is called before every step, for whoever wants to look, and with `pictures` can. `kept`
    gets each as a whole when it ends, with the rewards that the agent heard."""
    from seqrl.tasks.environment import Environments

    if not numbers:
        return []
    rows = np.array(list(numbers))  # which episode each row plays [B]
    environments = Environments(task, len(rows), pictures=pictures)
    seeds = [environment_seed(seed, task, number) for number in rows.tolist()]
    history = History(
        environments.start(seeds),
        action_width=task.action_width,
        horizon=task.horizon,
        generators=[generator_of(seed, task, number) for number in rows.tolist()],
    )
    returns, outside = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    place = np.arange(len(rows))  # of each row that still plays, its place at the start
    finished: dict[int, Played] = {}
    model.eval()
    while len(place):
        progress(doing, history.step, task.horizon, "steps", f"{len(finished)} episodes ended")
        seen(environments)
        present = history.observations[:, -1]
        outside[place] += model.tokenizer.beyond("observation", present).sum(-1)
        actions = checked(agent.act(model, history), history, task)
        outcome = environments.step(actions)
        returns[place] += outcome.rewards
        # Rewards that come at the end come too late for whoever plays.
        heard = np.zeros(len(place)) if task.rewards_at_end else outcome.rewards
        history.add(actions, heard, outcome.observations)
        over = outcome.terminated | outcome.timed_out
        for row, at, terminated in zip(
            np.flatnonzero(over).tolist(), place[over], outcome.terminated[over], strict=True
        ):
            number, sum_, beyond = int(rows[at]), float(returns[at]), int(outside[at])
            played = Played(number, seeds[at], sum_, history.step, bool(terminated), beyond)
            finished[number] = played
            told(played)
            kept(number, history.episode(row, terminated=played.terminated))
        if over.any():
            history.keep(~over)
            place = place[~over]
    progress(doing, task.horizon, task.horizon, "steps", f"{len(finished)} episodes ended")
    return [finished[number] for number in rows.tolist()]


def checked(actions: Array, history: History, task: Task) -> NDArray[np.float32]:
    """Refuse actions that no environment can take."""
    found = np.asarray(actions, np.float32)
    if found.shape != (len(history), task.action_width):
        raise SeqrlError(
            f"The agent gave actions of shape {list(found.shape)} for {len(history)} episodes; "
            f"{task.name} takes [{len(history)}, {task.action_width}]: one row an episode."
        )
    if not np.isfinite(found).all():
        raise SeqrlError(
            f"The agent's actions are not finite in step {history.step + 1} of an episode: its "
            "network has run away, or was asked for something far outside its data."
        )
    return found
