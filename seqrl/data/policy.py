"""Behaviour policies: SAC actors as plain arrays, evaluated to the same bits on every machine.

A matrix product of a numerical library adds in an order that depends on the processor. Here sums
are added one term after the other, each operation rounded on its own, in float64; and the action is
rounded to a multiple of 2^-16, which float32 holds exactly, so that a last-bit difference in tanh
or exp does not reach the simulator.

Letters: L rows, h layer width, a action width.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seqrl.errors import DataError, told_plainly

Float64 = NDArray[np.float64]

GRID = 2.0**-16
"""Actions are multiples of this, and so are the stored log-probabilities."""

FOLDER = Path(__file__).with_name("policies")
"""The shipped actors: `<body>/<training steps>.safetensors`."""

LAYERS = ("hidden_1", "hidden_2", "mean", "log_deviation")


def shipped(name: str) -> "Policy":
    """Return a shipped actor by name, `hopper/0330000`; uniformly random actions for no name."""
    return ActorPolicy.load(FOLDER / f"{name}.safetensors") if name else UniformPolicy()


class Policy(Protocol):
    """Acts on single observations of many rows, with noise drawn by the caller."""

    def noise(self, generator: np.random.Generator, steps: int, width: int) -> Float64:
        """Draw all the noise of one episode [steps, a]."""

    def act(self, observations: NDArray[np.float32], noise: Float64) -> tuple[Float64, Float64]:
        """Return actions [L, a] and the log density of each [L]."""


@dataclass(frozen=True)
class UniformPolicy:
    """Uniformly random actions in [-1, 1]: D4RL's `random` sets."""

    def noise(self, generator: np.random.Generator, steps: int, width: int) -> Float64:
        """Draw all the noise of one episode [steps, a]."""
        return generator.uniform(-1.0, 1.0, (steps, width))

    def act(self, observations: NDArray[np.float32], noise: Float64) -> tuple[Float64, Float64]:
        """Return the noise itself, on the grid."""
        return on_grid(noise), on_grid(np.full(len(noise), -noise.shape[1] * np.log(2.0)))


@dataclass(frozen=True, eq=False)
class ActorPolicy:
    """A SAC actor: two ReLU layers, a Gaussian over pre-actions, tanh; actions are sampled."""

    weights: dict[str, tuple[Float64, Float64]]
    """For each of `LAYERS`: kernel [in, out] and bias [out]."""

    @classmethod
    def load(cls, file: Path) -> "ActorPolicy":
        """Read a shipped actor."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            with told_plainly(file, "reading a behaviour policy"):
                found = load(file.read_bytes())
            return cls(
                {
                    layer: (
                        found[f"{layer}.kernel"].astype(np.float64),
                        found[f"{layer}.bias"].astype(np.float64),
                    )
                    for layer in LAYERS
                }
            )
        except (SafetensorError, KeyError) as error:
            raise DataError(f"{file} is not a behaviour policy of seqrl: {error}.") from error

    @cached_property
    def _heads(self) -> tuple[Float64, Float64]:
        """Mean and log deviation read the same layer: one product for both."""
        mean, deviation = self.weights["mean"], self.weights["log_deviation"]
        return np.hstack([mean[0], deviation[0]]), np.hstack([mean[1], deviation[1]])

    def noise(self, generator: np.random.Generator, steps: int, width: int) -> Float64:
        """Draw all the noise of one episode [steps, a]."""
        return generator.standard_normal((steps, width))

    def act(self, observations: NDArray[np.float32], noise: Float64) -> tuple[Float64, Float64]:
        """Sample: mean + deviation * noise, squashed."""
        x = observations.astype(np.float64)
        x = np.maximum(in_order(x, *self.weights["hidden_1"]), 0.0)
        x = np.maximum(in_order(x, *self.weights["hidden_2"]), 0.0)
        mean, log_deviation = np.split(in_order(x, *self._heads), 2, axis=1)
        log_deviation = np.clip(log_deviation, -20.0, 2.0)
        before = mean + np.exp(log_deviation) * noise
        gaussian = -0.5 * noise**2 - log_deviation - 0.5 * np.log(2.0 * np.pi)
        # log(1 - tanh(x)^2), written so that it stays exact where tanh is 1 in floating point
        stretch = 2.0 * (np.log(2.0) - before - np.logaddexp(0.0, -2.0 * before))
        return on_grid(np.tanh(before)), on_grid((gaussian - stretch).sum(axis=1))


def in_order(x: Float64, kernel: Float64, bias: Float64) -> Float64:
    """Return x @ kernel + bias, each sum added term by term from the first input to the last."""
    total = np.zeros((len(x), kernel.shape[1]))
    term = np.empty_like(total)
    for column, row in zip(np.ascontiguousarray(x.T)[:, :, None], kernel, strict=True):
        np.multiply(column, row, out=term)
        np.add(total, term, out=total)
    return total + bias


def on_grid(values: Float64) -> Float64:
    """Round to the nearest multiple of `GRID`."""
    return np.round(values / GRID) * GRID
