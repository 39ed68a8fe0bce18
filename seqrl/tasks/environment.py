"""Playing: many environments of one task, each with its own seed, stepped as a batch.

Rows end at different times and are simply left out from then on. What comes out for a row depends
on its seed and its actions alone, never on who plays beside it. Imports Gymnasium and MuJoCo only
when used.

Letters: R rows, L rows that are still playing, o observation width, a action width, s state width.
"""

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqrl.episodes import Array
from seqrl.errors import SeqrlError, UnknownName
from seqrl.tasks.drawing import cannot_draw, draw, follow, mujoco, stop_drawing
from seqrl.tasks.task import Reference, Task

_log = logging.getLogger(__name__)


def _hear_mujoco(message: str) -> None:
    """Take MuJoCo's warnings: left alone it writes MUJOCO_LOG.TXT into the current folder."""
    # Gymnasium's own half-cheetah file uses a word that MuJoCo 4 calls deprecated: nothing a
    # user can do.
    _log.log(
        logging.DEBUG if "is deprecated" in message else logging.WARNING, "MuJoCo: %s", message
    )


def make(task: Task, *, pictures: bool = False) -> Any:
    """Make an environment of `task` without time limit: the caller counts to the horizon. With
    `pictures` it can draw itself."""
    if task.not_playable:
        raise SeqrlError(f"{task.name} cannot be played here: {task.not_playable}.")
    drawing = {"render_mode": "rgb_array"} if pictures else {}
    environment = _made(task.environment, {**task.environment_settings, **drawing})
    _check_spaces(task, environment)
    if pictures:
        follow(environment)
    return environment


def task_in(
    environment: str, *, name: str, horizon: int | None, reference: Reference | None
) -> Task:
    """Describe playing in any environment: widths, bounds and time limit are its own."""
    made = _made(environment, {})
    observation, action = made.observation_space, made.action_space
    if len(observation.shape or ()) != 1 or len(action.shape or ()) != 1:
        raise SeqrlError(
            f"The environment {environment} shows {observation} and takes {action}. Only "
            "observations and actions that are one row of numbers each (one-dimensional Box) can "
            "be used."
        )
    if horizon is not None and horizon < 1:
        raise SeqrlError(f"--horizon must be at least 1, not {horizon}.")
    limit = horizon or _spec(environment).max_episode_steps
    if not limit or limit < 1:
        raise SeqrlError(
            f"The environment {environment} has no time limit of its own: say with --horizon after "
            "how many steps an episode ends."
        )
    return Task(
        name=name,
        environment=environment,
        horizon=limit,
        observation_width=observation.shape[0],
        action_width=action.shape[0],
        action_low=tuple(map(float, action.low)),
        action_high=tuple(map(float, action.high)),
        reference=reference,
    )


def _made(environment: str, settings: Mapping[str, Any]) -> Any:
    import gymnasium

    mujoco().set_mju_user_warning(_hear_mujoco)
    with warnings.catch_warnings():
        # Gymnasium says of every -v4 that a -v5 exists. It is -v4 that is meant.
        warnings.filterwarnings("ignore", message=".*is out of date.*")
        try:
            made = gymnasium.make(
                _spec(environment), max_episode_steps=-1, disable_env_checker=True, **settings
            )
        except (gymnasium.error.Error, ImportError) as error:
            raise UnknownName(
                f"The environment {environment!r} could not be made: {str(error).rstrip('.')}. An "
                "environment of your own is named module:Id, where importing the module registers "
                "it."
            ) from error
    return made


def _spec(environment: str) -> Any:
    """Find an environment's registration; of `module:Id`, import the module, which registers it."""
    import gymnasium

    module, _, name = environment.rpartition(":")
    if module:
        try:
            import_module(module)
        except (TypeError, ValueError) as error:  # of what is no module's name at all
            raise ImportError(str(error)) from error
    return gymnasium.spec(name)


def _check_spaces(task: Task, environment: Any) -> None:
    observation, action = environment.observation_space, environment.action_space
    if len(observation.shape or ()) != 1 or observation.shape[0] < task.observation_width:
        raise SeqrlError(
            f"{task.name} has observations of {task.observation_width} numbers, but the "
            f"environment {task.environment} shows {observation}. Name the environment that the "
            "data came from."
        )
    if action.shape != (task.action_width,):
        raise SeqrlError(
            f"{task.name} has actions of {task.action_width} numbers, but the environment "
            f"{task.environment} takes {action}. Name the environment that the data came from."
        )


@dataclass(frozen=True)
class Outcome:
    """What one step gave to the rows that took it, in their order."""

    observations: NDArray[np.float32]  # [L, o]
    rewards: NDArray[np.float64]  # [L]
    terminated: NDArray[np.bool_]  # [L]
    timed_out: NDArray[np.bool_]  # [L], never true together with terminated


