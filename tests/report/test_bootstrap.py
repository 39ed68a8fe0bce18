"""The bootstrap, against all resamplings, and against resampling itself where it only counts."""

import itertools

import numpy as np
import pytest

from seqrl.report.bootstrap import (
    improvement_interval,
    intervals,
    percentiles,
    profile_intervals,
    resampled,
)
from seqrl.report.scores import (
    Interval,
    Statistic,
    Tasks,
    improvement,
    iqm,
    mean,
    median,
    optimality_gap,
    profile,
)
from seqrl.seeds import seed_for
from tests.report.making import tasks_of


def _interval(statistic: Statistic, tasks: Tasks) -> Interval:
    return intervals({"it": statistic}, tasks)["it"]


def test_seeds_are_drawn_within_their_task() -> None:
    """Drawn from all runs together, tasks of different difficulty make intervals far too wide."""
    drawn = resampled(tasks_of([1, 2, 3], [101, 102]), np.random.default_rng(0), 1000)
    assert [task.shape for task in drawn] == [(1000, 3), (1000, 2)]
    assert set(drawn[0].ravel()) == {1, 2, 3} and set(drawn[1].ravel()) == {101, 102}


def test_bootstrap_against_all_resamplings() -> None:
    """With three seeds and two tasks there are 27 x 27 equally likely resamplings."""
    tasks = tasks_of([0, 10, 50], [20, 40, 90])
    every = [
        float(mean(tasks_of([*first], [*second])))
        for first in itertools.product(tasks[0], repeat=3)
        for second in itertools.product(tasks[1], repeat=3)
    ]
    low, high = np.percentile(every, [2.5, 97.5])
    found = _interval(mean, tasks)
    assert found.low == pytest.approx(low, abs=1.5) and found.high == pytest.approx(high, abs=1.5)


def test_two_agents_are_resampled_apart() -> None:
    """Resampled alike, an agent is never better or worse than itself, and the interval a point."""
    tasks = tasks_of([1, 2, 3, 4, 5], [3, 1, 4, 1, 5])
    found = improvement_interval(tasks, tasks)
    assert found.low < 0.4 and found.high > 0.6


def test_equal_scores_give_equal_intervals() -> None:
    """A table is byte-identical for the same records, whatever was drawn before it."""
    tasks = tasks_of([0, 10, 50, 3, 7])
    first = _interval(iqm, tasks)
    np.random.default_rng().random(5)
    assert _interval(iqm, tasks) == first
    assert isinstance(first, Interval) and first.low < first.high


def test_counting_is_resampling() -> None:
    """How often each seed was drawn is all that shares depend on; the slow way gives equal bits."""
    generator = np.random.default_rng(1)
    first = [np.round(generator.normal(50, 20, size=seeds)) for seeds in (5, 7, 5)]
    second = [np.round(generator.normal(60, 20, size=seeds)) for seeds in (6, 7, 5)]
    again = np.random.default_rng(seed_for(0, "bootstrap"))
    mine, yours = resampled(first, again), resampled(second, again)
    low, high = percentiles(improvement(mine, yours))
    assert improvement_interval(first, second) == Interval(low=float(low), high=float(high))
    above = [0, 40, 50, 61, 200]
    lows, highs = percentiles(profile(mine, above).T)
    slow = [Interval(low=float(a), high=float(b)) for a, b in zip(lows, highs, strict=True)]
    assert profile_intervals(first, above) == slow
    low, high = percentiles(iqm(mine))
    both = intervals({"IQM": iqm, "median": median}, first)
    assert both["IQM"] == Interval(low=float(low), high=float(high)) != both["median"]


def test_statistics_of_many_resamplings_are_those_of_each() -> None:
    """They are computed all at once, along the right axis or along a wrong one."""
    tasks = tasks_of([1, 5, 9, 20, 2], [30, 31, 35, 120, 50])
    drawn = resampled(tasks, np.random.default_rng(0), 7)
    for statistic in (mean, median, iqm, optimality_gap):
        one_by_one = [float(statistic([task[n] for task in drawn])) for n in range(7)]
        assert statistic(drawn).tolist() == pytest.approx(one_by_one)
    pairs = [float(improvement([t[n] for t in drawn], [t[n] for t in drawn])) for n in range(7)]
    assert improvement(drawn, drawn).tolist() == pytest.approx(pairs)
    assert profile(drawn, [10, 40]).shape == (7, 2)
