"""Poses: what observations look like as bodies, where they tell of a body in a plane.

Hopper, HalfCheetah and Walker2d are such: an observation is all positions but the first, how far
the body has come, and then all velocities. Needs MuJoCo, and nothing to draw with.

Letters: n observations, o observation width, c sticks of the body.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqrl.episodes import Array
from seqrl.tasks.drawing import mujoco
from seqrl.tasks.environment import make
from seqrl.tasks.task import Task

Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Poses:
    """A body at some moments, seen from the side: sticks with round ends."""

    ends: Float64
    """Both ends of each stick, how far ahead of the root and how high, in metres [n, c, 2, 2]."""
    radii: Float64
    """Of each stick [c]."""


class PlaneBody:
    """A body of which an observation tells everything but how far it has come."""

    def __init__(self, environment: Any) -> None:
        """Take a bare environment that `plane_body` has found to be one."""
        self._environment, self._model = environment, environment.model
        joints = [self._model.joint(i).name for i in range(self._model.njnt)]
        self.names = (*joints[1:], *(f"{joint} velocity" for joint in joints))
        """What each number of an observation is."""

    def poses(self, observations: Array) -> Poses:
        """Return the body as it is in each observation [n, o]."""
        model, data = self._model, self._environment.data
        sticks = model.geom_type == mujoco().mjtGeom.mjGEOM_CAPSULE
        reach = model.geom_size[sticks, 1, None]  # [c, 1], along the stick's own third axis
        ends = []
        for observation in observations:
            position = np.concatenate([[0.0], observation[: model.nq - 1]])
            self._environment.set_state(position, np.zeros(model.nv))
            middle = data.geom_xpos[sticks]  # [c, 3]
            along = reach * data.geom_xmat[sticks].reshape(-1, 3, 3)[:, :, 2]
            ends.append(np.stack([middle - along, middle + along], 1)[..., [0, 2]])
        return Poses(
            ends=np.array(ends).reshape(-1, len(reach), 2, 2),
            radii=model.geom_size[sticks, 0].copy(),
        )


def plane_body(task: Task) -> PlaneBody | None:
    """Return the body of a task, if its observations tell of one in a plane."""
    bare = make(task).unwrapped
    model = getattr(bare, "model", None)
    if not isinstance(model, mujoco().MjModel) or model.nq != model.nv or model.njnt != model.nq:
        return None
    seen = bare.reset(seed=0)[0][: task.observation_width]
    told = np.concatenate([bare.data.qpos[1:], bare.data.qvel])
    kinds = mujoco().mjtJoint.mjJNT_SLIDE, mujoco().mjtGeom.mjGEOM_CAPSULE
    ahead = model.jnt_type[0] == kinds[0] and np.array_equal(model.jnt_axis[0], [1.0, 0.0, 0.0])
    drawn = ahead and (model.geom_type == kinds[1]).any()
    return PlaneBody(bare) if drawn and np.array_equal(seen, told) else None
