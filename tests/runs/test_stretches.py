"""Where predictions begin, what they are compared with, and how far off they are."""

import math

import numpy as np
import pytest

from seqrl.episodes import Array, Episode
from seqrl.errors import SeqrlError
from seqrl.runs.stretches import errors_of, scales_of, stretches_of
from seqrl.tokens.layout import Bins
from seqrl.tokens.tokenizer import bin_edges
from tests.planning.making import layout, tokenizer_of


def episode(length: int) -> Episode:
    """Make one in which everything says at which step it is."""
    step = np.arange(length + 1, dtype=np.float32)
    seen = np.stack([step, 10 * step], 1)
    return Episode(
        observations=seen[:-1],
        actions=100 + step[:-1, None],
        rewards=200 + step[:-1],
        terminated=False,
        timed_out=True,
        next_observations=seen[1:],
    )


def begins(length: int, *, past: int = 3, steps: int = 10) -> list[tuple[int, int]]:
    found = stretches_of({0: episode(length)}, past=past, steps=steps, data="x")
    return [(stretch.begin, len(stretch.simulated)) for stretch in found]


def test_stretches_begin_evenly_and_reach_as_far_as_they_can() -> None:
    """A stretch that is cut short, where a whole one was to be had, leaves the far horizons to a
    few long episodes."""
    assert begins(53) == [(3, 10), (13, 10), (23, 10), (33, 10), (43, 10)]
    assert begins(14) == [(3, 10), (4, 10)], "never twice the same"
    assert begins(13) == [(3, 10)] and begins(8) == [(3, 5)] and begins(4) == [(3, 1)]
    assert begins(12, past=0) == [(0, 10), (1, 10), (2, 10)]
    with pytest.raises(SeqrlError, match="Of 1 episode on x none had more than 3 steps"):
        begins(3)


def test_a_stretch_holds_the_steps_it_says() -> None:
    """Off by one, a model would be given the action after the one that was taken."""
    found = stretches_of({4: episode(30), 2: episode(2), 1: episode(6)}, past=3, steps=5, data="x")
    assert [stretch.number for stretch in found] == [1, 4, 4, 4, 4, 4], "2 is too short"
    for stretch in found:
        begin, reach = stretch.begin, len(stretch.simulated)
        assert stretch.past.observations[:, 0].tolist() == [begin - 3, begin - 2, begin - 1]
        assert stretch.past.actions[:, 0].tolist() == [begin + 97, begin + 98, begin + 99]
        assert stretch.past.rewards.tolist() == [begin + 197, begin + 198, begin + 199]
        assert stretch.now.tolist() == [begin, 10 * begin]
        assert stretch.actions[:, 0].tolist() == [100 + begin + ahead for ahead in range(reach)]
        assert stretch.simulated[:, 0].tolist() == [begin + 1 + ahead for ahead in range(reach)]


def test_the_scale_is_a_standard_deviation() -> None:
    """With another, errors of bodies and of dimensions would not be comparable."""
    generator = np.random.default_rng(0)
    values = generator.normal([5, -2, 7], [0.1, 30, 0], (100_000, 3)).astype(np.float32)
    tokenizer = tokenizer_of(layout(100, 4), observation=3, action=1, seed=0)
    tokenizer.edges["observation"][:] = bin_edges(values, Bins(count=100))
    found = scales_of(tokenizer)
    assert found[:2] == pytest.approx([0.1, 30], rel=0.02) and found[2] == 0


def test_errors_are_those_of_a_plain_loop() -> None:
    """A mean over the wrong axis is a plausible number."""
    stretches = stretches_of({0: episode(6), 1: episode(20)}, past=1, steps=8, data="x")
    predicted: Array = np.random.default_rng(0).normal(size=(len(stretches), 8, 2))
    for scales in (np.array([2.0, 3.0]), np.array([0.0, 3.0])):
        found = errors_of(stretches, predicted, scales)
        assert np.isnan(found).any()
        for row, stretch in enumerate(stretches):
            for step in range(8):
                if step >= len(stretch.simulated):
                    assert math.isnan(found[row, step])
                    continue
                squares = [
                    ((predicted[row, step, place] - stretch.simulated[step, place]) / scale) ** 2
                    for place, scale in enumerate(scales)
                    if scale
                ]
                assert found[row, step] == pytest.approx(math.sqrt(sum(squares) / len(squares)))
