"""Statistics over seeds and tasks, against closed forms and slow, obvious versions."""

import itertools
import random
from statistics import NormalDist, fmean

import pytest

from seqrl.report.scores import (
    differences,
    improvement,
    iqm,
    mean,
    median,
    optimality_gap,
    profile,
    t_interval,
    t_quantile,
)
from tests.report.making import tasks_of

PRINTED = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 19: 2.093}
"""The 97.5 percent column of any printed table of Student's distribution, by degrees of freedom."""


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
    tasks = tasks_of([0, 10, 20, 30], [40, 90, 140, 130])
    assert mean(tasks) == pytest.approx((15 + 100) / 2)
    assert median(tasks_of([0, 2], [3, 5], [40, 60])) == pytest.approx(4)
    assert median(tasks_of([0, 2], [40, 60], [3, 5], [6, 8])) == pytest.approx(5.5)
    assert iqm(tasks) == pytest.approx((20 + 30 + 40 + 90) / 4)
    assert optimality_gap(tasks) == pytest.approx(100 - (0 + 10 + 20 + 30 + 40 + 90 + 200) / 8)
    assert profile(tasks, [-1, 20, 100]).tolist() == [1.0, 5 / 8, 2 / 8]


def test_iqm_cuts_whole_runs_as_its_definition_does() -> None:
    """Of 10 runs a quarter is two and a half: two are cut at each end, as by scipy's trim_mean."""
    runs = [float(n**2) for n in range(10)]
    random.Random(0).shuffle(runs)
    assert iqm(tasks_of(runs)) == pytest.approx(fmean(n**2 for n in range(2, 8)))
    assert iqm(tasks_of(runs[:3])) == pytest.approx(fmean(runs[:3])), "none of three"


def test_seeds_may_differ_between_tasks() -> None:
    """A mean over all runs would count a task by how many seeds it has."""
    assert mean(tasks_of([0, 0, 0, 0], [90])) == pytest.approx(45)
    assert optimality_gap(tasks_of([0, 0, 0], [100])) == pytest.approx(75), (
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
    assert improvement(tasks_of(*first), tasks_of(*second)) == pytest.approx(slow)
    assert improvement(tasks_of(*second), tasks_of(*first)) == pytest.approx(1 - slow)
