"""Small data for tests, made up: shapes like Hopper's, content random."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from seqrl.episodes import Array

WIDTH, ACTIONS = 11, 3


def layout(
    lengths: tuple[int, ...] = (5, 3, 7),
    *,
    tail: int = 0,
    seed: int = 0,
    width: int = WIDTH,
    actions: int = ACTIONS,
) -> dict[str, Array]:
    """Columns in D4RL's layout: episodes of these lengths, odd ones timed out; then a tail."""
    generator = np.random.default_rng(seed)
    steps = sum(lengths) + tail
    ends = np.cumsum(lengths) - 1
    terminals, timeouts = np.zeros((2, steps), bool)
    terminals[ends[::2]] = True
    timeouts[ends[1::2]] = True
    return {
        "observations": generator.standard_normal((steps, width)).astype(np.float32),
        "actions": generator.uniform(-1, 1, (steps, actions)).astype(np.float32),
        "rewards": generator.standard_normal(steps).astype(np.float32),
        "next_observations": generator.standard_normal((steps, width)).astype(np.float32),
        "terminals": terminals,
        "timeouts": timeouts,
    }


def write_hdf5(file: Path, columns: dict[str, Any]) -> Path:
    """Write columns as D4RL does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as out:
        for key, column in columns.items():
            out.create_dataset(key, data=column)
    return file


def write_npz(file: Path, columns: dict[str, Any]) -> Path:
    """Write columns as .npz."""
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **columns)
    return file
