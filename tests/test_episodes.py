"""Episodes against the slow obvious version of everything they compute."""

import numpy as np
import pytest

from seqrl.episodes import (
    REQUIRED,
    Array,
    ColumnDigest,
    Episodes,
    History,
    digest_of,
    fingerprint_of,
    starts_of,
)
from seqrl.errors import DataError

LENGTHS = (4, 1, 6)


def columns(seed: int = 0) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    steps = sum(LENGTHS)
    ends = np.cumsum(LENGTHS) - 1
    terminated, timed_out = np.zeros((2, steps), bool)
    terminated[ends[:2]], timed_out[ends[2]] = True, True
    return {
        "observations": generator.standard_normal((steps, 3)).astype(np.float32),
        "actions": generator.uniform(-1, 1, (steps, 2)).astype(np.float32),
        "rewards": generator.standard_normal(steps).astype(np.float32),
        "terminated": terminated,
        "timed_out": timed_out,
    }


def episodes(seed: int = 0) -> Episodes:
    given = columns(seed)
    return Episodes(
        name="file/made",
        columns=given,
        starts=np.concatenate([[0], np.cumsum(LENGTHS)]),
        horizon=10,
        action_low=np.full(2, -1, np.float32),
        action_high=np.full(2, 1, np.float32),
        digests={name: digest_of(column) for name, column in given.items()},
    )


def test_episodes_are_the_right_slices() -> None:
    """An end counted one off mixes two episodes."""
    made, first = episodes(), 0
    assert len(made) == 3 and made.steps == 11 and made.lengths.tolist() == [4, 1, 6]
    for i, (length, episode) in enumerate(zip(LENGTHS, made, strict=True)):
        part = slice(first, first + length)
        for name in ("observations", "actions", "rewards"):
            np.testing.assert_array_equal(getattr(episode, name), made.columns[name][part])
        assert len(episode) == length
        assert (episode.terminated, episode.timed_out) == ((True, False), (False, True))[i == 2]
        total = sum(float(reward) for reward in made.rewards[part])
        assert episode.return_ == pytest.approx(total) == pytest.approx(made.returns[i])
        first += length
    assert made[-1].observations.shape == (6, 3)
    with pytest.raises(IndexError):
        made[3]


def test_a_long_return_does_not_drift() -> None:
    """Adding a million float32 rewards in float32 loses digits that a score shows."""
    steps = 300_000
    given = {
        "observations": np.zeros((steps, 1), np.float32),
        "actions": np.zeros((steps, 1), np.float32),
        "rewards": np.full(steps, 0.1, np.float32),
        "terminated": np.arange(steps) == steps - 1,
        "timed_out": np.zeros(steps, bool),
    }
    long = Episodes(
        name="file/long",
        columns=given,
        starts=np.array([0, steps]),
        horizon=steps,
        action_low=np.zeros(1),
        action_high=np.ones(1),
        digests={},
    )
    assert long.returns[0] == pytest.approx(steps * float(np.float32(0.1)), rel=1e-12)
    assert long[0].return_ == pytest.approx(steps * float(np.float32(0.1)), rel=1e-12)


def test_delayed_keeps_returns_and_moves_rewards() -> None:
    """DT's delayed setting: the whole return with the last step, nothing before."""
    made = episodes()
    before = made.rewards.copy()
    late = made.delayed()
    np.testing.assert_allclose(late.returns, made.returns, rtol=1e-6)
    ends = made.starts[1:] - 1
    np.testing.assert_array_equal(np.delete(late.rewards, ends), 0)
    np.testing.assert_array_equal(made.rewards, before)
    assert late.name == "file/made+delayed"
    assert late.fingerprint != made.fingerprint
    assert late.delayed().fingerprint == late.fingerprint


