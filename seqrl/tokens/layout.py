"""Layouts: how an agent declares one environment step as tokens. Pure data; refused when wrong.

One step is one block of tokens, the sequence is the block repeated, behind goals if there are any.
The reading rule: the output at token j speaks about token j + 1; so each part is read from the
token in front of it. From the declaration follow, elsewhere, embeddings, mask, heads, loss, windows
and decoding.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from seqrl.errors import SeqrlError
from seqrl.tokens.signals import ReturnToGo, Reward, Signal, Value, signal_named


@dataclass(frozen=True, kw_only=True)
class Vector:
    """The whole signal is one token: a linear map in, a linear map out."""

    standardise: bool = False
    """Subtract the data's mean, divide by its standard deviation, dimension by dimension."""

    divide_by: float = 1.0
    """Divide by this number."""

    squash: bool = False
    """Predictions pass through tanh and are stretched to the action's bounds."""

    def __post_init__(self) -> None:
        """Refuse scales that destroy the signal."""
        if not (self.divide_by > 0 and self.divide_by < float("inf")):
            raise SeqrlError(f"divide_by must be a positive number, not {self.divide_by}.")
        if self.standardise and self.divide_by != 1.0:
            raise SeqrlError(
                "A vector is standardised or divided by a number, not both: choose one."
            )
        if self.squash and (self.standardise or self.divide_by != 1.0):
            raise SeqrlError(
                "A squashed vector is predicted between its bounds as they are: leave out "
                "standardise and divide_by."
            )


@dataclass(frozen=True, kw_only=True)
class Bins:
    """Each dimension of the signal is a token: an embedding table in, a classifier out."""

    count: int = 100
    spacing: Literal["quantile", "uniform"] = "quantile"
    """Bins that hold equally many values of the data, or that are equally wide."""

    def __post_init__(self) -> None:
        """Refuse counts that cannot be stored or told apart."""
        if not 2 <= self.count <= 254:
            raise SeqrlError(f"Bins: the count must lie between 2 and 254, not at {self.count}.")
        if self.spacing not in ("quantile", "uniform"):
            raise SeqrlError(f"Bins: spacing is 'quantile' or 'uniform', not {self.spacing!r}.")


Encoding = Vector | Bins


@dataclass(frozen=True)
class Part:
    """One signal inside the block, or a goal in front of all blocks."""

    signal: Signal
    encoding: Encoding
    loss: float = 0.0
    """Weight of predicting this part; 0: it is read, never predicted, and has no head."""
    attended: bool = True
    """False: no token may look at it; for what has seen the future."""

    def __init__(
        self,
        signal: Signal | str,
        encoding: Encoding,
        *,
        loss: float = 0.0,
        attended: bool = True,
    ) -> None:
        """Take a signal or its plain name."""
        if not loss >= 0 or loss == float("inf"):
            raise SeqrlError(f"The weight of a loss is 0 or more, not {loss}.")
        named = signal_named(signal) if isinstance(signal, str) else signal
        object.__setattr__(self, "signal", named)
        object.__setattr__(self, "encoding", encoding)
        object.__setattr__(self, "loss", float(loss))
        object.__setattr__(self, "attended", attended)

    @property
    def name(self) -> str:
        """The signal's name."""
        return self.signal.name

    @property
    def goal_name(self) -> str:
        """What the part goes by as a goal: the same signal may be in the block too."""
        return f"goal_{self.signal.name}"


Positions = Literal["episode step", "token"]
AfterEnd = Literal["filling", "end token"]
LossOver = Literal["real steps", "all positions"]


