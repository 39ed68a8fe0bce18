"""Evaluation: playing episodes with an agent. Knows no training and no files.

All episodes are played together, step by step; finished ones leave. Each has its own environment
seed and its own generator, and models compute rows in chunks of one size; so what an episode gives
depends on its number and the weights, and not on who is played beside it.

Letters: B episodes still playing, a action width.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqrl.agents.agent import Agent
from seqrl.episodes import Array, Episode, History
from seqrl.errors import SeqrlError
from seqrl.progress import Progress, counted, silent
from seqrl.seeds import seed_for
from seqrl.tasks.task import Task

if TYPE_CHECKING:
    from seqrl.nets.model import Model
    from seqrl.tasks.environment import Environments

PRECISION = "float32"
"""What networks compute in while playing, on every device: in less, returns are others."""

KEEP_SECONDS = 60.0
"""How much playing a kill may lose, besides the step under way."""


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
            given = getattr(self, name)
            if type(given) is not int or given < 1:
                raise SeqrlError(
                    f"Evaluation: {name} must be 1 or more, a whole number, not {given!r}."
                )

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


@dataclass(frozen=True, eq=False, kw_only=True)
class Underway:
    """Episodes in the middle of being played: what was done in them, and what the agent remembers.

    What was seen and got comes again when the same is done; only where that led to is kept, to be
    compared.
    """

    numbers: NDArray[np.int64]
    """Of the episodes [B]."""
    actions: Array
    """Of all steps so far [B, t, a]."""
    present: Array
    """What is seen now [B, o]."""
    memory: Mapping[str, Array]
    """The agent's own [B, ...]."""
    chance: Sequence[Mapping[str, Any]]
    """How far each episode's generator is [B]."""

    @classmethod
    def of(cls, history: History, numbers: NDArray[np.int64]) -> "Underway":
        """Take down episodes that are being played."""
        return cls(
            numbers=numbers,
            actions=history.actions.copy(),
            present=history.observations[:, -1].copy(),
            memory={name: kept.copy() for name, kept in history.memory.items()},
            chance=[generator.bit_generator.state for generator in history.generators],
        )

    @property
    def steps(self) -> int:
        """Steps that have been played."""
        return int(self.actions.shape[1])

    def rows(self, numbers: NDArray[np.int64]) -> "Underway | None":
        """Return these episodes alone; nothing if one of them is missing."""
        where = {number: row for row, number in enumerate(self.numbers.tolist())}
        if not all(number in where for number in numbers.tolist()):
            return None
        rows = np.array([where[number] for number in numbers.tolist()])
        return Underway(
            numbers=numbers,
            actions=self.actions[rows],
            present=self.present[rows],
            memory={name: kept[rows] for name, kept in self.memory.items()},
            chance=[self.chance[row] for row in rows],
        )

    def remind(self, history: History) -> None:
        """Give the agent back what it remembered, if the same has led to the same."""
        if not np.array_equal(self.present, history.observations[:, -1]):
            raise SeqrlError(
                "Episodes that were under way came to something else when their actions were "
                "played again: the simulator, or the machine, is not the one that they were begun "
                "with. Remove their file (underway-... in the run's folder under .work, "
                ".....underway beside a table), and they are played anew."
            )
        history.memory = {name: kept.copy() for name, kept in self.memory.items()}
        for generator, state in zip(history.generators, self.chance, strict=True):
            generator.bit_generator.state = state


def environment_seed(seed: int, task: str, number: int) -> int:
    """Return the seed with which episode `number` of a run on a task, by its full name, begins; the
    same for every agent."""
    return seed_for(seed, task, "evaluation", number)


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
    stepped: Callable[[Array, History], None] = lambda numbers, history: None,
    pictures: bool = False,
    whole: Callable[[int, Episode], None] = lambda number, episode: None,
    begun: Underway | None = None,
    keep: Callable[[Underway], None] = lambda underway: None,
) -> list[Played]:
    """Play the episodes with these numbers, in their order. `told` hears of each when it ends;
    `seen` is called before every step, for whoever wants to look, and with `pictures` can;
    `stepped` after it, with the numbers of the episodes that took it, one a row of the history;
    `whole` gets each as a whole when it ends, with the rewards that the agent heard. `keep` now and
    then gets what is needed to go on, which is then said as `begun`."""
    from seqrl.tasks.environment import Environments

    if not numbers:
        return []
    rows = np.array(list(numbers))  # which episode each row plays [B]
    again = begun.rows(rows) if begun else None
    environments = Environments(task, len(rows), pictures=pictures)
    seeds = [environment_seed(seed, task.name, number) for number in rows.tolist()]
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
    began = kept = time.monotonic()
    decisions = 0

    def said() -> str:
        rate = decisions / max(1e-9, time.monotonic() - began)
        return f"{counted(len(finished), 'episode')} ended, {rate:,.1f} decisions/s"

    while len(place):
        if again and history.step == again.steps:
            again.remind(history)
            again, began = None, time.monotonic()
        if not again:
            progress(doing, history.step, task.horizon, "steps", said())
        seen(environments)
        present = history.observations[:, -1]
        outside[place] += model.tokenizer.beyond("observation", present).sum(-1)
        if again:
            actions = again.actions[place, history.step]
        else:
            actions = checked(agent.act(model, history), history, task)
            decisions += len(place)
        outcome = environments.step(actions)
        returns[place] += outcome.rewards
        # Rewards that come at the end come too late for whoever plays.
        heard = np.zeros(len(place)) if task.rewards_at_end else outcome.rewards
        history.add(actions, heard, outcome.observations)
        stepped(rows[place], history)
        over = outcome.terminated | outcome.timed_out
        for row, at, terminated in zip(
            np.flatnonzero(over).tolist(), place[over], outcome.terminated[over], strict=True
        ):
            number, sum_, beyond = int(rows[at]), float(returns[at]), int(outside[at])
            played = Played(number, seeds[at], sum_, history.step, bool(terminated), beyond)
            finished[number] = played
            told(played)
            whole(number, history.episode(row, terminated=played.terminated))
        if over.any():
            history.keep(~over)
            place = place[~over]
        if len(place) and not again and time.monotonic() - kept >= KEEP_SECONDS:
            keep(Underway.of(history, rows[place]))
            kept = time.monotonic()
    progress(doing, task.horizon, task.horizon, "steps", said())
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
