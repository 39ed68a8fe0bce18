"""Windows against slices written by hand."""

import numpy as np
import pytest
import torch

from seqrl.tokens.layout import TokenLayout
from seqrl.tokens.tokenizer import fit
from seqrl.tokens.windows import Windows
from tests.tokens.test_signals import made
from tests.tokens.test_tokenizer import BINS, BINS_TO_GOALS, VECTORS, VECTORS_TO_GOALS


@pytest.mark.parametrize("layout", [VECTORS, BINS], ids=["vectors", "bins"])
def test_every_window_is_its_slice(layout: TokenLayout) -> None:
    """A window that runs into the next episode teaches a transition that never happened."""
    episodes = made()
    tokenizer = fit(layout, episodes)
    batch = Windows(tokenizer, episodes).at(torch.arange(episodes.steps))
    for first in range(episodes.steps):
        episode = int(np.searchsorted(episodes.starts, first, side="right")) - 1
        end = int(episodes.starts[episode + 1])
        for ahead in range(layout.steps):
            row = first + ahead
            real = row < end
            assert bool(batch.is_real[first, ahead]) == real
            step = row - int(episodes.starts[episode])
            ended = layout is BINS and step < episodes.horizon  # TT: no loss beyond the horizon
            assert bool(batch.has_loss[first, ahead]) == (real or ended)
            assert int(batch.steps[first, ahead]) == step
            for part in layout.parts:
                found = batch.values[part.name][first, ahead].numpy()
                values = part.signal.offline(episodes)
                if layout is VECTORS:
                    scaled = tokenizer.scaled(part.name, values[row]) if real else 0.0
                    np.testing.assert_allclose(found, scaled, rtol=1e-6)
                else:
                    assert found.dtype == np.int64
                    bins = tokenizer.encode(part.name, values[row]) if real else 7
                    np.testing.assert_array_equal(found, bins)


@pytest.mark.parametrize("layout", [VECTORS_TO_GOALS, BINS_TO_GOALS], ids=["vectors", "bins"])
def test_every_windows_goal_is_the_end_of_its_own_episode(layout: TokenLayout) -> None:
    """A goal of another episode, or of the window's end, is one that was never worked towards."""
    episodes = made()
    tokenizer = fit(layout, episodes)
    batch = Windows(tokenizer, episodes).at(torch.arange(episodes.steps))
    first = 0
    for episode in episodes:
        end = tokenizer.scaled("goal_observation", episode.observations[-1])
        return_ = np.array([episode.return_], np.float32)
        for _ in range(len(episode)):
            found = {name: batch.values[name][first].numpy() for name in layout.goals}
            np.testing.assert_array_equal(found["goal_observation"], end)
            bins = tokenizer.encode("goal_episode_return", return_)
            np.testing.assert_array_equal(found["goal_episode_return"], bins)
            assert found["goal_episode_return"].dtype == np.int64
            first += 1


def test_goals_leave_the_block_of_a_window_as_it_is() -> None:
    """An observation that is also a goal must not take the place of the observation."""
    episodes = made()
    for plain, to_goals in ((VECTORS, VECTORS_TO_GOALS), (BINS, BINS_TO_GOALS)):
        expected, found = (
            Windows(fit(layout, episodes), episodes).spread(9) for layout in (plain, to_goals)
        )
        block = {name: found.values[name] for name in expected.values}
        torch.testing.assert_close(block, expected.values, rtol=0, atol=0)
        assert set(found.values) - set(block) == set(to_goals.goals)


def test_every_step_is_equally_likely_to_start_a_window() -> None:
    """Drawing episodes first would favour the steps of short ones."""
    episodes = made((2, 30, 8))
    windows = Windows(fit(VECTORS, episodes), episodes)
    generator = torch.Generator().manual_seed(0)
    drawn = windows.draw(40_000, generator)
    real = drawn.steps[:, 0].bincount(minlength=30).numpy() / 40_000
    expected = sum(np.arange(30) < length for length in (2, 30, 8)) / 40
    np.testing.assert_allclose(real, expected, atol=0.006)


def test_only_chosen_episodes_are_drawn_each_step_equally() -> None:
    """Percent cloning that sees the other episodes after all is no percent cloning."""
    episodes = made((2, 30, 8, 5))
    windows = Windows(fit(VECTORS, episodes), episodes, chosen=np.array([3, 0]))
    assert windows.steps == 7
    every = windows.spread(7)
    expected = Windows(fit(VECTORS, episodes), episodes).at(
        torch.tensor([40, 41, 42, 43, 44, 0, 1])
    )
    torch.testing.assert_close(every.values, expected.values, rtol=0, atol=0)
    drawn = windows.draw(14_000, torch.Generator().manual_seed(0))
    real = drawn.steps[:, 0].bincount(minlength=5).numpy() / 14_000
    np.testing.assert_allclose(real, np.array([2, 2, 1, 1, 1]) / 7, atol=0.015)


def test_the_same_generator_draws_the_same_windows() -> None:
    """A training that is killed and started again must go on with the same data."""
    episodes = made()
    windows = Windows(fit(VECTORS, episodes), episodes)
    one = windows.draw(16, torch.Generator().manual_seed(3))
    same = windows.draw(16, torch.Generator().manual_seed(3))
    other = windows.draw(16, torch.Generator().manual_seed(4))
    torch.testing.assert_close(one.values, same.values, rtol=0, atol=0)
    assert not torch.equal(one.steps, other.steps)


def test_columns_are_not_copied() -> None:
    """Ten runs on one machine share the data's pages, or they do not fit."""
    episodes = made()
    windows = Windows(fit(VECTORS, episodes), episodes)
    assert windows._columns["observation"].data_ptr() == episodes.observations.ctypes.data
    bins = Windows(fit(BINS, episodes), episodes)
    assert all(column.dtype == torch.uint8 for column in bins._columns.values())
