"""The action log of a training: all that its learner did, so that it can be done again open loop.

A learner's environment is seeded once; each later episode begins where the environment's own random
generator then stands. Playing draws nothing from that generator, only resetting does. So the seed
and the count of resets before an episode give its initial state bit for bit, and the actions give
the rest.

Imports Gymnasium: for where environments are played, not for where a command is only explained.

Letters: N logged steps, a action width.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import gymnasium
import numpy as np
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from seqrl.data.whole import replace_file
from seqrl.episodes import Array
from seqrl.errors import DataError, told_plainly
from seqrl.tasks.environment import make
from seqrl.tasks.task import Task


@dataclass(frozen=True, eq=False, kw_only=True)
class ActionLog:
    """Consecutive steps of one training, and what is needed to take them again."""

    seed: int
    """Of the environment's first reset, the only one that was given a seed."""

    actions: NDArray[np.float32]  # [N, a]

    resets: NDArray[np.int64]
    """How many resets came between the seeded one and the step: which episode it belongs to [N]."""

    rewards: NDArray[np.float64]
    """What the learner got [N]: by these one sees that steps taken again are the same."""

    terminated: NDArray[np.bool_]  # [N]
    timed_out: NDArray[np.bool_]  # [N]

    @classmethod
    def read(cls, files: Iterable[Path]) -> Self:
        """Join the pieces in `files`, given in the order in which they were written."""
        pieces = [_arrays_in(file) for file in files]
        try:
            joined = {name: np.concatenate([piece[name] for piece in pieces]) for name in _COLUMNS}
            (seed,) = {int(piece["seed"][0]) for piece in pieces}
        except (KeyError, ValueError) as error:
            raise DataError(
                f"These are not the pieces of one training's action log: {error}. Give all files "
                "of one `actions` folder, in the order of their names."
            ) from error
        return cls(seed=seed, **joined)

    def write(self, file: Path) -> None:
        """Put the log on disk, whole or not at all."""
        arrays: dict[str, Array] = {name: getattr(self, name) for name in _COLUMNS}
        with told_plainly(file, "writing an action log"):
            replace_file(file, save({**arrays, "seed": np.array([self.seed], np.int64)}))

    def same_as(self, other: "ActionLog") -> bool:
        """Say whether both logs agree in every bit."""
        return self.seed == other.seed and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in _COLUMNS
        )


_COLUMNS = ("actions", "resets", "rewards", "terminated", "timed_out")


def _arrays_in(file: Path) -> dict[str, Array]:
    try:
        with told_plainly(file, "reading an action log"):
            return load(file.read_bytes())
    except SafetensorError as error:
        raise DataError(f"{file} is not a piece of an action log: {error}.") from error


class LoggedEnvironment(gymnasium.Wrapper[Any, Any, Any, Any]):
    """One environment of a task, with its time limit, that notes what is done in it."""

    def __init__(self, task: Task) -> None:
        """Make the environment; its first reset must bring a seed, and no later one may."""
        super().__init__(TimeLimit(make(task), task.horizon))
        self.returns: list[float] = []
        """Of all finished episodes, in order."""
        self._seed: int | None = None
        self._resets = 0
        self._return = 0.0
        self._steps: list[tuple[NDArray[np.float32], int, float, bool, bool]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, and count it."""
        # A second seed would make the count of resets before a step meaningless.
        assert (seed is None) == (self._seed is not None), "seed the first reset, and no other"
        if seed is None:
            self._resets += 1
        else:
            self._seed = seed
        self._return = 0.0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take one step, and note it."""
        assert action.dtype == np.float32, action.dtype
        taken = action.copy()  # the learner may write its next action into the same array
        observation, reward, terminated, truncated, info = self.env.step(action)
        timed_out = truncated and not terminated
        self._steps.append((taken, self._resets, float(reward), bool(terminated), bool(timed_out)))
        self._return += float(reward)
        if terminated or truncated:
            self.returns.append(self._return)
        return observation, reward, terminated, truncated, info

    def take(self) -> ActionLog:
        """Hand over the steps noted since the last call."""
        assert self._seed is not None and self._steps, "nothing was done yet"
        actions, resets, rewards, terminated, timed_out = zip(*self._steps, strict=True)
        self._steps.clear()
        return ActionLog(
            seed=self._seed,
            actions=np.stack(actions),
            resets=np.array(resets, np.int64),
            rewards=np.array(rewards, np.float64),
            terminated=np.array(terminated, np.bool_),
            timed_out=np.array(timed_out, np.bool_),
        )

    def repeat(self, log: ActionLog) -> ActionLog:
        """Do again what `log` says, open loop, and hand over what came of it.

        Pieces of a longer log are repeated in their order, the first in a fresh environment.
        """
        if self._seed is None:
            self.reset(seed=log.seed)
        for action, resets in zip(log.actions, log.resets, strict=True):
            while self._resets < resets:
                self.reset()
            self.step(action)
        return self.take()
