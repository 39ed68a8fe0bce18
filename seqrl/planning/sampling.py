"""Sampling: drawing one token from the scores of its classes.

Chance comes in as uniform numbers, one a row, so that who draws decides where they come from.

Letters: R rows, c classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from seqrl.errors import SeqrlError


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a token is drawn: from all classes, unless something is said; filters apply in order."""

    temperature: float = 1.0
    """Scores are divided by it: below 1 the likely becomes likelier."""

    cdf: float | None = None
    """Drop the unlikely classes that hold this share of the probability together, as the Trajectory
    Transformer's authors do: sorted upwards, all are dropped up to the last whose cumulative sum is
    under the share, and whoever is as unlikely as that one. 0.6 keeps about the top 40%."""

    top_k: int | None = None
    """Keep the likeliest so many, and whoever is as likely as the last of them; 1 draws nothing and
    takes the likeliest."""

    def __post_init__(self) -> None:
        """Refuse what leaves nothing to draw from."""
        if not self.temperature > 0:
            raise SeqrlError(f"Sampling: temperature must be above 0, not {self.temperature}.")
        if self.cdf is not None and not 0 <= self.cdf < 1:
            raise SeqrlError(f"Sampling: cdf is a share from 0 to below 1, not {self.cdf}.")
        if self.top_k is not None and self.top_k < 1:
            raise SeqrlError(f"Sampling: top_k must be 1 or more, not {self.top_k}.")

    @property
    def needs_chance(self) -> bool:
        """Say whether drawing takes uniform numbers."""
        return self.top_k != 1

    def draw(self, scores: Tensor, uniform: Tensor | None) -> Tensor:
        """Draw a token for each row of scores [R, c]; the uniform numbers [R] are from [0, 1)."""
        if not self.needs_chance:
            return scores.argmax(-1)
        assert uniform is not None
        climbing = self.probabilities(scores).cumsum(-1)  # [R, c]
        reached = climbing <= uniform[:, None] * climbing[:, -1:]
        return reached.sum(-1).clamp(max=scores.shape[-1] - 1)

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return what is drawn from [R, c]."""
        scores = scores / self.temperature
        if self.cdf is not None:
            scores = _without_unlikely(scores, self.cdf)
        if self.top_k is not None and self.top_k < scores.shape[-1]:
            last = scores.topk(self.top_k, -1).values[:, -1:]
            scores = scores.masked_fill(scores < last, -torch.inf)
        return scores.softmax(-1)


def _without_unlikely(scores: Tensor, share: float) -> Tensor:
    likely = scores.softmax(-1)
    rising = _sorted(likely)  # [R, c]
    under = rising.cumsum(-1) < share
    # The last index under the share; the first if there is none, as the authors' argmax has it.
    last = (under.sum(-1, keepdim=True) - 1).clamp(min=0)
    dropped = likely <= rising.gather(-1, last)
    # All equally likely: all would be dropped, which is to keep all.
    dropped &= ~dropped.all(-1, keepdim=True)
    return scores.masked_fill(dropped, -torch.inf)


def _sorted(values: Tensor) -> Tensor:
    """Sort each row upwards. On a CPU numpy takes a twentieth of the time."""
    if values.device.type != "cpu":
        return values.sort(-1).values
    ordered = values.numpy().copy()
    ordered.sort(-1)
    return torch.from_numpy(ordered)
