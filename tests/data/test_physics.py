"""Does the check tell data of this simulator from data of another one?"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqrl.data.behaviours import SETS
from seqrl.data.cache import open_prepared, prepare
from seqrl.data.layout import write_layout
from seqrl.data.own import file_origin
from seqrl.data.physics import check
from seqrl.data.player import play
from seqrl.data.policy import shipped
from seqrl.episodes import Array, Episodes, digest_of, starts_of
from seqrl.errors import DataError
from seqrl.tasks import environment
from seqrl.tasks.d4rl import ENTRIES
from seqrl.tasks.environment import Environments
from seqrl.tasks.task import Task

BODIES = ("hopper", "halfcheetah", "walker2d")


def task_of(body: str) -> Task:
    return replace(ENTRIES[f"d4rl/{body}-medium-v2"].task, horizon=300)


def played(body: str, episodes: int = 4) -> Episodes:
    """Play the medium policy, without any cache."""
    task, chosen = task_of(body), SETS[f"seqrl/{body}-medium-v1"]
    columns = play(task, shipped(chosen.shares[0].policy), chosen.short, range(episodes))
    starts, cut_off = starts_of(columns["terminated"], columns["timed_out"])
    assert cut_off == 0
    (simulator,) = Environments(task, 1).simulators([0])
    return Episodes(
        name=f"file/{body}",
        columns=columns,
        starts=starts,
        horizon=task.horizon,
        action_low=np.array(task.action_low),
        action_high=np.array(task.action_high),
        digests={name: digest_of(column) for name, column in columns.items()},
        state_parts=simulator.parts,
    )


def as_d4rl_file(episodes: Episodes, body: str, folder: Path, *, states: bool) -> Episodes:
    """Write and read again as an official file stores it: float32, and states only if asked."""
    file = folder / f"{body}.hdf5"
    write_layout(episodes, file, states=states)
    return open_prepared(prepare(file_origin(file, replace(task_of(body), name=f"file/{body}"))))


@pytest.fixture
def another_mass(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make every environment from now on with one body 2% heavier."""
    real = environment.make

    def heavier(task: Task, **drawing: bool) -> Any:
        made = real(task, **drawing)
        made.unwrapped.model.body_mass[2] *= 1.02
        return made

    return lambda: monkeypatch.setattr(environment, "make", heavier)


@pytest.mark.parametrize("body", BODIES)
def test_full_states_agree_to_the_bit(body: str) -> None:
    """Stored states are the strongest proof: nothing may differ at all."""
    verdict = check(played(body), task_of(body), sample=300)
    assert verdict.restored_from == "full state" and verdict.agrees and verdict.left_out == 0
    assert verdict.state is not None
    assert verdict.state.worst == verdict.observation.worst == verdict.reward.worst == 0.0
    assert "to the last stored bit" in verdict.in_words("Hopper-v4")


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("states", [True, False], ids=["qpos-qvel", "observations"])
def test_a_float32_copy_is_recognised_as_our_own(body: str, states: bool, tmp_path: Path) -> None:
    """Official files hold no full state: rounding must not be taken for other physics."""
    copy = as_d4rl_file(played(body), body, tmp_path, states=states)
    verdict = check(copy, task_of(body), sample=600)
    assert verdict.restored_from == ("positions and velocities" if states else "observation")
    assert verdict.agrees, verdict
    assert verdict.notes == ()
    assert verdict.checked + verdict.left_out == 600


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("kind", ["full", "qpos-qvel", "observations"])
def test_two_percent_of_one_mass_is_recognised_as_foreign(
    body: str, kind: str, tmp_path: Path, another_mass: Callable[[], None]
) -> None:
    """The smallest setting that changes scores must not pass for noise."""
    episodes = played(body)
    if kind != "full":
        episodes = as_d4rl_file(episodes, body, tmp_path, states=kind == "qpos-qvel")
    another_mass()
    verdict = check(episodes, task_of(body), sample=300)
    assert not verdict.agrees
    assert verdict.in_words("Hopper-v4").startswith("FOREIGN")
    assert verdict.observation.median > 50 * verdict.observation_floor.median


