"""The stratified bootstrap: what other seeds of the same tasks would have changed.

Each task's seeds are drawn anew, with replacement, from that task's own; agents are drawn apart
from each other. Whoever has as many seeds is drawn alike, so equal scores give equal intervals,
always, and nothing is drawn twice. Where a statistic only counts, it is enough to know how often
each seed was drawn: that gives the same numbers, to the bit, and far sooner.

Letters as in `scores`: T tasks, R seeds of a task, B resamplings.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from seqrl.report.scores import COVERED, Float64, Interval, Statistic, Tasks, wins
from seqrl.seeds import seed_for

RESAMPLINGS = 10_000

Float32 = NDArray[np.float32]
Seeds = tuple[int, ...]
"""How many, of each task of an agent."""
Key = TypeVar("Key")


def intervals(statistics: Mapping[Key, Statistic], tasks: Tasks) -> dict[Key, Interval]:
    """Return the percentile interval of each statistic of one agent."""
    (drawn,) = _drawn((_seeds(tasks),))
    values = [task[places] for task, places in zip(tasks, drawn, strict=True)]
    return {key: _interval(statistic(values)) for key, statistic in statistics.items()}


def profile_intervals(tasks: Tasks, above: Sequence[float]) -> list[Interval]:
    """Return that of the share of runs above each threshold; the thresholds are in order."""
    (often,) = _often((_seeds(tasks),))
    between = np.zeros((len(above) + 1, RESAMPLINGS))
    for times, score in zip(np.concatenate(often), np.concatenate(tasks), strict=True):
        between[np.searchsorted(above, score)] += times
    counts = between[:0:-1].cumsum(axis=0)[::-1]
    return [_interval(shares) for shares in counts / sum(_seeds(tasks))]


def improvement_interval(first: Tasks, second: Tasks) -> Interval:
    """Return that of the probability that a run of the first beats one of the second."""
    mine, yours = _often((_seeds(first), _seeds(second)))
    shares = [
        _won(m, y, wins(a, b)).astype(np.float64) / (len(a) * len(b))
        for m, y, a, b in zip(mine, yours, first, second, strict=True)
    ]
    return _interval(np.stack(shares, axis=-1).mean(axis=-1))


def resampled(
    tasks: Tasks, generator: np.random.Generator, count: int = RESAMPLINGS
) -> list[Float64]:
    """Return the scores of seeds that are drawn anew within each task: [..., B, R]."""
    drawn = _places(_seeds(tasks), generator, count)
    return [task[..., places] for task, places in zip(tasks, drawn, strict=True)]


def percentiles(values: Float64) -> tuple[Float64, Float64]:
    """Return the ends of the middle 95 percent along the last axis."""
    edge = 50 * (1 - COVERED)
    low, high = np.percentile(values, [edge, 100 - edge], axis=-1)
    return low, high


def _interval(values: Float64) -> Interval:
    low, high = percentiles(values)
    return Interval(low=float(low), high=float(high))


def _seeds(tasks: Tasks) -> Seeds:
    return tuple(task.shape[-1] for task in tasks)


@lru_cache(4)
def _drawn(agents: tuple[Seeds, ...]) -> list[list[NDArray[np.int64]]]:
    """Draw the seeds of each agent: one array a task, [B, R]."""
    generator = np.random.default_rng(seed_for(0, "bootstrap"))
    return [_places(seeds, generator, RESAMPLINGS) for seeds in agents]


@lru_cache(4)
def _often(agents: tuple[Seeds, ...]) -> list[list[Float32]]:
    """Return how often each seed was drawn: one array a task, [R, B]."""
    return [[_times(places) for places in drawn] for drawn in _drawn(agents)]


def _times(places: NDArray[np.int64]) -> Float32:
    count, seeds = places.shape
    each = places * count + np.arange(count)[:, None]  # one number for each seed and resampling
    times = np.bincount(each.ravel(), minlength=seeds * count).reshape(seeds, count)
    return times.astype(np.float32)


def _won(mine: Float32, yours: Float32, each: Float64) -> Float32:
    """Return how many pairs were won, and half of those that tied: whole numbers and halves, which
    are exact in float32 too. (Not by BLAS, whose threads wait for each other where a bench keeps
    all cores busy.)"""
    beaten = np.einsum("rb,rs->sb", mine, each.astype(np.float32))
    found: Float32 = np.einsum("sb,sb->b", beaten, yours)
    return found


def _places(seeds: Seeds, generator: np.random.Generator, count: int) -> list[NDArray[np.int64]]:
    return [generator.integers(number, size=(count, number)) for number in seeds]
