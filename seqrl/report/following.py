"""Does an agent follow its target? Achieved against asked returns, in numbers.

Letters: T targets, E episodes of each, R resamplings.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqrl.runs.sweep import Sweep
from seqrl.seeds import seed_for

RESAMPLINGS = 10_000
COVERED = 0.95
"""Share of the resamplings that an interval covers."""

Float64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Achieved:
    """What came of asking for one return."""

    asked: float
    mean: float
    deviation: float
    """Of the episodes, not of their mean."""
    score: float | None
    episodes: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number, and an interval from resampling; nothing where there is too little to resample."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Following:
    """How achieved returns follow the asked ones, up to the best return in the training data.

    Beyond that nobody has shown the agent what it is asked for. The mean over the episodes of each
    target counts; the interval comes from drawing episodes anew, with replacement: the same ones
    for every target, since an episode begins alike under each. So it says what other episodes
    would have changed, and nothing of other trainings.
    """

    targets: int
    """That lie at or below the best in the data; with fewer than three there is no estimate."""
    rank_correlation: Estimate | None
    """Spearman's: 1, more asked is always more achieved. None too if all achieve the same."""
    slope: Estimate | None
    """Of the least-squares line: how much of each more that is asked comes; 1 is all of it."""


def achieved(sweep: Sweep) -> list[Achieved]:
    """Sum up each target."""
    found = []
    for asked in sweep.targets:
        rows = sweep.of(asked)
        returns = [row.return_ for row in rows]
        scores = [row.score for row in rows if row.score is not None]
        found.append(
            Achieved(
                asked=asked,
                mean=float(np.mean(returns)),
                deviation=float(np.std(returns)),
                score=float(np.mean(scores)) if scores else None,
                episodes=len(rows),
            )
        )
    return found


def following(sweep: Sweep) -> Following:
    """Measure it."""
    within = [asked for asked in sweep.targets if asked <= sweep.best_in_data]
    if len(within) < 3:
        return Following(targets=len(within), rank_correlation=None, slope=None)
    asked = np.array(within)  # [T]
    returns = np.array([[row.return_ for row in sweep.of(target)] for target in within])  # [T, E]
    count = returns.shape[1]
    # How often each episode is drawn in each resampling [R, E]; a seed of its own, always the same.
    generator = np.random.default_rng(seed_for(0, "following"))
    drawn = generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLINGS)
    means = returns.mean(axis=1, keepdims=True)  # [T, 1]
    resampled = returns @ (drawn.T / count)  # [T, R]
    return Following(
        targets=len(within),
        rank_correlation=_estimate(rank_correlations, asked, means, resampled, count),
        slope=_estimate(slopes, asked, means, resampled, count),
    )


def _estimate(
    measure: Any, asked: Float64, means: Float64, resampled: Float64, count: int
) -> Estimate | None:
    value = float(measure(asked, means)[0])
    if not np.isfinite(value):
        return None
    if count < 2:
        return Estimate(value=value, interval=None)
    edge = (1 - COVERED) / 2
    low, high = np.nanquantile(measure(asked, resampled), [edge, 1 - edge])
    return Estimate(value=value, interval=(float(low), float(high)))


def slopes(asked: Float64, means: Float64) -> Float64:
    """Return the least-squares slope of each column of `means` [T, R] on `asked` [T]: [R]."""
    off = asked - asked.mean()
    found: Float64 = off @ means / (off @ off)
    return found


def rank_correlations(asked: Float64, means: Float64) -> Float64:
    """Return Spearman's rank correlation of each column of `means` [T, R] with `asked` [T]: [R].

    It is nan for a column of equal values.
    """
    first, second = ranks(asked[:, None]), ranks(means)
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    with np.errstate(invalid="ignore"):
        spread = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
        found: Float64 = (first * second).sum(axis=0) / spread
    return found


def ranks(values: Float64) -> Float64:
    """Return the rank of each entry within its column [T, R], from 1; equal ones share theirs."""
    below = (values[None] < values[:, None]).sum(axis=1)  # [T, R]
    equal = (values[None] == values[:, None]).sum(axis=1)
    found: Float64 = below + (equal + 1) / 2
    return found
