"""Does the installed simulator reproduce this data? One step at a time, from the data's own states.

For a sample of steps: put the simulator where the data was, apply the recorded action, compare what
it shows and rewards with what is recorded. A recorded state is never exact, so beside the error
stands the floor: the error that the same recording would show if the data came from this very
simulator. It is measured, not assumed: step twice in the simulator, once from its exact state and
once from that state as it would have been recorded.

Letters: K sampled steps, o observation width.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqrl.data.restoring import CLIP, Restored, Restorer, largest, restorer_for
from seqrl.episodes import Array, Episodes
from seqrl.errors import DataError
from seqrl.progress import Progress, silent
from seqrl.tasks.environment import Environments, Simulator
from seqrl.tasks.task import Task

SAMPLE = 4_000
"""Steps looked at unless told otherwise."""

ROOM = 10.0
"""Errors up to this many times the floor are the floor's: other processors and compilers add a few
bits."""

FAR = 100.0
"""An error so many times the worst floor is no matter of storage, be it at a single step."""


@dataclass(frozen=True)
class Errors:
    """Spread over steps of absolute one-step errors, the largest entry of each observation."""

    median: float
    high: float
    """99th percentile."""
    worst: float

    @classmethod
    def of(cls, errors: NDArray[np.float64]) -> "Errors":
        """Summarise one error a step; steps without one (NaN) are left out."""
        known = errors[~np.isnan(errors)]
        if not len(known):
            return cls(0.0, 0.0, 0.0)
        return cls(float(np.median(known)), float(np.quantile(known, 0.99)), float(known.max()))

    def within(self, floor: "Errors") -> bool:
        """Say whether these errors are of the floor's size."""
        return self.median <= ROOM * floor.median and self.high <= ROOM * floor.high


@dataclass(frozen=True)
class Verdict:
    """What the comparison showed."""

    restored_from: Restored
    checked: int
    left_out: int
    """Sampled steps that could not be restored: an observation with a clipped velocity."""
    observation: Errors
    reward: Errors
    state: Errors | None
    """Of the simulator's state in float64, where the data has it."""
    observation_floor: Errors
    reward_floor: Errors
    typical_change: float
    """Median over steps of an observation's largest change: what errors are compared with."""
    outliers: int
    """Steps whose error is far beyond anything that storage causes."""
    ends: int
    """How many of the checked steps are the last of their episode."""
    wrong_ends: int
    """Steps that terminate in the data and not in the simulator, or the other way round."""
    notes: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """The installed simulator could have made this data."""
        return not self._reasons()

    def in_words(self, environment: str) -> str:
        """Say it to a person."""
        if self.agrees:
            exact = self.observation.worst == 0.0 and self.reward.worst == 0.0
            how = "to the last stored bit" if exact else "as closely as its storage allows"
            return (
                f"The installed simulator reproduces this data {how}: as far as physics goes, "
                f"scores in {environment} on this machine can be compared with others measured "
                "where the data came from."
            )
        return (
            f"FOREIGN: this is not data of {environment} in the installed simulator. "
            f"{' '.join(self._reasons())} Scores measured here are scores in another environment "
            "than the data's, or the data is damaged: say so where they are compared."
        )

    def _reasons(self) -> list[str]:
        """Say in what simulator and data differ."""
        said = []
        if not self.observation.within(self.observation_floor):
            change = self.typical_change
            share = (
                f" ({self.observation.median / change:.2%} of a typical change)" if change else ""
            )
            said.append(
                f"Observations: a typical one-step error is {self.observation.median:.2g}{share}, "
                f"1% are above {self.observation.high:.2g}; storage alone would cause "
                f"{self.observation_floor.median:.2g} and {self.observation_floor.high:.2g}."
            )
        if not self.reward.within(self.reward_floor):
            said.append(
                f"Rewards: a typical error is {self.reward.median:.2g}, 1% are above "
                f"{self.reward.high:.2g}; storage alone would cause {self.reward_floor.median:.2g} "
                f"and {self.reward_floor.high:.2g}."
            )
        if self.outliers:
            said.append(
                f"{self.outliers:,} of {self.checked:,} steps are far off, by up to "
                f"{self.observation.worst:.2g} in an observation and {self.reward.worst:.2g} in a "
                "reward."
            )
        if self.wrong_ends * 100 > self.ends:  # a rounded state can fall on the other side
            said.append(
                f"At {self.wrong_ends:,} of {self.checked:,} steps ({self.ends:,} of them ends of "
                "episodes) the data terminates and the simulator does not, or the other way round."
            )
        return said