@dataclass(frozen=True)
class TokenLayout:
    """The declaration of one step as tokens, and of how many steps make a window."""

    parts: tuple[Part, ...]
    steps: int
    """Steps in a window."""

    positions: Positions = "episode step"
    """What a position embedding counts: the step of the episode (one for all tokens of a step), or
    the token of the window."""

    after_end: AfterEnd = "filling"
    """What follows an episode's end in a longer window: filling that counts for nothing, or a token
    of its own that is learnt."""

    loss_over: LossOver = "real steps"
    """What the loss is averaged over: real steps (DT's authors), or every position of the window,
    those of no consequence counting as zeros (TT's authors)."""

    prefix: tuple[Part, ...] = ()
    """Goals: one value of a signal for the whole window, in front of its first step. In the data it
    is the signal at the last step of the window's episode: what the episode came to (TT's authors).
    While playing, the agent gives it as `goal_` and the signal's name, one a row. A goal has an
    embedding of its own and no position, is seen by all tokens of the window, and is never
    predicted; the first token of the block is then read from the last goal's."""

    def __init__(
        self,
        *parts: Part,
        steps: int,
        positions: Positions = "episode step",
        after_end: AfterEnd = "filling",
        loss_over: LossOver = "real steps",
        prefix: tuple[Part, ...] = (),
    ) -> None:
        """Take the parts of a block in their order, and the goals in theirs."""
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "after_end", after_end)
        object.__setattr__(self, "loss_over", loss_over)
        object.__setattr__(self, "prefix", tuple(prefix))
        for problem in self._problems():
            raise SeqrlError(problem)

    @property
    def goals(self) -> dict[str, Part]:
        """The parts of the prefix, each by the name that its values go by."""
        return {part.goal_name: part for part in self.prefix}

    @property
    def named(self) -> dict[str, Part]:
        """All parts, each by the name that its values go by: goals, then the block."""
        return {**self.goals, **{part.name: part for part in self.parts}}

    def _problems(self) -> Iterator[str]:
        """Say everything that is wrong with the declaration, each with the way out."""
        names = [*(part.goal_name for part in self.prefix), *(part.name for part in self.parts)]
        if not self.parts:
            yield "A layout needs at least one part."
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            yield f"The part {twice!r} stands twice in the layout: a signal has one place."
        if self.steps < 1:
            yield f"A window has at least 1 step, not {self.steps}."
        if not any(part.loss for part in self.parts):
            yield "No part has a loss, so nothing would be learnt: give one a loss, e.g. loss=1.0."
        first = self.parts[0]
        if first.loss and len(self.parts) == 1 and self.steps == 1 and not self.prefix:
            yield f"{first.name!r} is alone in a window of one step: no token tells of it."
        if self.after_end == "end token" and any(
            isinstance(part.encoding, Vector) for part in self.parts
        ):
            yield (
                "An end token needs bins: a vector has no class for it. Use after_end='filling', "
                "or Bins for every part."
            )
        for part in self.parts:
            if isinstance(part.encoding, Vector) and part.encoding.squash and part.name != "action":
                yield f"{part.name!r} has no bounds to be squashed to: only an action has."
        yield from self._wrong_goals()
        yield from self._unequal_penalties()

    def _wrong_goals(self) -> Iterator[str]:
        for name, part in self.goals.items():
            if part.loss:
                yield f"{name!r} is given, never predicted: leave out its loss."
            if not part.attended:
                yield f"{name!r} is there to be seen by all: leave out attended=False."
            if isinstance(part.encoding, Vector) and part.encoding.squash:
                yield f"{name!r} is given, and only predictions are squashed: leave out squash."
            if isinstance(part.signal, ReturnToGo | Value):
                yield (
                    f"A goal is a signal at its episode's end, where {part.name!r} has nothing "
                    "left to add up. Use 'episode_return', the return of the whole episode."
                )

    def _unequal_penalties(self) -> Iterator[str]:
        said = {
            name: part.signal.at_termination
            for name, part in self.named.items()
            if isinstance(part.signal, Reward | Value)
        }
        if len(set(said.values())) > 1:
            yield (
                f"Reward and value see different rewards at a termination: {said}. Give both the "
                "same at_termination."
            )