def test_fingerprint_is_a_function_of_content_alone() -> None:
    """Equal content must be recognised whoever prepared it, and any change must show."""
    made = episodes()
    assert made.fingerprint == episodes().fingerprint
    assert made.fingerprint != episodes(seed=1).fingerprint
    for name in REQUIRED:
        changed = columns()
        column = changed[name]
        column.reshape(-1)[5] = 1 - column.reshape(-1)[5]
        digests = {key: digest_of(value) for key, value in changed.items()}
        assert fingerprint_of(digests) != made.fingerprint, name
    fewer = {name: digest for name, digest in made.digests.items() if name != "actions"}
    assert fingerprint_of(fewer) != made.fingerprint


def test_digest_does_not_depend_on_pieces_but_on_shape_and_type() -> None:
    """A reader that takes other chunks must come to the same fingerprint."""
    column = np.random.default_rng(0).standard_normal((100, 4)).astype(np.float32)
    whole = digest_of(column)
    for size in (1, 7, 50, 100):
        digest = ColumnDigest()
        for first in range(0, 100, size):
            digest.update(column[first : first + size])
        assert digest.text() == whole
    assert digest_of(column.reshape(200, 2)) != whole
    assert digest_of(column.view(np.int32)) != whole
    assert digest_of(np.asfortranarray(column)) == whole


def test_boundaries() -> None:
    """Either kind of end closes an episode; what follows the last end is cut off."""
    terminated = np.array([0, 1, 0, 0, 0, 0], bool)
    timed_out = np.array([0, 0, 0, 1, 0, 0], bool)
    starts, cut_off = starts_of(terminated, timed_out)
    assert (starts.tolist(), cut_off) == ([0, 2, 4], 2)
    with pytest.raises(DataError, match="No finished episode in 6 steps"):
        starts_of(np.zeros(6, bool), np.zeros(6, bool))


def test_a_history_is_what_happened() -> None:
    """Against lists: what was seen, done and got, and the sum of rewards before each step."""
    generator = np.random.default_rng(0)
    seen = [generator.standard_normal((3, 4)).astype(np.float32)]
    history = History(
        seen[0],
        action_width=2,
        horizon=5,
        generators=[np.random.default_rng(row) for row in range(3)],
    )
    done: list[Array] = []
    got: list[Array] = []
    for step in range(5):
        np.testing.assert_array_equal(history.observations, np.stack(seen, 1))
        assert history.actions.shape == (3, step, 2) and history.rewards.shape == (3, step)
        before = [sum(float(r[row]) for r in got) for row in range(3)]
        np.testing.assert_allclose(history.reward_before[:, -1], before)
        done.append(generator.standard_normal((3, 2)).astype(np.float32))
        got.append(generator.standard_normal(3))
        seen.append(generator.standard_normal((3, 4)).astype(np.float32))
        history.add(done[-1], got[-1], seen[-1])
    assert history.step == 5
    np.testing.assert_array_equal(history.actions, np.stack(done, 1))
    np.testing.assert_array_equal(history.rewards, np.stack(got, 1))


@pytest.mark.parametrize("rows", [np.array([True, False, True]), np.array([0, 2])])
def test_finished_rows_leave_all_of_a_history(rows: Array) -> None:
    """A generator or a memory that stays behind belongs to the wrong episode from then on."""
    history = History(
        np.arange(3, dtype=np.float32)[:, None],
        action_width=1,
        horizon=4,
        generators=[np.random.default_rng(row) for row in range(3)],
    )
    history.memory["plan"] = np.arange(3)
    history.add(np.arange(3)[:, None], np.arange(3), np.arange(3)[:, None])
    history.keep(rows)
    assert len(history) == 2
    for column in (history.observations[:, 0, 0], history.actions[:, 0, 0], history.rewards[:, 0]):
        np.testing.assert_array_equal(column, [0, 2])
    np.testing.assert_array_equal(history.reward_before, [[0, 0], [0, 2]])
    np.testing.assert_array_equal(history.memory["plan"], [0, 2])
    drawn = [own.random() for own in history.generators]
    assert drawn == [np.random.default_rng(0).random(), np.random.default_rng(2).random()]
    history.add(np.zeros((2, 1)), np.ones(2), np.zeros((2, 1)))
    np.testing.assert_array_equal(history.reward_before[:, -1], [1, 3])
