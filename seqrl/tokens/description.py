"""A layout told to people: every token of goals and block, how it is made, seen and predicted.

Plain data, and none of it needs the data set to be here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from seqrl.episodes import Episodes
from seqrl.errors import SeqrlError
from seqrl.progress import counted
from seqrl.tasks.task import Task
from seqrl.tokens.layout import Encoding, TokenLayout, Vector
from seqrl.tokens.signals import Signal, checked
from seqrl.tokens.tokenizer import Slot, Tokenizer, fit

MADE_UP_STEPS = 8


@dataclass(frozen=True)
class TokenRow:
    """One token of the block, or a goal's."""

    number: int | None
    """Counted from 1 within the block; nothing for a goal."""
    label: str
    signal: str
    """With its settings."""
    encoding: str
    attended: bool
    """Whether later tokens may look at it."""
    read_from: str | None
    """The token whose output predicts it; nothing if it is not predicted."""
    loss: float


def unfitted(layout: TokenLayout, task: Task) -> Tokenizer:
    """Return a tokenizer whose shapes are right and whose numbers are not: fitted to made-up
    episodes of the task's shape."""
    episodes = made_up(task)
    for part in layout.named.values():
        try:
            checked(part.signal, part.signal.offline(episodes), episodes)
        except Exception as error:  # a signal of the user's own may raise anything
            raise SeqrlError(
                f"How wide the signal {part.name!r} is cannot be told without data: its offline() "
                f"fails on made-up episodes of {task.name} ({type(error).__name__}: {error}). It "
                f"must work for any episodes that have the columns {', '.join(episodes.columns)}."
            ) from error
    return fit(layout, episodes)


def made_up(task: Task, count: int = 2, length: int = MADE_UP_STEPS) -> Episodes:
    """Episodes of noise, of which every second one, from the first on, terminates."""
    length = min(length, task.horizon)
    steps = count * length
    generator = np.random.default_rng(0)
    low, high = np.array(task.action_low, np.float32), np.array(task.action_high, np.float32)
    ends = np.zeros((2, steps), bool)
    for number in range(count):
        ends[number % 2, (number + 1) * length - 1] = True
    seen = generator.standard_normal((2, steps, task.observation_width)).astype(np.float32)
    return Episodes(
        name=task.name,
        columns={
            "observations": seen[0],
            "actions": generator.uniform(low, high, (steps, task.action_width)).astype(np.float32),
            "rewards": generator.standard_normal(steps).astype(np.float32),
            "terminated": ends[0],
            "timed_out": ends[1],
            "next_observations": seen[1],
        },
        starts=np.arange(count + 1) * length,
        horizon=task.horizon,
        action_low=low,
        action_high=high,
        digests={},
    )


def rows_of(tokenizer: Tokenizer) -> list[TokenRow]:
    """Describe the tokens of the goals, then of the block, by the reading rule: each is read from
    the one in front.

    In front of the block's first token stands the last one of the step before; in the window's
    first step the last goal's, or nothing.
    """
    goals, slots = tokenizer.prefix_slots, tokenizer.slots
    at_first = f" (at first {goals[-1].label})" if goals else ""
    before = [
        f"{slots[-1].label} of the step before{at_first}",
        *(slot.label for slot in slots[:-1]),
    ]
    return [
        *(_row(None, slot, tokenizer.widths[slot.name], "") for slot in goals),
        *(
            _row(number, slot, tokenizer.widths[slot.name], in_front)
            for number, (slot, in_front) in enumerate(zip(slots, before, strict=True), 1)
        ),
    ]


def _row(number: int | None, slot: Slot, width: int, in_front: str) -> TokenRow:
    part = slot.part
    return TokenRow(
        number=number,
        label=slot.label,
        signal=_signal_in_words(part.signal),
        encoding=_encoding_in_words(part.encoding, width),
        attended=part.attended,
        read_from=in_front if part.loss else None,
        loss=part.loss,
    )


def _signal_in_words(signal: Signal) -> str:
    said = [signal.name]
    for field in fields(signal):
        value = getattr(signal, field.name)
        if value is not None:
            shown = f"{value:g}" if isinstance(value, float) else value
            said.append(f"{field.name.replace('_', ' ')} {shown}")
    return ", ".join(said)


def _encoding_in_words(encoding: Encoding, width: int) -> str:
    if not isinstance(encoding, Vector):
        kind = "quantile bins" if encoding.spacing == "quantile" else "bins of equal width"
        return f"{encoding.count} {kind}"
    said = [f"vector of {width}"]
    if encoding.standardise:
        said.append("standardised")
    if encoding.divide_by != 1.0:
        said.append(f"divided by {encoding.divide_by:g}")
    if encoding.squash:
        said.append("squashed to the action's bounds")
    return ", ".join(said)


def window_in_words(layout: TokenLayout, rows: Sequence[TokenRow]) -> dict[str, str]:
    """Describe the window around the block: its size, and what the layout says of it."""
    block = [row for row in rows if row.number is not None]
    goals = len(rows) - len(block)
    size = goals + layout.steps * len(block)
    by_step = layout.positions == "episode step"
    filling = layout.after_end == "filling"
    over_real = layout.loss_over == "real steps"
    untold = block[0].read_from is not None and not goals
    return {
        "window": (f"{counted(goals, 'goal token')} + " if goals else "")
        + f"{counted(layout.steps, 'step')} x {counted(len(block), 'token')} = "
        + counted(size, "token"),
        "positions": (
            "the step of the episode, one for all tokens of a step"
            if by_step
            else "the token of the window"
        )
        + ("; goals have none" if goals else ""),
        "after an episode's end": "filling that counts for nothing"
        if filling
        else "an end token, which is learnt",
        "loss averaged over": (
            "real steps" if over_real else "all positions of the window, unpredicted ones as zeros"
        )
        + ("; the window's first token is not predicted" if untold else ""),
    }
