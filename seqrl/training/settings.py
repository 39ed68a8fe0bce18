"""Training: the numbers and names that describe one training. Plain data, imports no torch."""

import math
from dataclasses import dataclass
from typing import Literal

from seqrl.errors import SeqrlError


@dataclass(frozen=True, kw_only=True)
class Training:
    """AdamW on windows drawn from the data."""

    updates: int = 100_000
    """Steps of the optimiser."""

    batch: int = 64
    """Windows in one update."""

    learning_rate: float = 1e-4

    warmup: float | Literal["epoch"] = 0.1
    """Share of the updates over which the learning rate rises, linearly, to its full value; or
    `epoch`: over so many as draw a window for every step of the data (Trajectory Transformer)."""

    decay: Literal["none", "linear", "cosine", "tt", "tt_code"] = "none"
    """How the learning rate falls after that: not at all; along a line to zero (the default of
    `transformers`); along half a cosine to zero; along it down to a tenth, once (`tt`); or as the
    code of the Trajectory Transformer's authors has it (`tt_code`): at a tenth after 20 times the
    warm-up, then up again, and so on, wherever the training ends; their first update is at the
    full rate, before anything is counted."""

    weight_decay: float = 1e-4

    decay_on: Literal["everything", "matrices"] = "everything"
    """What weight decay acts on: all weights (Decision Transformer), or matrices alone, not
    embedding tables, biases and LayerNorms (Trajectory Transformer)."""

    betas: tuple[float, float] = (0.9, 0.999)
    """How long AdamW remembers gradients and their squares."""

    clip: float | None = 0.25
    """The largest norm of a gradient; longer ones are shortened to it. None: they are not."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What matrices are multiplied in while training; `auto` is bfloat16 where the device is made
    for it. Playing is always in float32."""

    held_out: float = 0.0
    """Share of the episodes kept out of training, evenly spread, on which the error of predictions
    is measured meanwhile. The published protocols keep none."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        positive = {"updates": self.updates, "batch": self.batch}
        for name, value in positive.items():
            if value < 1:
                raise _refused(name, value, "1 or more")
        if not 0 < self.learning_rate < math.inf:
            raise _refused("learning_rate", self.learning_rate, "above 0")
        if not 0 <= self.weight_decay < math.inf:
            raise _refused("weight_decay", self.weight_decay, "0 or more")
        if self.clip is not None and not 0 < self.clip < math.inf:
            raise _refused("clip", self.clip, "above 0, or none")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise _refused("betas", self.betas, "two shares from 0 to below 1")
        if self.warmup != "epoch" and not 0 <= self.warmup <= 1:
            raise _refused("warmup", self.warmup, "a share of the updates, from 0 to 1, or 'epoch'")
        if self.warmup == 0 and self.decay == "tt_code":
            raise _refused("warmup", self.warmup, "above 0, as decay='tt_code' counts in warm-ups")
        if not 0 <= self.held_out <= 0.5:
            raise _refused("held_out", self.held_out, "a share of the episodes, from 0 to 0.5")

    def rate(self, update: int, epoch: float | None = None) -> float:
        """Return the learning rate of update number `update`, counted from 0. Who warms up over an
        epoch says how many updates draw a window for every step of the data."""
        if self.warmup == "epoch":
            assert epoch is not None
            rising = epoch
        else:
            rising = self.warmup * self.updates
        if self.decay == "tt_code":
            return self.learning_rate * _as_the_authors_count(update, rising)
        if update + 1 < rising:
            return self.learning_rate * (update + 1) / rising
        if self.decay == "none":
            return self.learning_rate
        share = min(1.0, max(0.0, (update - rising) / max(1.0, self.updates - rising)))
        if self.decay == "linear":
            return self.learning_rate * (1 - share)
        fallen = _half_a_cosine(share)
        return self.learning_rate * (max(0.1, fallen) if self.decay == "tt" else fallen)


def _as_the_authors_count(update: int, rising: float) -> float:
    """Return the share of the full rate: Trainer.train of trajectory/utils/training.py, and
    warmup_tokens and final_tokens of scripts/train.py, in
    github.com/jannerm/trajectory-transformer."""
    if update == 0:
        return 1.0
    if update < rising:
        return update / rising
    return max(0.1, _half_a_cosine((update - rising) / (19 * rising)))


def _half_a_cosine(share: float) -> float:
    """Fall from 1 to 0, and beyond 1 rise again."""
    return (1 + math.cos(math.pi * share)) / 2


def _refused(name: str, got: object, allowed: str) -> SeqrlError:
    return SeqrlError(f"Training: {name} is {got!r}; it must be {allowed}.")