@pytest.mark.parametrize("body", ["hopper", "walker2d"])
def test_newer_environments_are_other_environments(body: str) -> None:
    """Hopper differs at the fall alone, where v5 stops paying; Walker2d has other feet."""
    episodes = played(body)
    assert body == "walker2d" or episodes.terminated.any()
    verdict = check(episodes, task_of(body).on("v5"), sample=300)
    assert not verdict.agrees
    assert "Rewards" in verdict.in_words("v5") or "far off" in verdict.in_words("v5")


@pytest.mark.parametrize("states", [True, False], ids=["states", "observations"])
def test_a_few_wrong_rewards_are_found(tmp_path: Path, states: bool) -> None:
    """Forty wrong steps move a data set's mean score by ten points, and no percentile."""
    episodes = played("hopper")
    if not states:
        episodes = as_d4rl_file(episodes, "hopper", tmp_path, states=False)
    rewards = np.array(episodes.rewards)
    rewards[np.random.default_rng(0).choice(episodes.steps, 5, replace=False)] += 1.0
    spoilt = replace(episodes, columns={**episodes.columns, "rewards": rewards})
    verdict = check(spoilt, task_of("hopper"), sample=episodes.steps)
    assert not verdict.agrees and verdict.outliers in (4, 5)  # one may have a clipped velocity
    assert "far off" in verdict.in_words("Hopper-v4")


def test_episodes_that_end_elsewhere_are_found() -> None:
    """Boundaries moved by three steps leave every single step right."""
    episodes = played("hopper")
    terminated = np.roll(np.array(episodes.terminated), -3)
    starts = np.concatenate([[0], np.flatnonzero(terminated) + 1, [episodes.steps]])
    timed_out = np.zeros_like(terminated)
    timed_out[-1] = True
    columns = {**episodes.columns, "terminated": terminated, "timed_out": timed_out}
    verdict = check(
        replace(episodes, columns=columns, starts=starts), task_of("hopper"), sample=400
    )
    assert not verdict.agrees and "the other way round" in verdict.in_words("Hopper-v4")


def test_clipped_velocities_are_left_out_and_counted(tmp_path: Path) -> None:
    """A clipped velocity would show as an error that is nobody's fault."""
    episodes = as_d4rl_file(played("hopper"), "hopper", tmp_path, states=False)
    observations = np.array(episodes.observations)
    observations[::2, 7] = 10.0
    some = replace(episodes, columns={**episodes.columns, "observations": observations})
    verdict = check(some, task_of("hopper"), sample=400)
    assert verdict.left_out > 100 and verdict.agrees
    observations[:, 7] = -10.0
    none = replace(some, columns={**some.columns, "observations": observations})
    with pytest.raises(DataError, match=r"none of .* could be restored"):
        check(none, task_of("hopper"), sample=50)


def test_states_of_another_step_are_not_trusted(tmp_path: Path) -> None:
    """D4RL's first versions recorded positions of the step after: noticed, said, worked around."""
    episodes = as_d4rl_file(played("halfcheetah"), "halfcheetah", tmp_path, states=True)
    shifted = np.roll(np.array(episodes.columns["states"]), -1, axis=0)
    verdict = check(
        replace(episodes, columns={**episodes.columns, "states": shifted}),
        task_of("halfcheetah"),
        sample=200,
    )
    assert verdict.restored_from == "observation" and verdict.agrees
    assert "do not belong to the recorded observations" in verdict.notes[0]


def test_another_environment_is_foreign_not_an_accident(tmp_path: Path) -> None:
    """Data whose states cannot be rebuilt get a sentence, not a wrong verdict."""
    episodes = as_d4rl_file(played("hopper"), "hopper", tmp_path, states=False)
    task = replace(task_of("hopper"), environment="InvertedDoublePendulum-v4")
    narrow: dict[str, Array] = dict(episodes.columns)
    narrow["actions"] = narrow["actions"][:, :1]
    narrow["observations"] = narrow["observations"][:, :9]
    task = replace(task, observation_width=9, action_width=1, action_low=(), action_high=())
    with pytest.raises(DataError, match="known for Hopper, Walker2d, HalfCheetah, Ant only"):
        check(replace(episodes, columns=narrow), task, sample=5)