def check(
    episodes: Episodes, task: Task, *, sample: int = SAMPLE, progress: Progress = silent
) -> Verdict:
    """Compare recorded steps of `episodes` with the same steps in the installed simulator."""
    if sample < 1:
        raise DataError(f"--sample must be at least 1, not {sample}.")
    (simulator,) = Environments(task, 1).simulators([0])
    chosen = _sample(episodes, sample)
    restorer, notes = restorer_for(episodes, task, simulator, chosen)
    rows = []
    for done, step in enumerate(map(int, chosen)):
        if restorer.usable(step) and (row := _one_step(episodes, simulator, restorer, step)):
            rows.append(row)
        progress(f"checking against {task.environment}", done + 1, len(chosen), "steps")
    if not rows:
        raise DataError(
            f"{episodes.name}: none of {len(chosen):,} sampled steps could be restored, because "
            f"every one has a velocity clipped at {CLIP:g}. Only data with simulator states can be "
            "checked."
        )
    errors = {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def floor(name: str, stored: Array) -> NDArray[np.float64]:
        """No floor is below one unit in the last place of what is stored."""
        last_place = float(np.spacing(np.abs(stored).max()))
        known: NDArray[np.float64] = np.fmax(errors[name], last_place)
        return known

    observation_floor = floor("observation_floor", episodes.observations[chosen])
    reward_floor = floor("reward_floor", episodes.rewards[chosen])
    far = (errors["observation"] > FAR * np.nanmax(observation_floor)) | (
        errors["reward"] > FAR * np.nanmax(reward_floor)
    )
    return Verdict(
        restored_from=restorer.kind,
        checked=len(rows),
        left_out=len(chosen) - len(rows),
        observation=Errors.of(errors["observation"]),
        reward=Errors.of(errors["reward"]),
        state=Errors.of(errors["state"]) if restorer.kind == "full state" else None,
        observation_floor=Errors.of(observation_floor),
        reward_floor=Errors.of(reward_floor),
        typical_change=float(np.nan_to_num(np.nanmedian(errors["change"]))),
        outliers=int(far.sum()),
        ends=int(errors["end"].sum()),
        wrong_ends=int(errors["wrong_end"].sum()),
        notes=tuple(notes),
    )


def _sample(episodes: Episodes, sample: int) -> NDArray[np.int64]:
    """Choose steps of all kinds: up to a quarter are the last of their episode.

    There environments differ that are equal everywhere else, in what a fall is and what it costs.
    """
    last = episodes.starts[1:] - 1
    inside = np.setdiff1d(np.arange(episodes.steps), last)
    if not len(inside):
        raise DataError(f"{episodes.name}: no episode has two steps, so nothing can be checked.")
    generator = np.random.default_rng(0)
    ends = generator.choice(last, min(sample // 4, len(last)), replace=False)
    others = generator.choice(inside, min(sample - len(ends), len(inside)), replace=False)
    return np.sort(np.concatenate([ends, others]))


def _one_step(
    episodes: Episodes, simulator: Simulator, restorer: Restorer, step: int
) -> dict[str, float] | None:
    """Compare one recorded step; then measure on the next one what recording a state costs."""
    actions, width = episodes.actions, episodes.observations.shape[1]
    is_last = bool(episodes.terminated[step] | episodes.timed_out[step])
    next_observation = episodes.columns.get("next_observations")

    restorer.restore(step)
    shown, reward, terminated = _as_stored(*simulator.step(actions[step]), width)
    found = dict.fromkeys(
        ("observation", "change", "state", "observation_floor", "reward_floor"), np.nan
    )
    found |= {
        "reward": abs(float(reward) - float(episodes.rewards[step])),
        "end": is_last,
        "wrong_end": terminated != bool(episodes.terminated[step]),
    }
    if next_observation is not None or not is_last:
        recorded = (
            episodes.observations[step + 1] if next_observation is None else next_observation[step]
        )
        found["observation"] = largest(shown, recorded)
        found["change"] = largest(recorded, episodes.observations[step])
    if is_last:
        return found
    if restorer.kind == "full state":
        found["state"] = largest(simulator.read(), episodes.columns["states"][step + 1])

    exact = simulator.read()
    true_shown, true_reward, _ = _as_stored(*simulator.step(actions[step + 1]), width)
    simulator.write(exact)
    if not restorer.forget():
        return None
    kept_shown, kept_reward, _ = _as_stored(*simulator.step(actions[step + 1]), width)
    found["observation_floor"] = largest(true_shown, kept_shown)
    found["reward_floor"] = abs(float(true_reward) - float(kept_reward))
    return found


def _as_stored(
    observation: Array, reward: float, terminated: bool, width: int
) -> tuple[Array, np.float32, bool]:
    return observation[:width].astype(np.float32), np.float32(reward), terminated
