"""Pictures: of the body and not of the floor, of the right environment, or with a way out."""

import gc

import numpy as np
import pytest

from seqrl.errors import SeqrlError
from seqrl.tasks import drawing
from seqrl.tasks.d4rl import ENTRIES
from seqrl.tasks.environment import Environments, task_in
from tests.playing import needs_drawing

HOPPER = ENTRIES["d4rl/hopper-medium-v2"].task
CHEETAH = ENTRIES["d4rl/halfcheetah-medium-v2"].task


def body(picture: np.ndarray) -> int:
    """Count the pixels that are as brown as the bodies; floor and sky are grey, green and blue."""
    return int((picture[..., 0].astype(int) - picture[..., 2] > 40).sum())


@pytest.mark.parametrize("task", [HOPPER, CHEETAH], ids=lambda task: task.environment)
def test_the_camera_goes_along(task: object) -> None:
    """Gymnasium's own stays where it is: after two seconds a film shows an empty floor."""
    needs_drawing()
    assert isinstance(task, type(HOPPER))
    rows = Environments(task, 1, pictures=True)
    rows.start([0])
    near = rows.picture(0)
    (simulator,) = rows.simulators([0])
    state = simulator.read()
    state[1] += 20.0  # metres ahead
    simulator.write(state)
    simulator.step(np.zeros(task.action_width))
    far = rows.picture(0)
    assert near.dtype == np.uint8 and near.shape[2] == 3
    assert body(near) > 1000 and body(far) > 0.8 * body(near)
    rows.close()


def test_two_are_drawn_at_once() -> None:
    """A picture of whoever was drawn last, under the other's name."""
    needs_drawing()
    first, second = (Environments(task, 1, pictures=True) for task in (HOPPER, CHEETAH))
    for rows in (first, second):
        rows.start([0])
    hopper, cheetah = first.picture(0), second.picture(0)
    np.testing.assert_array_equal(first.picture(0), hopper)
    first.close()
    np.testing.assert_array_equal(second.picture(0), cheetah)
    second.close()


def test_the_end_of_one_leaves_the_next_its_pictures() -> None:
    """A film went black in its middle, when Python cleared away what the one before had used."""
    needs_drawing()
    first = Environments(HOPPER, 1, pictures=True)
    first.start([0])
    first.picture(0)
    first.close()
    second = Environments(CHEETAH, 1, pictures=True)
    second.start([0])
    cheetah = second.picture(0)
    del first
    gc.collect()
    np.testing.assert_array_equal(second.picture(0), cheetah)
    second.close()


def test_being_drawn_changes_nothing() -> None:
    """Returns with and without a film must be the same numbers."""
    needs_drawing()
    seen = []
    for pictures in (True, False):
        rows = Environments(HOPPER, 1, pictures=pictures)
        shown = [rows.start([3])]
        for _ in range(10):
            if pictures:
                rows.picture(0)
            shown.append(rows.step(np.full((1, 3), 0.3, np.float32)).observations)
        seen.append(np.stack(shown))
        rows.close()
    np.testing.assert_array_equal(seen[0], seen[1])


def test_without_anything_to_draw_with_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A headless machine without EGL is the usual one; a traceback out of OpenGL helps nobody."""
    for name in ("MUJOCO_GL", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(drawing, "find_library", lambda name: None)
    monkeypatch.setattr("sys.platform", "linux")
    drawing.ready_to_draw.cache_clear()
    rows = Environments(HOPPER, 1, pictures=True)
    rows.start([0])
    with pytest.raises(SeqrlError, match="apt install libegl1"):
        rows.picture(0)
    rows.close()


def test_an_environment_without_pictures_says_so() -> None:
    """One's own environment need not draw anything, until somebody wants a film."""
    own = task_in("tests.tasks.blind:Blind-v0", name="file/own", horizon=5, reference=None)
    rows = Environments(own, 1, pictures=True)
    rows.start([0])
    with pytest.raises(SeqrlError, match="'rgb_array' must give arrays"):
        rows.picture(0)
