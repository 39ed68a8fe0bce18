"""Poses: the bodies that the simulator has, and none where observations do not tell."""

from dataclasses import replace

import numpy as np
import pytest

from seqrl.tasks.d4rl import ENTRIES
from seqrl.tasks.environment import make
from seqrl.tasks.poses import plane_body
from seqrl.tasks.task import Task
from tests.runs.making import toy_source

BODIES = [ENTRIES[f"d4rl/{body}-medium-v2"].task for body in ("hopper", "halfcheetah", "walker2d")]


def test_hopper_upright() -> None:
    """The numbers of its own model file."""
    body = plane_body(BODIES[0])
    assert body is not None
    observation = np.zeros((1, 11))
    observation[0, 0] = 1.25
    found = body.poses(observation)
    torso, thigh, leg, foot = (sorted(map(tuple, ends)) for ends in found.ends[0].round(6))
    assert torso == [(0, 1.05), (0, 1.45)] and thigh == [(0, 0.6), (0, 1.05)]
    assert leg == [(0, 0.1), (0, 0.6)] and foot == [(-0.13, 0.1), (0.26, 0.1)]
    assert found.radii.tolist() == [0.05, 0.05, 0.04, 0.06]
    assert body.names[:3] == ("rootz", "rooty", "thigh_joint")
    assert body.names[5] == "rootx velocity" and len(body.names) == 11


@pytest.mark.parametrize("task", BODIES, ids=lambda task: task.environment)
@pytest.mark.parametrize("version", ["v4", "v5"])
def test_bodies_are_the_simulators_own(task: Task, version: str) -> None:
    """A leg at another's angle would be taken for the agent's mistake."""
    task = task.on(version)
    bare = make(task).unwrapped
    bare.reset(seed=3)
    generator, seen, ends = np.random.default_rng(0), [], []
    for _ in range(10):
        seen.append(bare.step(generator.uniform(-1, 1, task.action_width))[0])
        sticks = bare.model.geom_type == 3
        turned = bare.data.geom_xmat[sticks].reshape(-1, 3, 3)
        reach = np.zeros((int(sticks.sum()), 3))
        reach[:, 2] = bare.model.geom_size[sticks, 1]
        bare.set_state(bare.data.qpos, bare.data.qvel)  # places of the present, not of before
        middle = bare.data.geom_xpos[sticks] - [bare.data.qpos[0], 0, 0]
        turned = bare.data.geom_xmat[sticks].reshape(-1, 3, 3)
        far = np.einsum("cij,cj->ci", turned, reach)
        ends.append(np.stack([middle - far, middle + far], 1)[..., [0, 2]])
    body = plane_body(task)
    assert body is not None
    np.testing.assert_allclose(body.poses(np.array(seen)).ends, ends, atol=1e-9)
    assert body.poses(np.zeros((0, task.observation_width))).ends.shape == (0, *ends[0].shape)


def test_others_have_none() -> None:
    """A body in space, a world without bodies, and observations that are cut short."""
    ant = ENTRIES["d4rl/ant-medium-v2"].task
    short = replace(BODIES[0], observation_width=5)
    for task in (ant, toy_source().task, short):
        assert plane_body(task) is None
