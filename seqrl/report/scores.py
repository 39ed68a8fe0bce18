"""Scores over seeds and tasks: what may be said of them, in a few formulas. Knows no record.

The seed is the unit of replication: whoever comes here has averaged over episodes. Aggregates over
seeds and tasks, and their intervals (see `bootstrap`), are those of Agarwal et al., Deep
Reinforcement Learning at the Edge of the Statistical Precipice (NeurIPS 2021, arXiv 2108.13264),
with scores in percent.

Letters: T tasks, R seeds of a task (they may differ from task to task).
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

COVERED = 0.95
"""What an interval is asked to cover."""
EXPERT = 100.0
"""The score up to which a run can close the optimality gap."""

Float64 = NDArray[np.float64]
Tasks = Sequence[Float64]
"""One array a task, [..., R]: scores of its seeds."""
Statistic = Callable[..., Float64]
"""Of the tasks of one agent, or of two."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """From where to where, at 95 percent."""

    low: float
    high: float


# ---- one number a seed ---------------------------------------------------------------------------


def deviation(values: Collection[float]) -> float | None:
    """Return the standard deviation, n-1; one number has none."""
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum([(value - mean) ** 2 for value in values]) / (len(values) - 1))


def t_interval(values: Sequence[float]) -> Interval:
    """Return Student's interval of the mean of independent values: two or more."""
    mean, half = t_intervals(np.asarray(values, np.float64))
    return Interval(low=float(mean - half), high=float(mean + half))


def t_intervals(values: Float64) -> tuple[Float64, Float64]:
    """Return mean and half width of Student's interval along the last axis."""
    count = values.shape[-1]
    deviation = values.std(axis=-1, ddof=1)
    return values.mean(axis=-1), t_quantile(count - 1) * deviation / math.sqrt(count)


@cache
def t_quantile(freedom: int) -> float:
    """Return which multiple of its error a mean stays within in 95 of 100 cases."""
    low, high = 0.0, 20.0  # 12.7 with one degree of freedom, fewer with more
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if _t_within(middle, freedom) < COVERED else (low, middle)
    return middle


def _t_within(bound: float, freedom: int) -> float:
    """Return the share of Student's distribution between -bound and bound: Abramowitz and Stegun,
    26.7.3 and 26.7.4, finite sums for whole degrees of freedom."""
    angle = math.atan(bound / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= (step - 1) / step * cosine**2
        total += term
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total


def differences(first: Mapping[int, float], second: Mapping[int, float]) -> dict[int, float]:
    """Subtract seed by seed, where both have the seed: what moves both alike falls out."""
    return {seed: first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())}


# ---- over seeds and tasks ------------------------------------------------------------------------


def mean(tasks: Tasks) -> Float64:
    """Return the mean over tasks of the mean over seeds."""
    found: Float64 = _means(tasks).mean(axis=-1)
    return found


def median(tasks: Tasks) -> Float64:
    """Return the median over tasks of the mean over seeds."""
    means = np.sort(_means(tasks), axis=-1)  # np.median would load all of numpy.ma
    count = means.shape[-1]
    found: Float64 = means[..., (count - 1) // 2 : count // 2 + 1].mean(axis=-1)
    return found


def iqm(tasks: Tasks) -> Float64:
    """Return the interquartile mean: of all runs of all tasks, without a quarter at each end."""
    runs = np.sort(np.concatenate(tasks, axis=-1), axis=-1)
    cut = runs.shape[-1] // 4
    found: Float64 = runs[..., cut : runs.shape[-1] - cut].mean(axis=-1)
    return found


def optimality_gap(tasks: Tasks) -> Float64:
    """Return how much is missing to the expert's score, where more than that counts as that."""
    runs = np.concatenate(tasks, axis=-1)
    found: Float64 = EXPERT - np.minimum(runs, EXPERT).mean(axis=-1)
    return found


def profile(tasks: Tasks, above: ArrayLike) -> Float64:
    """Return which share of all runs has a score above each threshold: [..., thresholds]."""
    runs = np.concatenate(tasks, axis=-1)
    found: Float64 = (runs[..., None] > np.asarray(above)).mean(axis=-2)
    return found


def improvement(first: Tasks, second: Tasks) -> Float64:
    """Return how probable it is that a run of the first beats one of the second, on a task drawn
    at random; a tie counts half."""
    found = [wins(a, b).mean(axis=(-2, -1)) for a, b in zip(first, second, strict=True)]
    shares: Float64 = _stacked(found).mean(axis=-1)
    return shares


def wins(first: Float64, second: Float64) -> Float64:
    """Return for each pair of runs on one task 1 where the first is better, half where they tie:
    [..., R, R]."""
    mine, yours = first[..., :, None], second[..., None, :]
    found: Float64 = (mine > yours) + 0.5 * (mine == yours)
    return found


def _means(tasks: Tasks) -> Float64:
    return _stacked([task.mean(axis=-1) for task in tasks])


def _stacked(values: Sequence[Float64]) -> Float64:
    found: Float64 = np.stack(values, axis=-1)
    return found
