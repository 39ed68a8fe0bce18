"""Signals: named quantities that every step of an episode has, computed from whole episodes.

A signal is a small frozen object: what it is called, and its value at every step. A new quantity is
a new class. Knows nothing of tokens.

Letters: N steps in all, w signal width, T steps of an episode.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqrl.episodes import Array, Episodes
from seqrl.errors import SeqrlError, UnknownName

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Signal(ABC):
    """One quantity a step."""

    name: ClassVar[str]
    """What it is called in layouts, batches and messages."""

    @abstractmethod
    def offline(self, episodes: Episodes) -> Float32:
        """Return its value at every step [N, w]; a view of the data where it is the data."""


@dataclass(frozen=True)
class Observation(Signal):
    """What the agent sees before it acts."""

    name: ClassVar[str] = "observation"

    def offline(self, episodes: Episodes) -> Float32:
        """Return the column itself."""
        return episodes.observations


@dataclass(frozen=True)
class Action(Signal):
    """What the agent does."""

    name: ClassVar[str] = "action"

    def offline(self, episodes: Episodes) -> Float32:
        """Return the column itself."""
        return episodes.actions


@dataclass(frozen=True)
class Reward(Signal):
    """What the step gives."""

    name: ClassVar[str] = "reward"

    at_termination: float | None = None
    """Takes the place of a terminating step's reward: -100 for TT's authors. None leaves it."""

    def offline(self, episodes: Episodes) -> Float32:
        """Return the rewards, the terminating ones replaced if asked [N, 1]."""
        return self.of(episodes)[:, None]

    def of(self, episodes: Episodes) -> Float32:
        """Return the rewards [N]."""
        if self.at_termination is None:
            return episodes.rewards
        replaced = np.float32(self.at_termination)
        rewards: Float32 = np.where(episodes.terminated, replaced, episodes.rewards)
        return rewards


@dataclass(frozen=True)
class ReturnToGo(Signal):
    """Sum of this step's reward and all later ones of the episode: undiscounted."""

    name: ClassVar[str] = "return_to_go"

    def offline(self, episodes: Episodes) -> Float32:
        """Add up to the end of each episode [N, 1], in float64: long episodes must not drift."""
        rewards = episodes.rewards.astype(np.float64)
        return (rewards + _summed_after(rewards, episodes)).astype(np.float32)[:, None]


@dataclass(frozen=True)
class EpisodeReturn(Signal):
    """The whole return of the episode, the same at every step of it."""

    name: ClassVar[str] = "episode_return"

    def offline(self, episodes: Episodes) -> Float32:
        """Repeat each episode's return [N, 1]."""
        return np.repeat(episodes.returns.astype(np.float32), episodes.lengths)[:, None]


@dataclass(frozen=True)
class Value(Signal):
    """Discounted sum of the rewards after this step: V_t = sum over k >= 1 of d^(k-1) r_(t+k).

    TT's convention: this step's own reward is a token of its own and not part of it, and nothing is
    added for what would have come after a timeout.
    """

    name: ClassVar[str] = "value"

    discount: float = 0.99
    at_termination: float | None = None
    """As in `Reward`; both must say the same, which the layout checks."""

    def __post_init__(self) -> None:
        """Refuse discounts that make no sum."""
        if not 0.0 <= self.discount <= 1.0:
            raise SeqrlError(f"A discount lies between 0 and 1, not at {self.discount}.")

    def offline(self, episodes: Episodes) -> Float32:
        """Sum up what comes after each step [N, 1]."""
        rewards = Reward(self.at_termination).of(episodes).astype(np.float64)
        return _summed_after(rewards, episodes, self.discount).astype(np.float32)[:, None]


def _summed_after(
    rewards: NDArray[np.float64], episodes: Episodes, discount: float = 1.0
) -> NDArray[np.float64]:
    """Sum the rewards after each step [N], stepping back from the ends of all episodes at once.

    Each episode by itself: in a difference of sums over all of them, one with huge rewards would
    drown the others.
    """
    sums = np.zeros(episodes.steps)
    order = np.argsort(-episodes.lengths, kind="stable")
    ends, lengths = episodes.starts[1:][order] - 1, episodes.lengths[order]
    for back in range(1, int(episodes.lengths.max())):
        at = ends[: np.searchsorted(-lengths, -back)] - back
        sums[at] = rewards[at + 1] + discount * sums[at + 1]
    return sums


BY_NAME: dict[str, Signal] = {
    signal.name: signal
    for signal in (Observation(), Action(), Reward(), ReturnToGo(), EpisodeReturn(), Value())
}
"""What a plain name in a layout means."""


def signal_named(name: str) -> Signal:
    """Return the signal of a plain name."""
    if name not in BY_NAME:
        raise UnknownName(
            f"There is no signal {name!r}. There are {', '.join(BY_NAME)}; a quantity of your own "
            "is a subclass of Signal, put into the layout as an object."
        )
    return BY_NAME[name]


def checked(signal: Signal, values: Array, episodes: Episodes) -> Float32:
    """Refuse what a signal of one's own may get wrong."""
    if values.ndim != 2 or len(values) != episodes.steps or values.dtype != np.float32:
        raise SeqrlError(
            f"The signal {signal.name!r} gave {values.dtype} of shape {values.shape}; expected is "
            f"float32 [{episodes.steps}, width]: one row a step."
        )
    if not np.isfinite(values).all():
        step = int(np.argmin(np.isfinite(values).all(axis=1)))
        raise SeqrlError(f"The signal {signal.name!r} is not finite at step {step:,}.")
    return values
