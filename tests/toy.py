"""A small world that plays in microseconds: a point pushed about, with chance at every step."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from seqrl.episodes import Array

HORIZON = 12


class Toy(gymnasium.Env[Array, Array]):
    """Rewards closeness to the middle; ends when the point is lost, or by bad luck."""

    observation_space = Box(-np.inf, np.inf, (3,), np.float64)
    action_space = Box(-1.0, 1.0, (2,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin somewhere."""
        super().reset(seed=seed)
        self._place = self.np_random.normal(size=3)
        return self._place.copy(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Push."""
        self._place[:2] += 0.3 * np.asarray(action, np.float64)
        self._place += 0.05 * self.np_random.normal(size=3)
        lost = bool(np.abs(self._place).max() > 3 or self.np_random.random() < 0.05)
        return self._place.copy(), float(2 - np.abs(self._place).sum()), lost, False, {}


if "Toy-v0" not in gymnasium.registry:
    gymnasium.register("Toy-v0", "tests.toy:Toy", max_episode_steps=HORIZON)

ENVIRONMENT = "tests.toy:Toy-v0"


def episodes(count: int = 30) -> Iterator[dict[str, Any]]:
    """Play it, now well and now badly: data for `file/toy`."""
    generator = np.random.default_rng(0)
    for number in range(count):
        toy = Toy()
        seen, _ = toy.reset(seed=number)
        columns: dict[str, list[Any]] = {"observations": [], "actions": [], "rewards": []}
        over = False
        while not over and len(columns["rewards"]) < HORIZON:
            wish = -seen[:2] * (number % 3) + 0.3 * generator.normal(size=2)
            action = np.clip(wish, -1, 1).astype(np.float32)
            columns["observations"].append(seen.astype(np.float32))
            columns["actions"].append(action)
            seen, reward, over, _, _ = toy.step(action)
            columns["rewards"].append(np.float32(reward))
        arrays = {name: np.array(column) for name, column in columns.items()}
        yield {**arrays, "terminated": over}