class Environments:
    """R environments of one task. `start` begins episodes, `step` moves the playing rows."""

    def __init__(self, task: Task, rows: int, *, pictures: bool = False) -> None:
        """Make `rows` environments, which can draw themselves if asked; none is playing yet."""
        self.task = task
        self._environments = [make(task, pictures=pictures) for _ in range(rows)]
        self._steps = np.zeros(rows, np.int64)
        self._playing = np.zeros(rows, bool)

    @property
    def playing(self) -> NDArray[np.intp]:
        """Rows whose episode is under way, in rising order [L]."""
        return np.flatnonzero(self._playing)

    def start(self, seeds: Sequence[int], rows: Sequence[int] | None = None) -> NDArray[np.float32]:
        """Begin an episode in `rows` (by default all), each from its seed; first observations."""
        chosen = range(len(self._environments)) if rows is None else rows
        first = [
            self._kept(self._environments[row].reset(seed=int(seed))[0])
            for row, seed in zip(chosen, seeds, strict=True)
        ]
        self._steps[list(chosen)] = 0
        self._playing[list(chosen)] = True
        return np.stack(first)

    def step(self, actions: NDArray[np.float32]) -> Outcome:
        """Take one step in every playing row; `actions` [L, a] in the order of `playing`."""
        rows = self.playing
        assert actions.shape == (len(rows), self.task.action_width), actions.shape
        assert actions.dtype == np.float32, actions.dtype
        observations = np.empty((len(rows), self.task.observation_width), np.float32)
        rewards = np.empty(len(rows))
        terminated = np.zeros(len(rows), bool)
        timed_out = np.zeros(len(rows), bool)
        for i, row in enumerate(rows):
            seen, rewards[i], terminated[i], truncated, _ = self._environments[row].step(actions[i])
            observations[i] = self._kept(seen)
            self._steps[row] += 1
            timed_out[i] = (truncated or self._steps[row] >= self.task.horizon) and not terminated[
                i
            ]
        self._playing[rows] = ~(terminated | timed_out)
        return Outcome(observations, rewards, terminated, timed_out)

    def picture(self, row: int) -> NDArray[np.uint8]:
        """Draw a row as it is now [height, width, 3]; only where made with `pictures`."""
        environment = self._environments[row]
        try:
            drawn = draw(environment)
        except SeqrlError:
            raise
        except Exception as error:  # whatever a graphics driver, or somebody's code, may raise
            raise cannot_draw(self.task.environment, error) from error
        if not isinstance(drawn, np.ndarray) or drawn.ndim != 3 or drawn.shape[2] != 3:
            raise SeqrlError(
                f"The environment {self.task.environment} has no pictures to film: its render mode "
                "'rgb_array' must give arrays [height, width, 3]."
            )
        return drawn.astype(np.uint8)

    @property
    def picture_rate(self) -> float:
        """Steps that are a second of the environment's own time."""
        return float(self._environments[0].metadata.get("render_fps", 30))

    def close(self) -> None:
        """Give back what drawing holds on to; nothing can be played any more."""
        for environment in self._environments:
            stop_drawing(environment)
            environment.close()

    def simulators(self, rows: Sequence[int] | NDArray[np.intp]) -> list["Simulator"]:
        """Give direct access to the MuJoCo simulators of `rows`."""
        return [Simulator(self._environments[row]) for row in rows]

    def _kept(self, observation: Array) -> NDArray[np.float32]:
        return observation[: self.task.observation_width].astype(np.float32)


class Simulator:
    """The MuJoCo state behind one Gymnasium environment: read it, write it, step from it."""

    def __init__(self, environment: Any) -> None:
        """Refuse environments without a MuJoCo model."""
        bare = environment.unwrapped
        if not hasattr(bare, "model") or not hasattr(bare, "data"):
            raise SeqrlError(
                f"{bare.spec.id if bare.spec else bare} is not a MuJoCo environment: it has no "
                "state that could be restored."
            )
        import mujoco

        self._mujoco = mujoco
        self._environment = environment
        self._bare = bare
        # Physics alone is not enough for equal bits: the solver starts from its last solution.
        kind = mujoco.mjtState
        self._kind = int(kind.mjSTATE_FULLPHYSICS | kind.mjSTATE_WARMSTART)
        self.parts = {
            "time": 1,
            "qpos": int(bare.model.nq),
            "qvel": int(bare.model.nv),
            "act": int(bare.model.na),
            "qacc_warmstart": int(bare.model.nv),
        }
        self.width = int(mujoco.mj_stateSize(bare.model, self._kind))
        if self.width != sum(self.parts.values()):
            raise SeqrlError(
                f"{environment} has a simulator state of more than {', '.join(self.parts)}."
            )

    def read(self) -> NDArray[np.float64]:
        """Return the full state [s]: time, qpos, qvel, activation, warm start."""
        state = np.empty(self.width)
        self._mujoco.mj_getState(self._bare.model, self._bare.data, state, self._kind)
        return state

    def write(self, state: Array) -> None:
        """Put the simulator into a state that `read` gave.

        What follows is equal to the bit, with one exception: Ant's reward reads the torso's place
        as it was one substep before, which is no part of the state.
        """
        full = np.ascontiguousarray(state, np.float64)
        self._mujoco.mj_setState(self._bare.model, self._bare.data, full, self._kind)
        # Places of bodies follow from the state; computing them leaves the warm start alone.
        self._mujoco.mj_kinematics(self._bare.model, self._bare.data)

    def write_position(self, qpos: Array, qvel: Array) -> None:
        """Put the simulator into a pose known only by positions and velocities."""
        self._mujoco.mj_resetData(self._bare.model, self._bare.data)
        self._bare.set_state(np.asarray(qpos, np.float64), np.asarray(qvel, np.float64))

    def observe(self) -> Array:
        """Return what the environment shows of the present state."""
        return np.asarray(self._bare._get_obs())

    def step(self, action: Array) -> tuple[Array, float, bool]:
        """Step the environment: observation, reward, and whether its own rule ends the episode."""
        observation, reward, terminated, *_ = self._bare.step(np.asarray(action, np.float32))
        return np.asarray(observation), float(reward), bool(terminated)
