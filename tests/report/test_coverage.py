"""Coverage: an interval that nobody has tried is not printed, and what was found is in the file."""

from itertools import combinations
from typing import get_args

import numpy as np
import pytest

from seqrl.report.coverage import Kind, Measured, coverage_of, in_words
from seqrl.report.scores import iqm, t_intervals
from seqrl.report.simulation import (
    STUDENTS,
    _chance,
    bootstrap_covered,
    generator_of,
    populations,
    t_covered,
    true_iqm,
)


@pytest.mark.parametrize("tasks", [1, 2, 9])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_students_interval_holds_a_normal_mean(seeds: int, tasks: int) -> None:
    """With a normal quantile in Student's place, three seeds hold it in 81 percent."""
    known = coverage_of("t", seeds, tasks)
    assert known is not None and 0.93 < known.normal < 0.97
    again = t_covered(populations()["normal"], seeds, tasks, 200, np.random.default_rng(1))
    assert again == pytest.approx(known.normal, abs=0.05)


def test_the_file_is_of_this_simulation() -> None:
    """A file that is not measured again when a formula changes prints old figures: the cheapest
    parts of it are made again with the same draws."""
    cheap: dict[tuple[str, int, int], float] = {
        (kind, 3, 1): covered(populations()["real"], 3, 1, 10_000, generator_of(kind, 3, 1, "real"))
        for kind, covered in STUDENTS.items()
    }
    shares = bootstrap_covered(
        populations()["real"], 5, 1, 112, generator_of("bootstrap", 5, 1, "real")
    )
    cheap |= {(kind, 5, 1): share for kind, share in shares.items()}
    for (kind, seeds, tasks), share in cheap.items():
        known = coverage_of(kind, seeds, tasks)
        assert known is not None and share == pytest.approx(known.real, abs=0.003), kind


@pytest.mark.parametrize("tasks", [1, 2])
def test_pairs_are_as_sure_as_one_mean_where_one_agent_never_varies(tasks: int) -> None:
    """What is least: a second agent that scores the same with every seed takes nothing away."""
    population = populations()["real"]
    generator = np.random.default_rng(1)
    held = []
    for among in combinations(population, tasks):
        drawn = np.mean([ten[generator.integers(10, size=(2_000, 3))] for ten in among], axis=0)
        middle, half = t_intervals(drawn - 50.0)
        held.append(np.abs(middle - (np.mean([ten.mean() for ten in among]) - 50.0)) <= half)
    known = coverage_of("paired t", 3, tasks)
    assert known is not None and known.least < known.real
    assert known.least == pytest.approx(float(np.mean(held)), abs=0.01)
    assert f"{100 * known.least:.0f}% where one does" in str(known)


def test_the_true_middle_half() -> None:
    """Of ten equally likely scores a quarter is two and a half of them."""
    ten = np.arange(10.0) ** 2
    assert true_iqm([ten]) == pytest.approx((0.5 * 4 + 9 + 16 + 25 + 36 + 0.5 * 49) / 5)


def test_a_chance_against_all_pairs() -> None:
    """The truth of a race is reckoned by sorting, as all pairs of a population are too many."""
    generator = np.random.default_rng(0)
    first, second = generator.integers(6, size=(2, 40)).astype(float)
    pairs = [(a > b) + (a == b) / 2 for a in first for b in second]
    assert _chance([first], [second]) == pytest.approx(np.mean(pairs))


def test_populations_have_the_same_means() -> None:
    """Else the two columns of the file speak of different things."""
    found = populations()
    for normal, real in zip(found["normal"], found["real"], strict=True):
        assert len(real) == 10 and normal.mean() == pytest.approx(real.mean())
        assert normal.std() == pytest.approx(real.std(ddof=1), rel=0.01)
    assert abs(float(iqm(found["normal"])) - float(iqm(found["real"]))) < 5


def test_what_was_not_measured_is_not_known() -> None:
    """Two seeds, eleven of them, ten tasks: nobody has tried."""
    assert coverage_of("t", 2) is None and coverage_of("IQM", 11, 3) is None
    assert coverage_of("IQM", 5, 10) is None and coverage_of("IQM", 4, 3) is None
    assert coverage_of("t", 3, 10) is None
    for kind in get_args(Kind):
        assert coverage_of(kind, 5) is not None, kind


def test_it_is_written_as_it_is_read() -> None:
    """One line a measurement."""
    one = Measured(
        kind="t", seeds=3, tasks=1, population="real", covered=0.87654, experiments=90_000
    )
    assert in_words([one]).splitlines()[1] == "t,3,1,real,0.8765,90000"
