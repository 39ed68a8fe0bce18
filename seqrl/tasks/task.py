"""Task: what an agent is to do, where that is played, and what its return is worth. No data, no
simulator."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from seqrl.errors import SeqrlError, UnknownName


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The two returns between which a score is measured, and who says so."""

    minimum: float
    """Return worth 0: a random policy."""

    maximum: float
    """Return worth 100: an expert."""

    source: str

    def __post_init__(self) -> None:
        """Refuse a scale that does not rise, or never ends."""
        if not (isfinite(self.minimum) and isfinite(self.maximum)):
            raise SeqrlError(
                f"The reference returns must be finite numbers, not {self.minimum} and "
                f"{self.maximum}."
            )
        if not self.minimum < self.maximum:
            raise SeqrlError(
                f"The reference minimum ({self.minimum}) must be below the maximum "
                f"({self.maximum})."
            )


def in_percent(returns: Any, minimum: float, maximum: float) -> Any:
    """Turn a return, or an array of them, into scores: 0 random, 100 expert, never clipped."""
    return 100.0 * (returns - minimum) / (maximum - minimum)


def task_from(plain: Mapping[str, Any]) -> "Task":
    """Make a task of plain data, as `dataclasses.asdict` and JSON leave it."""
    reference = plain["reference"]
    return Task(**{**plain, "reference": Reference(**reference) if reference else None})


@dataclass(frozen=True, kw_only=True)
class Task:
    """One column of a table: `d4rl/hopper-medium-v2` played in `Hopper-v4`."""

    name: str
    """Full data name: family/name, see `seqrl tasks`."""

    environment: str
    """Gymnasium id; `module:Id` imports the module first."""

    horizon: int
    """Steps after which the environment ends an episode."""

    observation_width: int
    """How many leading entries of an observation are kept, of the data's and of the environment's.
    """

    action_width: int
    reference: Reference | None
    action_low: tuple[float, ...] = ()
    """Bounds of each action entry; -1 and 1 unless given."""
    action_high: tuple[float, ...] = ()

    not_playable: str = ""
    """Why this task cannot be played here; empty if it can."""

    rewards_at_end: bool = False
    """The agent hears of all reward only when the episode is over: `+delayed`."""

    environment_settings: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments for `gymnasium.make`."""

    def __post_init__(self) -> None:
        """Fill in the usual action bounds."""
        for bound, usual in (("action_low", -1.0), ("action_high", 1.0)):
            given = tuple(getattr(self, bound)) or (usual,) * self.action_width
            assert len(given) == self.action_width, f"{bound} of {self.name}"
            object.__setattr__(self, bound, given)

    def score(self, return_: float) -> float:
        """Return in percent of the reference: 0 random, 100 expert, never clipped."""
        if self.reference is None:
            raise SeqrlError(
                f"{self.name} has no reference returns, so a return cannot be turned into a score. "
                "Give them: `--reference MINIMUM MAXIMUM` when importing the data."
            )
        return float(in_percent(return_, self.reference.minimum, self.reference.maximum))

    def scored(self, return_: float) -> float | None:
        """Return the score, or nothing where the task has no reference returns."""
        return self.score(return_) if self.reference else None

    def on(self, environment: str) -> "Task":
        """Return the same task in another environment version: v5 is Gymnasium's newer physics."""
        body, _, version = self.environment.rpartition("-")
        if "-" not in environment:
            environment = f"{body}-{environment}"
        if environment == self.environment:
            return self
        if self.not_playable:
            raise SeqrlError(f"{self.name} cannot be played here: {self.not_playable}")
        known = (f"{body}-v4", f"{body}-v5") if version in ("v4", "v5") else ()
        if environment.rpartition("-")[0] != body or (known and environment not in known):
            raise UnknownName(
                f"{self.name} is played in {self.environment}, or in another version of it "
                f"({' or '.join(known) or f'{body}-v...'}), not in {environment!r}."
            )
        return replace(
            self,
            environment=environment,
            # Ant-v5 shows the contact forces unless told not to; the other bodies never had them.
            environment_settings={"include_cfrc_ext_in_observation": False}
            if environment == "Ant-v5"
            else {},
        )
