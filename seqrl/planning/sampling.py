"""Sampling: drawing one token from the scores of its classes.

Chance comes in as uniform numbers, one a row, so that who draws decides where they come from.

Letters: R rows, c classes.
"""

import torch
from torch import Tensor

from seqrl.planning.settings import Sampling


def draw(sampling: Sampling, scores: Tensor, uniform: Tensor | None) -> Tensor:
    """Draw a token for each row of scores [R, c]; the uniform numbers [R] are from [0, 1)."""
    if not sampling.needs_chance:
        return scores.argmax(-1)
    assert uniform is not None
    climbing = probabilities(sampling, scores).cumsum(-1)  # [R, c]
    whole = climbing[:, -1:]
    reached = (climbing <= uniform[:, None] * whole).sum(-1)
    # A number that was rounded to 1 must not fall behind the last class that has a chance.
    return reached.minimum((climbing < whole).sum(-1))


def probabilities(sampling: Sampling, scores: Tensor) -> Tensor:
    """Return what is drawn from [R, c]."""
    scores = scores / sampling.temperature
    if sampling.cdf is not None:
        scores = _without_unlikely(scores, sampling.cdf)
    if sampling.top_k is not None and sampling.top_k < scores.shape[-1]:
        last = scores.topk(sampling.top_k, -1).values[:, -1:]
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
