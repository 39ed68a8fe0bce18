"""Putting the simulator where the data was: from full states, from positions, or from observations.

Letters: o observation width, N steps in all, s simulator-state width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqrl.episodes import Array, Episodes
from seqrl.errors import DataError
from seqrl.tasks.environment import Simulator
from seqrl.tasks.task import Task

CLIP = 10.0
"""Hopper and Walker2d show velocities only within these bounds."""

Restored = Literal["full state", "positions and velocities", "observation"]


@dataclass(frozen=True)
class _Body:
    """How an environment's observation is made of its state."""

    hidden_positions: int
    """Leading positions (where the body is in the world) that are not shown."""
    clipped: bool
    """Velocities are clipped at `CLIP`."""


BODIES = {
    "Hopper": _Body(1, True),
    "Walker2d": _Body(1, True),
    "HalfCheetah": _Body(1, False),
    "Ant": _Body(2, False),
}


@dataclass(frozen=True)
class Restorer:
    """One way to put the simulator where the data was."""

    kind: Restored
    restore: Callable[[int], None]
    """Go to the state before a recorded step."""
    usable: Callable[[int], bool]
    """Whether that state can be told from what is recorded."""
    forget: Callable[[], bool]
    """Keep of the present state only what a recording keeps; false if that is not usable."""


def restorer_for(
    episodes: Episodes, task: Task, simulator: Simulator, chosen: NDArray[np.int64]
) -> tuple[Restorer, list[str]]:
    """Take the most exact way that the data allows."""
    parts, notes = dict(episodes.state_parts), list[str]()
    states = episodes.columns.get("states")
    if states is not None and parts == simulator.parts:
        return _from_full_states(states, simulator), notes
    if states is not None and parts.get("qpos") == simulator.parts["qpos"]:
        restorer = _from_positions(states, parts, simulator)
        if _shows_what_is_recorded(episodes, simulator, restorer, chosen):
            return restorer, notes
        notes.append(
            "the recorded positions and velocities do not belong to the recorded observations, so "
            "states were rebuilt from the observations"
        )
    elif states is not None:
        notes.append(f"the recorded states {parts} do not fit {task.environment} {simulator.parts}")
    return _from_observations(episodes, task, simulator), notes


def _from_full_states(states: Array, simulator: Simulator) -> Restorer:
    return Restorer(
        "full state",
        restore=lambda step: simulator.write(states[step]),
        usable=lambda step: True,
        forget=lambda: True,
    )


def _from_positions(states: Array, parts: dict[str, int], simulator: Simulator) -> Restorer:
    start = dict(zip(parts, np.cumsum([0, *parts.values()]), strict=False))
    qpos = slice(start["qpos"], start["qpos"] + parts["qpos"])
    qvel = slice(start["qvel"], start["qvel"] + parts["qvel"])

    def forget() -> bool:
        whole = simulator.read().astype(states.dtype)
        positions = 1 + simulator.parts["qpos"]
        simulator.write_position(
            whole[1:positions], whole[positions : positions + simulator.parts["qvel"]]
        )
        return True

    return Restorer(
        "positions and velocities",
        restore=lambda step: simulator.write_position(states[step, qpos], states[step, qvel]),
        usable=lambda step: True,
        forget=forget,
    )


def _from_observations(episodes: Episodes, task: Task, simulator: Simulator) -> Restorer:
    name = task.environment.rpartition(":")[2].partition("-")[0]
    if name not in BODIES:
        raise DataError(
            f"{episodes.name} holds no simulator states that fit, and how to rebuild a state from "
            f"an observation is known for {', '.join(BODIES)} only, not for {task.environment}."
        )
    body = BODIES[name]
    shown_positions = simulator.parts["qpos"] - body.hidden_positions

    def write(observation: Array) -> None:
        hidden = np.zeros(body.hidden_positions)
        simulator.write_position(
            np.concatenate([hidden, observation[:shown_positions]]),
            observation[shown_positions : shown_positions + simulator.parts["qvel"]],
        )

    def unclipped(observation: Array) -> bool:
        return not body.clipped or bool((np.abs(observation[shown_positions:]) < CLIP).all())

    def forget() -> bool:
        observation = simulator.observe().astype(np.float32)
        write(observation)
        return unclipped(observation)

    return Restorer(
        "observation",
        restore=lambda step: write(episodes.observations[step]),
        usable=lambda step: unclipped(episodes.observations[step]),
        forget=forget,
    )


def _shows_what_is_recorded(
    episodes: Episodes, simulator: Simulator, restorer: Restorer, chosen: NDArray[np.int64]
) -> bool:
    """Look before trusting: some files record the positions of another step."""
    width, off = episodes.observations.shape[1], []
    for step in map(int, chosen[:100]):
        restorer.restore(step)
        shown = simulator.observe()[:width].astype(np.float32)
        off.append(largest(shown, episodes.observations[step]))
    return bool(np.median(off) < 1e-4)


def largest(one: Array, other: Array) -> float:
    """Return the largest difference of any two entries."""
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())
