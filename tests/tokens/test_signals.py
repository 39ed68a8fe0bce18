"""Signals against loops that say what they mean."""

from dataclasses import replace

import numpy as np
import pytest

from seqrl.episodes import Episodes, digest_of
from seqrl.errors import SeqrlError, UnknownName
from seqrl.tokens.signals import BY_NAME, EpisodeReturn, ReturnToGo, Reward, Value, signal_named


def made(lengths: tuple[int, ...] = (4, 1, 6, 3), seed: int = 0) -> Episodes:
    """Random episodes of these lengths; every second one terminates."""
    generator = np.random.default_rng(seed)
    steps, starts = sum(lengths), np.concatenate([[0], np.cumsum(lengths)])
    terminated, timed_out = np.zeros((2, steps), bool)
    terminated[starts[1::2] - 1] = True
    timed_out[starts[2::2] - 1] = True
    columns = {
        "observations": generator.standard_normal((steps, 3)).astype(np.float32),
        "actions": generator.uniform(-1, 1, (steps, 2)).astype(np.float32),
        "rewards": generator.standard_normal(steps).astype(np.float32),
        "terminated": terminated,
        "timed_out": timed_out,
    }
    return Episodes(
        name="file/made",
        columns=columns,
        starts=starts,
        horizon=max(lengths),
        action_low=np.full(2, -1, np.float32),
        action_high=np.full(2, 1, np.float32),
        digests={name: digest_of(column) for name, column in columns.items()},
    )


def test_one_huge_episode_does_not_drown_the_others() -> None:
    """Differences of sums over all episodes leave nothing of a return of 6 beside one of 1e20."""
    episodes = made((3, 4))
    rewards = np.array([1e20, 1e20, 1e20, 1, 2, 3, 4], np.float32)
    episodes = replace(episodes, columns={**episodes.columns, "rewards": rewards})
    found = ReturnToGo().offline(episodes)[:, 0]
    np.testing.assert_allclose(found[3:], [10, 9, 7, 4])


def test_return_to_go_adds_the_rest_of_its_own_episode() -> None:
    """A wrong broadcast or boundary here trains on nonsense, and scores fall quietly."""
    episodes = made()
    expected = []
    for episode in episodes:
        rewards = [float(reward) for reward in episode.rewards]
        expected += [sum(rewards[step:]) for step in range(len(rewards))]
    found = ReturnToGo().offline(episodes)
    assert found.shape == (episodes.steps, 1) and found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[episodes.starts[:-1], 0], episodes.returns, rtol=1e-5)


def test_every_step_knows_the_return_of_its_own_episode() -> None:
    """An agent that asks for a return must have been told, at all steps, what it came to."""
    episodes = made()
    expected = [episode.return_ for episode in episodes for _ in range(len(episode))]
    found = EpisodeReturn().offline(episodes)
    assert found.shape == (episodes.steps, 1) and found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5, atol=1e-6)


def test_return_to_go_does_not_drift_over_many_episodes() -> None:
    """A running sum over a million steps in float32 would lose the last digits of every episode."""
    lengths = (1000,) * 300
    episodes = made(lengths)
    found = ReturnToGo().offline(episodes)
    last = episodes.starts[1:] - 1
    np.testing.assert_allclose(found[last, 0], episodes.rewards[last], atol=1e-5)


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("at_termination", [None, -100.0])
def test_value_is_the_discounted_sum_after_the_step(
    discount: float, at_termination: float | None
) -> None:
    """V_t = sum over k >= 1 of d^(k-1) r_(t+k): this step's reward is not part of it."""
    episodes = made()
    expected = []
    for episode in episodes:
        rewards = [float(reward) for reward in episode.rewards]
        if episode.terminated and at_termination is not None:
            rewards[-1] = at_termination
        for step in range(len(rewards)):
            later = rewards[step + 1 :]
            expected.append(sum(discount**k * reward for k, reward in enumerate(later)))
    found = Value(discount, at_termination).offline(episodes)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_the_penalty_replaces_the_terminal_reward() -> None:
    """It does not add to it; a timeout is no termination; the data stays as it is."""
    episodes = made()
    before = episodes.rewards.copy()
    found = Reward(-100.0).offline(episodes)[:, 0]
    np.testing.assert_array_equal(found[episodes.terminated], -100)
    np.testing.assert_array_equal(found[~episodes.terminated], before[~episodes.terminated])
    np.testing.assert_array_equal(episodes.rewards, before)


def test_plain_names_and_refusals() -> None:
    """A misspelt signal must not become a new one."""
    assert all(signal_named(name) == signal for name, signal in BY_NAME.items())
    with pytest.raises(UnknownName, match="return_to_go"):
        signal_named("rtg")
    with pytest.raises(SeqrlError, match="between 0 and 1"):
        Value(discount=1.5)
