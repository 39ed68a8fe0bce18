"""Playing many environments at once gives what playing each alone gives."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from seqrl.errors import SeqrlError, UnknownName
from seqrl.tasks.d4rl import BODIES, ENTRIES
from seqrl.tasks.environment import Environments, make, task_in
from seqrl.tasks.task import Task

PLAYABLE = [ENTRIES[f"d4rl/{body}-medium-v2"].task for body in BODIES]


def actions_of(task: Task, seed: int, steps: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (steps, task.action_width)).astype(np.float32)


def alone(task: Task, seed: int, steps: int) -> list[tuple[np.ndarray, float]]:
    """Play with Gymnasium itself: the slow obvious version."""
    with pytest.warns(DeprecationWarning, match="out of date"):
        environment = gymnasium.make(task.environment)
    shown, _ = environment.reset(seed=seed)
    seen = [(shown, 0.0)]
    for action in actions_of(task, seed, steps):
        shown, reward, terminated, truncated, _ = environment.step(action)
        seen.append((shown, float(reward)))
        if terminated or truncated:
            break
    return seen


@pytest.mark.parametrize("task", PLAYABLE, ids=lambda task: task.environment)
def test_a_row_is_what_it_is_alone(task: Task) -> None:
    """A row that depends on its neighbours makes scores depend on the batch size."""
    seeds, steps = [5, 1, 9], 40
    expected = {seed: alone(task, seed, steps) for seed in seeds}
    rows = Environments(task, len(seeds))
    first = rows.start(seeds)
    for row, seed in enumerate(seeds):
        np.testing.assert_array_equal(first[row], expected[seed][0][0].astype(np.float32))
    for step in range(steps):
        playing = rows.playing
        if not len(playing):
            break
        actions = np.stack([actions_of(task, seeds[row], steps)[step] for row in playing])
        outcome = rows.step(actions)
        for i, row in enumerate(playing):
            shown, reward = expected[seeds[row]][step + 1]
            np.testing.assert_array_equal(outcome.observations[i], shown.astype(np.float32))
            assert outcome.rewards[i] == reward
            last = step + 1 == len(expected[seeds[row]]) - 1
            assert bool(outcome.terminated[i]) == (last and len(expected[seeds[row]]) <= steps)


def test_rows_end_at_different_times_and_start_again() -> None:
    """A finished row must not be stepped, and its place can be used again."""
    task = ENTRIES["d4rl/hopper-medium-v2"].task
    rows = Environments(task, 4)
    rows.start(range(4))
    counts = []
    for _ in range(200):
        counts.append(len(rows.playing))
        if not counts[-1]:
            break
        rows.step(np.full((counts[-1], 3), 0.9, np.float32))
    assert counts[0] == 4 and counts[-1] == 0 and len(set(counts)) > 2
    again = rows.start([2], rows=[3])
    assert rows.playing.tolist() == [3]
    np.testing.assert_array_equal(again[0], Environments(task, 1).start([2])[0])


def test_time_is_up_at_the_horizon() -> None:
    """Half-cheetahs never fall: without our own limit they would run for ever."""
    task = ENTRIES["d4rl/halfcheetah-medium-v2"].task
    short = Task(**{**vars(task), "horizon": 7})
    rows = Environments(short, 2)
    rows.start([0, 1])
    for step in range(7):
        outcome = rows.step(np.zeros((2, 6), np.float32))
        assert outcome.timed_out.all() == (step == 6)
        assert not outcome.terminated.any()
    assert not len(rows.playing)


@pytest.mark.parametrize("task", PLAYABLE, ids=lambda task: task.environment)
def test_a_restored_simulator_continues_to_the_bit(task: Task) -> None:
    """Stored states are worth nothing if stepping from them gives something else."""
    rows = Environments(task, 2)
    rows.start([3, 4])
    for action in actions_of(task, 0, 5):
        rows.step(np.stack([action] * len(rows.playing)))
    first, second = rows.simulators([0, 1])
    second.write(first.read())
    action = actions_of(task, 8, 1)[0]
    shown, reward, ended = first.step(action)
    restored, again, ended_too = second.step(action)
    assert ended == ended_too
    np.testing.assert_array_equal(shown, restored)
    # Ant's reward reads a place that lags one substep behind the state.
    assert reward == (pytest.approx(again, abs=0.3) if task.environment == "Ant-v4" else again)
    np.testing.assert_array_equal(first.read(), second.read())


def test_v5_is_different_physics() -> None:
    """If both ids gave the same numbers, keeping them apart would be theatre."""
    task = ENTRIES["d4rl/walker2d-medium-v2"].task
    rewards = []
    for version in ("v4", "v5"):
        rows = Environments(task.on(version), 1)
        rows.start([0])
        total = 0.0
        for action in actions_of(task, 1, 300):
            if len(rows.playing):
                total += float(rows.step(action[None]).rewards[0])
        rewards.append(total)
    assert rewards[0] != rewards[1]


def test_no_file_is_left_in_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MuJoCo writes MUJOCO_LOG.TXT wherever it is, unless its warnings are heard."""
    monkeypatch.chdir(tmp_path)
    Environments(ENTRIES["d4rl/halfcheetah-medium-v2"].task, 1)
    assert not list(tmp_path.glob("*.TXT"))


def test_own_environments_are_read_not_guessed() -> None:
    """Widths, bounds and time limit of an imported task come from its environment."""
    task = task_in("Pendulum-v1", name="file/mine", horizon=None, reference=None)
    assert (task.observation_width, task.action_width, task.horizon) == (3, 1, 200)
    assert (task.action_low, task.action_high) == ((-2.0,), (2.0,))
    rows = Environments(task, 2)
    rows.start([0, 1])
    assert rows.step(np.zeros((2, 1), np.float32)).observations.shape == (2, 3)


def test_environments_that_do_not_fit_are_refused() -> None:
    """A width that only fails inside a network costs an afternoon."""
    with pytest.raises(SeqrlError, match="one-dimensional Box"):
        task_in("CartPole-v1", name="file/mine", horizon=None, reference=None)
    with pytest.raises(UnknownName, match="module:Id"):
        task_in("NoSuch-v0", name="file/mine", horizon=None, reference=None)
    hopper = ENTRIES["d4rl/hopper-medium-v2"].task
    with pytest.raises(SeqrlError, match="actions of 4 numbers"):
        make(Task(**{**vars(hopper), "action_width": 4, "action_low": (), "action_high": ()}))
