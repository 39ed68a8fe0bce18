"""The tokenizer against brute force: scales, bins, and the declarations that are refused."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from seqrl.errors import SeqrlError
from seqrl.tokens.layout import Bins, Part, TokenLayout, Vector
from seqrl.tokens.signals import EpisodeReturn, Reward, Value
from seqrl.tokens.tokenizer import bin_edges, fit
from tests.tokens.test_signals import made

VECTORS = TokenLayout(
    Part("return_to_go", Vector(divide_by=1000.0)),
    Part("observation", Vector(standardise=True)),
    Part("action", Vector(squash=True), loss=1.0),
    steps=4,
)
"""As the Decision Transformer declares a step."""

BINS = TokenLayout(
    Part("observation", Bins(count=7), loss=1.0),
    Part("action", Bins(count=7), loss=5.0),
    Part(Reward(-100.0), Bins(count=7), loss=1.0),
    Part(Value(0.99, -100.0), Bins(count=7), loss=1.0, attended=False),
    steps=3,
    positions="token",
    after_end="end token",
    loss_over="all positions",
)
"""As the Trajectory Transformer declares a step."""

GOALS = (Part("observation", Vector(standardise=True)), Part("episode_return", Bins(count=5)))
"""Where to end, and with how much: one a signal that the block has too."""

VECTORS_TO_GOALS = TokenLayout(*VECTORS.parts, steps=4, prefix=GOALS)

BINS_TO_GOALS = TokenLayout(
    *BINS.parts,
    steps=3,
    positions="token",
    after_end="end token",
    loss_over="all positions",
    prefix=GOALS,
)


def test_a_block_has_a_token_a_vector_and_a_token_a_dimension() -> None:
    """Token layout is what everything else derives from: counted once, here."""
    vectors = [slot.label for slot in fit(VECTORS, made()).slots]
    assert vectors == ["return_to_go", "observation", "action"]
    bins = [slot.label for slot in fit(BINS, made()).slots]
    observation = ["observation[0]", "observation[1]", "observation[2]"]
    assert bins == [*observation, "action[0]", "action[1]", "reward[0]", "value[0]"]
    goals = fit(BINS_TO_GOALS, made())
    assert [slot.label for slot in goals.slots] == bins
    prefix = [slot.label for slot in goals.prefix_slots]
    assert prefix == ["goal_observation", "goal_episode_return[0]"]


def test_goals_are_fitted_to_all_steps_beside_the_block() -> None:
    """Fitted to the ends alone, four numbers would say what a goal may be."""
    episodes = made()
    goals, bins, vectors = (fit(layout, episodes) for layout in (BINS_TO_GOALS, BINS, VECTORS))
    assert (goals.widths["goal_observation"], goals.widths["goal_episode_return"]) == (3, 1)
    np.testing.assert_array_equal(goals.edges["observation"], bins.edges["observation"])
    for found, expected in ((goals.shifts, vectors.shifts), (goals.scales, vectors.scales)):
        np.testing.assert_array_equal(found["goal_observation"], expected["observation"])
    edges = bin_edges(EpisodeReturn().offline(episodes), Bins(count=5))
    np.testing.assert_array_equal(goals.edges["goal_episode_return"], edges)


def test_vectors_are_scaled_by_the_data_and_come_back() -> None:
    """Mean and deviation of all real steps, dimension by dimension."""
    episodes = made()
    tokenizer = fit(VECTORS, episodes)
    scaled = tokenizer.scaled("observation", episodes.observations)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(
        tokenizer.unscaled("observation", scaled), episodes.observations, atol=1e-5
    )
    np.testing.assert_allclose(tokenizer.scaled("return_to_go", np.array([1500.0])), 1.5)
    np.testing.assert_array_equal(tokenizer.scaled("action", episodes.actions), episodes.actions)


def test_a_dimension_that_never_changes_stays_finite() -> None:
    """Dividing by a deviation of zero would end a training at its first step."""
    episodes = made()
    observations = episodes.observations.copy()
    observations[:, 1] = 3.0
    constant = replace(episodes, columns={**episodes.columns, "observations": observations})
    scaled = fit(VECTORS, constant).scaled("observation", observations)
    assert np.isfinite(scaled).all() and np.abs(scaled[:, 1]).max() < 1e-3
    tokenizer = fit(BINS, constant)
    bins = tokenizer.encode("observation", observations)
    np.testing.assert_array_equal(tokenizer.decode("observation", bins)[:, 1], 3.0)


@pytest.mark.parametrize("spacing", ["quantile", "uniform"])
@pytest.mark.parametrize("kind", ["normal", "few", "sparse", "tiny"])
def test_encoding_is_the_last_bin_whose_edge_is_reached(spacing: str, kind: str) -> None:
    """Against a loop over edges, with repeated edges, sparse rewards and fewer values than bins."""
    generator = np.random.default_rng(0)
    values = {
        "normal": generator.standard_normal((500, 2)),
        "few": generator.integers(0, 3, (500, 2)),
        "sparse": (generator.random((500, 2)) < 0.02) * 1.0,
        "tiny": generator.standard_normal((3, 2)),
    }[kind].astype(np.float32)
    encoding = Bins(count=10, spacing=spacing)  # type: ignore[arg-type]
    edges = bin_edges(values, encoding)
    assert edges.shape == (2, 11) and (np.diff(edges, axis=1) >= 0).all()
    np.testing.assert_array_equal(edges[:, 0], values.min(axis=0))
    np.testing.assert_allclose(edges[:, -1], values.max(axis=0))
    base = fit(BINS, made())
    tokenizer = replace(base, edges={"x": edges})
    found = tokenizer.encode("x", values)
    for row, value in zip(found, values, strict=True):
        for dimension in range(2):
            reached = [k for k in range(10) if value[dimension] >= edges[dimension, k]]
            assert row[dimension] == reached[-1]
    inside = tokenizer.decode("x", found)
    for dimension in range(2):
        own = edges[dimension]
        bin_ = found[:, dimension].astype(int)
        assert (inside[:, dimension] >= own[bin_] - 1e-6).all()
        assert (inside[:, dimension] <= own[bin_ + 1] + 1e-6).all()
    assert not tokenizer.beyond("x", values).any()
    assert tokenizer.beyond("x", values + np.float32(1e6)).all()
    assert tokenizer.beyond("x", values - np.float32(1e6)).all()
    far = tokenizer.encode("x", np.array([[-1e9, 1e9]], np.float32))
    assert far[0, 0] == [k for k in range(10) if edges[0, k] == edges[0, 0]][-1] or kind != "few"
    assert far[0, 1] == 9


def test_quantile_bins_hold_equally_many() -> None:
    """The spacing is the difference between 40 and 95 points on one published task."""
    values = np.random.default_rng(1).standard_normal((10_000, 1)).astype(np.float32) ** 3
    edges = bin_edges(values, Bins(count=100))
    tokenizer = replace(fit(BINS, made()), edges={"x": edges})
    counts = np.bincount(tokenizer.encode("x", values)[:, 0], minlength=100)
    assert counts.min() == counts.max() == 100


def test_facts_of_the_data_are_kept() -> None:
    """Targets are chosen from them, so they must be those of the training data."""
    episodes = made()
    facts = fit(VECTORS, episodes).data
    assert facts.best_return == episodes.returns.max()
    assert (facts.name, facts.fingerprint) == (episodes.name, episodes.fingerprint)
    assert (facts.episodes, facts.steps, facts.horizon) == (4, 14, 6)


def test_an_episode_beyond_the_horizon_is_refused() -> None:
    """There is no position embedding for its last steps."""
    short = replace(made(), horizon=5)
    with pytest.raises(SeqrlError, match="6 steps, beyond the task's horizon of 5"):
        fit(VECTORS, short)
    fit(BINS, short)  # positions of tokens have no such limit


def to(*goals: Part) -> TokenLayout:
    return TokenLayout(
        Part("reward", Bins()), Part("action", Vector(), loss=1), steps=2, prefix=goals
    )


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: TokenLayout(steps=3), "at least one part"),
        (lambda: TokenLayout(Part("action", Vector()), steps=3), "No part has a loss"),
        (lambda: TokenLayout(Part("action", Vector(), loss=1), steps=0), "at least 1 step"),
        (lambda: TokenLayout(Part("action", Vector(), loss=1), steps=1), "alone in a window"),
        (
            lambda: TokenLayout(
                Part("action", Vector(), loss=1), Part("action", Vector()), steps=2
            ),
            "stands twice",
        ),
        (lambda: Part("rewards", Vector()), "no signal 'rewards'"),
        (lambda: Part("action", Vector(), loss=-1.0), "0 or more"),
        (lambda: Part("action", Vector(), loss=float("nan")), "0 or more"),
        (lambda: Vector(divide_by=0.0), "positive number"),
        (lambda: Vector(standardise=True, divide_by=2.0), "not both"),
        (lambda: Vector(standardise=True, squash=True), "leave out standardise"),
        (lambda: Bins(count=1), "between 2 and 254"),
        (lambda: Bins(count=1000), "between 2 and 254"),
        (lambda: Bins(spacing="log"), "'quantile' or 'uniform'"),  # type: ignore[arg-type]
        (
            lambda: TokenLayout(
                Part("observation", Vector(squash=True)), Part("action", Vector(), loss=1), steps=2
            ),
            "only an action has",
        ),
        (
            lambda: TokenLayout(
                Part("action", Vector(), loss=1), steps=2, after_end="end token"
            ),
            "needs bins",
        ),
        (
            lambda: TokenLayout(
                Part(Reward(-100.0), Bins(), loss=1), Part("value", Bins(), loss=1), steps=2
            ),
            "different rewards at a termination",
        ),
        (lambda: to(Part("observation", Vector(), loss=1)), "'goal_observation' is given, never"),
        (lambda: to(Part("observation", Vector(), attended=False)), "seen by all: leave out att"),
        (lambda: to(Part("action", Vector(squash=True))), "leave out squash"),
        (lambda: to(Part("return_to_go", Vector())), "Use 'episode_return'"),
        (lambda: to(Part("value", Bins())), "Use 'episode_return'"),
        (lambda: to(*[Part("action", Vector())] * 2), "'goal_action' stands twice"),
        (lambda: to(Part(Reward(-100.0), Bins())), "different rewards at a termination"),
    ],
)  # fmt: skip
def test_wrong_declarations_are_refused_when_made(declare, said) -> None:  # type: ignore[no-untyped-def]
    """A mistake in a layout must not wait for the middle of a training."""
    with pytest.raises(SeqrlError, match=said):
        declare()


def test_the_authors_penalty_draws_the_lowest_reward_bin_to_half_of_it() -> None:
    """Where under 1% of the steps terminate, the lowest bin reaches from -100 to an ordinary
    reward, and its centre is near -50: theirs, kept, and so what a fall is worth to the planner."""
    lengths = (200,) * 30
    episodes = made(lengths)
    columns = {**episodes.columns, "rewards": np.abs(episodes.rewards) + 1}
    episodes = replace(episodes, columns=columns)
    assert 0 < episodes.terminated.mean() < 0.01
    layout = TokenLayout(Part(Reward(-100.0), Bins(count=100), loss=1.0), steps=2)
    tokenizer = fit(layout, episodes)
    edges, centres = tokenizer.edges["reward"][0], tokenizer.centres("reward")[0]
    assert edges[0] == -100 and 1 <= edges[1] < 1.1
    assert centres[0] == pytest.approx(-49.5, abs=0.1) and (centres[1:] >= 1).all()
    fallen = tokenizer.encode("reward", np.array([[-100.0]], np.float32))
    assert tokenizer.decode("reward", fallen)[0, 0] == centres[0]


def test_bins_are_fitted_in_the_time_of_sorting() -> None:
    """Beside the plain sort of every dimension, in one run: a loop over values would take hours."""
    values = np.random.default_rng(0).standard_normal((200_000, 16)).astype(np.float32)

    def seconds(of: Callable[[], object]) -> float:
        taken = []
        for _ in range(3):
            began = time.process_time()
            of()
            taken.append(time.process_time() - began)
        return min(taken)

    fitted = seconds(lambda: bin_edges(values, Bins(count=100)))
    assert fitted < 3 * seconds(lambda: np.sort(values.T.copy(), axis=1))
