"""An environment that has nothing to show."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from seqrl.episodes import Array


class Blind(gymnasium.Env[Array, Array]):
    """One number in, one number out, and no pictures."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 (Gymnasium's own form)
    observation_space = Box(-1, 1, (1,), np.float64)
    action_space = Box(-1, 1, (1,), np.float32)

    def __init__(self, render_mode: str | None = None) -> None:
        """Take what `gymnasium.make` gives."""
        self.render_mode = render_mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin."""
        return np.zeros(1), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Go on."""
        return np.zeros(1), 0.0, False, False, {}

    def render(self) -> None:
        """Show nothing."""


gymnasium.register("Blind-v0", "tests.tasks.blind:Blind", max_episode_steps=5)
