"""Coverage: an interval that nobody has tried is not printed, and what was found is in the file."""

from typing import get_args

import numpy as np
import pytest

from seqrl.report.coverage import Kind, Measured, coverage_of, in_words
from seqrl.report.scores import iqm
from seqrl.report.simulation import (
    _chance,
    bootstrap_covered,
    paired_covered,
    populations,
    t_covered,
)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_students_interval_holds_a_normal_mean(seeds: int) -> None:
    """With a normal quantile in Student's place, three seeds hold it in 81 percent."""
    known = coverage_of("t", seeds)
    assert known is not None and 0.93 < known.normal < 0.97
    again = t_covered(populations()["normal"], seeds, 4_000, np.random.default_rng(1))
    assert again == pytest.approx(known.normal, abs=0.01), "the file is of another simulation"


def test_pairs_hold_it_too() -> None:
    """The file's other Student: of differences."""
    known = coverage_of("paired t", 3)
    again = paired_covered(populations()["real"], 3, 4_000, np.random.default_rng(1))
    assert known is not None and again == pytest.approx(known.real, abs=0.01)


def test_bootstrap_is_as_the_file_says() -> None:
    """A file that is not measured again when a formula changes prints old figures."""
    shares = bootstrap_covered(populations()["real"], 5, 3, 200, np.random.default_rng(1))
    for kind, share in shares.items():
        known = coverage_of(kind, 5, 3)
        assert known is not None and share == pytest.approx(known.real, abs=0.09), kind


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
    for kind in get_args(Kind):
        assert coverage_of(kind, 5) is not None, kind


def test_it_is_written_as_it_is_read() -> None:
    """One line a measurement."""
    one = Measured(
        kind="t", seeds=3, tasks=1, population="real", covered=0.87654, experiments=90_000
    )
    assert in_words([one]).splitlines()[1] == "t,3,1,real,0.8765,90000"
