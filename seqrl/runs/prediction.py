"""Prediction: how far off models are, step by step, when they say what will be seen; as a table in
one CSV file. Needs neither torch nor a simulator.

Letters: H steps ahead, d dimensions that are drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqrl.episodes import Array
from seqrl.runs.table import write_table


@dataclass(frozen=True, kw_only=True)
class HorizonError:
    """How far off a model is so many steps ahead."""

    model: str
    horizon: int
    error: float
    """Mean over the episodes; of each, over its stretches that reach so far."""
    standard_error: float | None
    """Of that mean, from the episodes; nothing for a single one."""
    stretches: int
    episodes: int


@dataclass(frozen=True, eq=False)
class Example:
    """One stretch, to be drawn."""

    episode: int
    begin: int
    dimensions: tuple[int, ...]
    """Of the observation; d of them."""
    simulated: Array  # [H or fewer, d]
    predicted: Mapping[str, Array]
    """Model -> [H or fewer, d]."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Errors of all models at all horizons, and one stretch."""

    about: Mapping[str, str]
    """What is the same in every row: checkpoint, data, environment, seed, versions, ..."""
    plays: str
    """How the agent plays, in words."""
    episodes: int
    """That were played."""
    windows: Mapping[str, int]
    """Steps that each network was trained on."""
    markov_sha256: str | None
    """Of the Markov model's checkpoint, if there is one."""
    left_out: tuple[int, ...]
    """Dimensions of the observation that hardly vary in the data, and count for nothing."""
    rows: tuple[HorizonError, ...]
    example: Example

    @property
    def shared(self) -> dict[str, str]:
        """What the file says in every row."""
        return {
            **self.about,
            "plays": self.plays,
            "episodes_played": str(self.episodes),
            **{f"{model}_window": str(steps) for model, steps in self.windows.items()},
            "markov_sha256": self.markov_sha256 or "",
            "left_out": " ".join(map(str, self.left_out)),
        }

    @property
    def models(self) -> list[str]:
        """All that were measured, in their order."""
        return list(dict.fromkeys(row.model for row in self.rows))

    def of(self, model: str) -> list[HorizonError]:
        """Return a model's errors, the nearest first."""
        return [row for row in self.rows if row.model == model]


def mean_errors(
    model: str, errors: NDArray[np.float64], episodes: Sequence[int]
) -> list[HorizonError]:
    """Sum up errors [R, H] of stretches; `episodes` says of each which one it is from [R].

    Stretches of one episode resemble each other, so it is the episodes that count. Where an episode
    has ended, errors are nan; at a horizon that none reaches there is nothing to say.
    """
    number, found = np.asarray(episodes), []
    for step in range(errors.shape[1]):
        there = np.isfinite(errors[:, step])
        reached = np.unique(number[there])
        if not len(reached):
            break
        means = [errors[there & (number == one), step].mean() for one in reached]
        spread = np.std(means, ddof=1) / np.sqrt(len(means)) if len(means) > 1 else None
        found.append(
            HorizonError(
                model=model,
                horizon=step + 1,
                error=float(np.mean(means)),
                standard_error=None if spread is None else float(spread),
                stretches=int(there.sum()),
                episodes=len(reached),
            )
        )
    return found


def write_prediction(file: Path, prediction: Prediction) -> None:
    """Put the table in the place of `file`."""
    names = [field.name for field in fields(HorizonError)]
    rows = ([getattr(row, name) for name in names] for row in prediction.rows)
    write_table(file, names, rows, prediction.shared)
