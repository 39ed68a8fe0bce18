"""Worth: what a binned signal comes to under the scores of its token.

Letters: R rows, c classes, K bins.
"""

from torch import Tensor


def worth(scores: Tensor, centres: Tensor, percentile: float | None) -> Tensor:
    """Return the mean of bins with centres [K] under scores [R, c]; or, with a percentile, the
    least bin up to which there is more than this share of the probability [R].

    As TT's authors have it, the class of the end, behind the bins, counts for nothing, and the
    others are not made up for it. Their percentile is the bin below, and for the lowest the highest
    of all: a negative number in Python; here it is the bin itself.
    """
    likely = scores.softmax(-1)[:, : len(centres)]
    if percentile is None:
        return likely @ centres
    reached = (likely.cumsum(-1) <= percentile).sum(-1)
    return centres[reached.clamp(max=len(centres) - 1)]
