"""Real runs, seed by seed: ten Decision Transformers on each of nine tasks, published by d3rlpy.

What statistics are tried on, see `simulation`: few publish more than a mean.
"""

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).with_name("d3rlpy_dt_per_seed.csv")
SOURCE = (
    "Seno, Imai: d3rlpy (JMLR 2022); its repository takuseno/d3rlpy-benchmarks, "
    "d4rl/dt/*/environment.csv: D4RL v2 data, 10 seeds, evaluated 100 times in 10 episodes"
)

Which = Literal["final", "best", "mean_last10"]
"""Of the 100 evaluations of a run: the last, the best one, the mean of the last ten."""


@cache
def per_seed(which: Which = "final") -> Mapping[str, NDArray[np.float64]]:
    """Return for each task the scores of its seeds."""
    found: dict[str, list[float]] = {}
    with FILE.open(newline="") as rows:
        for row in csv.DictReader(rows):
            found.setdefault(row["task"], []).append(float(row[f"{which}_normalized"]))
    return {task: np.array(scores) for task, scores in found.items()}
