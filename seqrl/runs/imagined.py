"""Imagined: what a planning agent believed it would see, beside what it then saw; as a table too.

Needs neither torch nor a simulator.

Letters: T steps of the episode, H steps of a plan, o observation width.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqrl.runs.table import Cell, write_table
from seqrl.tasks.poses import Poses

Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """What one decision believed would come."""

    step: int
    """At which it was made."""
    imagined: Float64
    """From that step on, up to an imagined end of the episode [H, o]."""
    ends: bool
    """Whether it imagined the episode's end behind that."""
    bodies: tuple[Poses, Poses] | None
    """As imagined and as they then were, as long as the episode lasted; nothing where observations
    tell of no body in a plane."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Imagined:
    """One episode, and some plans that were made in it."""

    about: Mapping[str, str]
    """What is the same in every row: checkpoint, data, environment, seed, versions, ..."""
    caption: str
    """The same in a sentence."""
    names: tuple[str, ...]
    """Of the numbers of an observation [o]."""
    meanings: tuple[str, ...]
    """What each is, where that is known; else its name again [o]."""
    simulated: Float64
    """What was seen in truth [T + 1, o]."""
    plans: tuple[Plan, ...]


COLUMNS = ("planned_at", "step", "dimension", "imagined", "simulated")


def write_imagined(file: Path, imagined: Imagined) -> None:
    """Put the plans, and what came, in the place of `file`."""
    write_table(file, COLUMNS, _rows(imagined), imagined.about)


def _rows(imagined: Imagined) -> Iterator[list[Cell]]:
    for plan in imagined.plans:
        for step, believed in enumerate(plan.imagined.tolist(), plan.step):
            over = step >= len(imagined.simulated)
            came = [None] * len(believed) if over else imagined.simulated[step].tolist()
            for name, one, other in zip(imagined.names, believed, came, strict=True):
                yield [plan.step, step, name, one, other]
