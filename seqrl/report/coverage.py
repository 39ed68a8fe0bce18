"""Coverage: how often each kind of interval holds the truth, as it was measured.

An interval that says 95 percent may hold the truth far less often where seeds are few. So none is
printed of which that was not measured, at just so many seeds and tasks; and what was measured is
printed beside it. `make coverage` measures, see `simulation`; coverage.csv is what it found.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from seqrl.progress import ranges

FILE = Path(__file__).with_name("coverage.csv")

Kind = Literal["t", "paired t", "IQM", "median", "optimality gap", "profile", "improvement"]
"""Student's interval of one mean, and of a paired difference; the stratified bootstrap's of the
others."""
Population = Literal["normal", "real"]
"""Whose truth is known: normal scores; or the ten seeds of each of nine tasks, see `per_seed`."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How often one kind of interval held the truth."""

    kind: Kind
    seeds: int
    tasks: int
    population: Population
    covered: float
    """Share of all simulated experiments."""
    experiments: int


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Of one kind of interval, at one number of seeds and tasks."""

    normal: float
    real: float
    """Of two agents: both are drawn from the same runs, so that what is skewed falls out."""
    least: float
    """On real runs too: of two agents only one scatters, which leaves the interval of one mean."""

    def __str__(self) -> str:
        """Say it as a caption does."""
        said = f"{100 * self.normal:.0f}% on normal data, {100 * self.real:.0f}% on real runs"
        if self.least == self.real:
            return said
        return f"{said} where both agents scatter alike, {100 * self.least:.0f}% where one does"


@cache
def _all() -> dict[tuple[str, int, int, str], float]:
    with FILE.open(newline="") as rows:
        return {
            (row["kind"], int(row["seeds"]), int(row["tasks"]), row["population"]): float(
                row["covered"]
            )
            for row in csv.DictReader(rows)
        }


@cache
def coverage_of(kind: Kind, seeds: int, tasks: int = 1) -> Coverage | None:
    """Return what was measured; nothing where nothing was."""
    normal, real = (
        _all().get((kind, seeds, tasks, population)) for population in get_args(Population)
    )
    if normal is None or real is None:
        return None
    alone = coverage_of("t", seeds, tasks) if kind == "paired t" else None
    return Coverage(normal=normal, real=real, least=min(real, alone.real) if alone else real)


def measured_for(kind: Kind) -> str:
    """Say at which numbers of seeds and tasks it was measured."""
    seeds, tasks = zip(*((key[1], key[2]) for key in _all() if key[0] == kind), strict=True)
    return f"{ranges(seeds)} seeds of up to {max(tasks)} tasks"


def in_words(measured: Iterable[Measured]) -> str:
    """Write a file of them."""
    head = "kind,seeds,tasks,population,covered,experiments\n"
    return head + "".join(
        f"{one.kind},{one.seeds},{one.tasks},{one.population},{one.covered:.4f},{one.experiments}\n"
        for one in measured
    )
