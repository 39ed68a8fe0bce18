"""Drawing where there is no screen: what MuJoCo needs for it, and what to install if that is not
here."""

import os
import sys
from ctypes.util import find_library
from functools import cache
from importlib import import_module
from typing import Any

from seqrl.errors import SeqrlError

WAY_OUT = (
    "Without a screen MuJoCo draws through EGL, or through OSMesa, which needs no GPU. On Debian "
    "or Ubuntu: apt install libegl1 libgl1, or apt install libosmesa6 and set MUJOCO_GL=osmesa"
)
LIBRARIES = {"egl": "EGL", "osmesa": "OSMesa"}
"""What MUJOCO_GL can be without a screen, the faster first, and the library that it loads."""


def cannot_draw(environment: str, why: object) -> SeqrlError:
    """Say that pictures cannot be had here, and how they could."""
    said = str(why).strip().rstrip(".") or type(why).__name__
    return SeqrlError(f"{environment} cannot be drawn here: {said}. {WAY_OUT}.")


def mujoco() -> Any:
    """Import MuJoCo; with a MUJOCO_GL that is of no use here it fails at once, even if nothing is
    drawn."""
    try:
        return import_module("mujoco")
    except Exception as error:
        chosen = os.environ.get("MUJOCO_GL")
        if not chosen:
            raise
        raise SeqrlError(
            f"MuJoCo cannot be loaded with MUJOCO_GL={chosen}: {error}. Unset it, or set it to "
            f"what is installed here. {WAY_OUT}."
        ) from error


@cache
def ready_to_draw() -> None:
    """Choose what MuJoCo draws with, where nobody has chosen and there is no screen; try it out."""
    if not os.environ.get("MUJOCO_GL"):
        if sys.platform != "linux" or os.environ.get("DISPLAY"):
            return  # MuJoCo's own choice
        os.environ["MUJOCO_GL"] = _installed()
    name = os.environ["MUJOCO_GL"]
    if name not in LIBRARIES:
        return
    # Tried here, because Gymnasium leaves a half-made viewer behind, which complains once more.
    try:
        import_module(f"mujoco.{name}").GLContext(16, 16).free()
    except Exception as error:
        raise cannot_draw(f"MuJoCo (MUJOCO_GL={name})", error) from error


def _installed() -> str:
    for name, library in LIBRARIES.items():
        if find_library(library):
            return name
    raise cannot_draw("MuJoCo", "there is no screen, and neither EGL nor OSMesa is installed")


def draw(environment: Any) -> Any:
    """Return what an environment draws of itself."""
    renderer = getattr(environment.unwrapped, "mujoco_renderer", None)
    if renderer is not None:
        ready_to_draw()
        if renderer.viewer is not None:  # another's may be current, if several are drawn
            renderer.viewer.make_context_current()
    return environment.render()


def stop_drawing(environment: Any) -> None:
    """Give back what was drawn with, if anything was.

    Left to Python, that happens at any time, and then takes the pictures of whoever draws just then
    along.
    """
    renderer = getattr(environment.unwrapped, "mujoco_renderer", None)
    viewer = getattr(renderer, "viewer", None)
    if viewer is not None:
        viewer.make_context_current()
        viewer.con.free()


def follow(environment: Any) -> None:
    """Let the camera go along with the body, where the body's model has a camera that does.

    Left alone, Gymnasium's own stays behind, and films the floor.
    """
    renderer = getattr(environment.unwrapped, "mujoco_renderer", None)
    if renderer is None:
        return
    library = mujoco()
    kind = library.mjtObj.mjOBJ_CAMERA
    camera = library.mj_name2id(environment.unwrapped.model, kind, "track")
    if camera >= 0:
        renderer.camera_id = camera
