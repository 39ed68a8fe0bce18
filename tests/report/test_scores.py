"""Statistics over seeds and tasks, against closed forms and slow, obvious versions."""

import itertools
import random
from statistics import NormalDist, fmean

import numpy as np
import pytest

from seqrl.report.scores import (
    Interval,
    Tasks,
    bootstrap_interval,
    differences,
    improvement,
    iqm,
    mean,
    median,
    optimality_gap,
    profile,
    resampled,
    t_interval,
    t_quantile,
)

PRINTED = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 19: 2.093}
"""The 97.5 percent column of any printed table of Student's distribution, by degrees of freedom."""


def _tasks(*rows: list[float]) -> Tasks:
    return [np.array(row, np.float64) for row in rows]


# ---- Student -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("freedom", "printed"), PRINTED.items())
def test_quantiles_are_those_of_the_printed_tables(freedom: int, printed: float) -> None:
    """A normal quantile in their place makes intervals of three seeds half as wide as they are."""
    assert t_quantile(freedom) == pytest.approx(printed, abs=5e-4)


def test_many_degrees_of_freedom_are_the_normal_distribution() -> None:
    """The finite sums must not lose digits as they grow."""
    assert t_quantile(4001) == pytest.approx(NormalDist().inv_cdf(0.975), abs=1e-3)
    assert t_quantile(4000) > t_quantile(4001)


def test_interval_by_hand() -> None:
    """Of 1, 2, 3: the mean 2, the deviation 1, so 2 ± 4.303/sqrt(3)."""
    found = t_interval([1, 2, 3])
    assert found.low == pytest.approx(2 - 4.30265 / 3**0.5, abs=1e-4)
    assert found.high == pytest.approx(2 + 4.30265 / 3**0.5, abs=1e-4)


def test_pairs_are_seeds() -> None:
    """Sorted lists beside each other pair seed 1 with seed 2 where one is missing."""
    assert differences({0: 1.0, 2: 5.0, 3: 7.0}, {3: 1.0, 0: 3.0, 1: 9.0}) == {0: -2.0, 3: 6.0}


# ---- aggregates ----------------------------------------------------------------------------------


def test_aggregates_by_hand() -> None:
    """Each is told from the others: the numbers are all different."""
    tasks = _tasks([0, 10, 20, 30], [40, 90, 140, 130])
    assert mean(tasks) == pytest.approx((15 + 100) / 2)
    assert median(_tasks([0, 2], [3, 5], [40, 60])) == pytest.approx(4)
    assert median(_tasks([0, 2], [40, 60], [3, 5], [6, 8])) == pytest.approx(5.5)
    assert iqm(tasks) == pytest.approx((20 + 30 + 40 + 90) / 4)
    assert optimality_gap(tasks) == pytest.approx(100 - (0 + 10 + 20 + 30 + 40 + 90 + 200) / 8)
    assert profile(tasks, [-1, 20, 100]).tolist() == [1.0, 5 / 8, 2 / 8]


def test_iqm_cuts_whole_runs_as_its_definition_does() -> None:
    """Of 10 runs a quarter is two and a half: two are cut at each end, as by scipy's trim_mean."""
    runs = [float(n**2) for n in range(10)]
    random.Random(0).shuffle(runs)
    assert iqm(_tasks(runs)) == pytest.approx(fmean(n**2 for n in range(2, 8)))
    assert iqm(_tasks(runs[:3])) == pytest.approx(fmean(runs[:3])), "none of three"


def test_seeds_may_differ_between_tasks() -> None:
    """A mean over all runs would count a task by how many seeds it has."""
    assert mean(_tasks([0, 0, 0, 0], [90])) == pytest.approx(45)
    assert optimality_gap(_tasks([0, 0, 0], [100])) == pytest.approx(75), (
        "its definition is of runs"
    )


def test_improvement_is_the_share_of_all_pairs() -> None:
    """Mann and Whitney's count, task by task, ties half, then the mean over tasks."""
    generator = random.Random(1)
    first = [[float(generator.randrange(6)) for _ in range(4)] for _ in range(3)]
    second = [[float(generator.randrange(6)) for _ in range(5)] for _ in range(3)]
    slow = fmean(
        fmean((a > b) + (a == b) / 2 for a, b in itertools.product(*pair))
        for pair in zip(first, second, strict=True)
    )
    assert improvement(_tasks(*first), _tasks(*second)) == pytest.approx(slow)
    assert improvement(_tasks(*second), _tasks(*first)) == pytest.approx(1 - slow)


def test_statistics_of_many_resamplings_are_those_of_each() -> None:
    """They are computed all at once, along the right axis or along a wrong one."""
    tasks = _tasks([1, 5, 9, 20, 2], [30, 31, 35, 120, 50])
    drawn = resampled(tasks, np.random.default_rng(0), 7)
    for statistic in (mean, median, iqm, optimality_gap):
        one_by_one = [float(statistic([task[n] for task in drawn])) for n in range(7)]
        assert statistic(drawn).tolist() == pytest.approx(one_by_one)
    pairs = [float(improvement([t[n] for t in drawn], [t[n] for t in drawn])) for n in range(7)]
    assert improvement(drawn, drawn).tolist() == pytest.approx(pairs)
    assert profile(drawn, [10, 40]).shape == (7, 2)


# ---- the bootstrap -------------------------------------------------------------------------------


def test_seeds_are_drawn_within_their_task() -> None:
    """Drawn from all runs together, tasks of different difficulty make intervals far too wide."""
    drawn = resampled(_tasks([1, 2, 3], [101, 102]), np.random.default_rng(0), 1000)
    assert [task.shape for task in drawn] == [(1000, 3), (1000, 2)]
    assert set(drawn[0].ravel()) == {1, 2, 3} and set(drawn[1].ravel()) == {101, 102}


def test_bootstrap_against_all_resamplings() -> None:
    """With three seeds and two tasks there are 27 x 27 equally likely resamplings."""
    tasks = _tasks([0, 10, 50], [20, 40, 90])
    every = [
        float(mean(_tasks([*first], [*second])))
        for first in itertools.product(tasks[0], repeat=3)
        for second in itertools.product(tasks[1], repeat=3)
    ]
    low, high = np.percentile(every, [2.5, 97.5])
    found = bootstrap_interval(mean, tasks)
    assert found.low == pytest.approx(low, abs=1.5) and found.high == pytest.approx(high, abs=1.5)


def test_two_agents_are_resampled_apart() -> None:
    """Resampled alike, an agent is never better or worse than itself, and the interval a point."""
    tasks = _tasks([1, 2, 3, 4, 5], [3, 1, 4, 1, 5])
    found = bootstrap_interval(improvement, tasks, tasks)
    assert found.low < 0.4 and found.high > 0.6


def test_equal_scores_give_equal_intervals() -> None:
    """A table is byte-identical for the same records, whatever was drawn before it."""
    tasks = _tasks([0, 10, 50, 3, 7])
    first = bootstrap_interval(iqm, tasks)
    np.random.default_rng().random(5)
    assert bootstrap_interval(iqm, tasks) == first
    assert isinstance(first, Interval) and first.low < first.high
