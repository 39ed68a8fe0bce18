"""The numbers of following, against other ways to the same ones."""

import numpy as np
import pandas
import pytest

from seqrl.report.following import achieved, following, rank_correlations, ranks, slopes
from seqrl.runs.sweep import AskedEpisode, Sweep
from tests.report.making import sweep_of


def test_ranks_and_correlations_are_those_of_pandas() -> None:
    """Ties share a rank; a formula for data without ties would be wrong with them."""
    generator = np.random.default_rng(0)
    asked = np.arange(6.0)
    means = generator.integers(0, 4, (6, 50)).astype(float)  # many ties
    means = means[:, means.std(axis=0) > 0]
    np.testing.assert_array_equal(ranks(means), pandas.DataFrame(means).rank().to_numpy())
    found = rank_correlations(asked, means)
    for column, value in zip(means.T, found, strict=True):
        both = pandas.DataFrame({"asked": asked, "mean": column})
        assert value == pytest.approx(both.corr(method="spearman").iloc[0, 1])


def test_slope_is_the_least_squares_one() -> None:
    """Against numpy's own fit."""
    generator = np.random.default_rng(1)
    asked, means = generator.normal(size=7), generator.normal(size=(7, 5))
    np.testing.assert_allclose(slopes(asked, means), np.polyfit(asked, means, 1)[0])


def test_what_follows_exactly_and_what_does_not() -> None:
    """The two ends of the scale; and what lies beyond the data must not count."""
    asked = [0.0, 10.0, 20.0, 30.0, 40.0]
    exact = sweep_of({a: [a, a] for a in asked}, best=30.0)
    found = following(exact)
    assert found.targets == 4, "40 is beyond the best in the data"
    assert found.rank_correlation is not None and found.slope is not None
    assert found.rank_correlation.value == pytest.approx(1)
    assert found.rank_correlation.interval == pytest.approx((1, 1))
    assert found.slope.value == pytest.approx(1)
    against = following(sweep_of({a: [-2 * a, -2 * a] for a in asked}, best=100.0))
    assert against.rank_correlation is not None and against.slope is not None
    assert against.rank_correlation.value == pytest.approx(-1)
    assert against.slope.value == pytest.approx(-2)


def test_noise_is_not_taken_for_following() -> None:
    """An interval that leaves out zero for pure chance would prove anything."""
    covered, widths = 0, []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        noise = {float(a): list(generator.normal(size=20)) for a in range(8)}
        found = following(sweep_of(noise, best=100.0)).slope
        assert found is not None and found.interval is not None
        covered += found.interval[0] <= 0 <= found.interval[1]
        widths.append(found.interval[1] - found.interval[0])
    assert covered >= 34  # of 40, 38 expected
    # Of a normal estimate, 95% are 1.96 standard errors to each side; these the textbook knows.
    error = np.sqrt(1 / 20 / ((np.arange(8) - 3.5) ** 2).sum())
    assert np.mean(widths) == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_episodes_are_drawn_alike_for_every_target() -> None:
    """An episode that begins badly under every target must not blur what the targets do."""
    start = 1000 * np.random.default_rng(0).normal(size=10)
    found = following(sweep_of({float(a): list(start + a) for a in range(5)}, best=10.0))
    assert found.rank_correlation is not None and found.slope is not None
    assert found.rank_correlation.interval == pytest.approx((1, 1))
    assert found.slope.interval == pytest.approx((1, 1))


def test_too_little_to_say_anything() -> None:
    """No number is better than one that means nothing."""
    two = following(sweep_of({0.0: [1.0, 2.0], 10.0: [3.0, 4.0], 50.0: [5.0, 6.0]}, best=20.0))
    assert (two.targets, two.rank_correlation, two.slope) == (2, None, None)
    same = following(sweep_of({float(a): [3.0, 3.0] for a in range(4)}, best=20.0))
    assert same.rank_correlation is None
    assert same.slope is not None and same.slope.value == pytest.approx(0)
    one = following(sweep_of({float(a): [float(a)] for a in range(4)}, best=20.0))
    assert one.rank_correlation is not None and one.rank_correlation.interval is None


def test_targets_are_summed_up() -> None:
    """Means by hand, rows in any order."""
    rows = (
        AskedEpisode(asked=5.0, episode=1, environment_seed=1, return_=4.0, score=40.0, length=2,
                     terminated=True),
        AskedEpisode(asked=1.0, episode=0, environment_seed=0, return_=7.0, score=70.0, length=1,
                     terminated=True),
        AskedEpisode(asked=5.0, episode=0, environment_seed=0, return_=2.0, score=20.0, length=3,
                     terminated=False),
    )  # fmt: skip
    sweep = Sweep(about={}, episodes=2, best_in_data=9.0, mean_in_data=4.0, rows=rows)
    first, second = achieved(sweep)
    assert (first.asked, first.mean, first.deviation, first.score) == (1.0, 7.0, 0.0, 70.0)
    assert (second.asked, second.mean, second.deviation, second.score) == (5.0, 3.0, 1.0, 30.0)
    assert second.episodes == 2
