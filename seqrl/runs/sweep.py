"""Sweep: returns asked for, and what was achieved; as a table in one CSV file.

Every row is one episode and carries all that its numbers must not be told without, so that a row
which has been copied elsewhere still says what it is of. Needs neither torch nor a simulator.
"""

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from seqrl.errors import DataError, told_plainly
from seqrl.runs.table import write_table


@dataclass(frozen=True, kw_only=True)
class AskedEpisode:
    """One episode, played while asking for a return."""

    asked: float
    episode: int
    environment_seed: int
    return_: float
    score: float | None
    length: int
    terminated: bool


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """All episodes of one checkpoint, target by target."""

    about: Mapping[str, str]
    """What is the same in every row: checkpoint, data, environment, seed, versions, ..."""
    episodes: int
    """Of each target."""
    best_in_data: float
    mean_in_data: float
    rows: tuple[AskedEpisode, ...] = ()

    @property
    def targets(self) -> list[float]:
        """The returns asked for, in rising order."""
        return sorted({row.asked for row in self.rows})

    def of(self, asked: float) -> tuple[AskedEpisode, ...]:
        """Return the episodes of one target, in their order."""
        found = (row for row in self.rows if row.asked == asked)
        return tuple(sorted(found, key=lambda row: row.episode))

    def with_rows(self, rows: tuple[AskedEpisode, ...]) -> "Sweep":
        """Return the sweep with more episodes in it."""
        return replace(self, rows=self.rows + rows)

    @property
    def shared(self) -> dict[str, str]:
        """What the file says in every row."""
        return {
            **self.about,
            "episodes": str(self.episodes),
            "best_in_data": repr(self.best_in_data),
            "mean_in_data": repr(self.mean_in_data),
        }


OWN = tuple(field.name.rstrip("_") for field in fields(AskedEpisode))
"""The columns in which rows differ."""


def write_sweep(file: Path, sweep: Sweep) -> None:
    """Put a sweep in the place of `file`."""
    names = [field.name for field in fields(AskedEpisode)]
    rows = (
        [getattr(row, name) for name in names] for asked in sweep.targets for row in sweep.of(asked)
    )
    write_table(file, OWN, rows, sweep.shared)


def take_up(file: Path, begun: Sweep) -> Sweep:
    """Return `begun` with the whole targets that `file` holds; other numbers are refused."""
    if not file.exists():
        return begun
    with told_plainly(file, "reading a table"):
        text = file.read_text()
    try:
        found = [_row(line, begun.shared, file) for line in csv.DictReader(io.StringIO(text))]
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{file} is no table of `seqrl targets`: {error!r}. Name another place with --out, or "
            "remove it."
        ) from error
    # A target of which rows are missing is played again.
    counts = Counter(row.asked for row in found)
    whole = (row for row in found if counts[row.asked] == begun.episodes)
    return begun.with_rows(tuple(whole))


def _row(line: Mapping[str, str], shared: Mapping[str, str], file: Path) -> AskedEpisode:
    for column, value in shared.items():
        if line[column] != value:
            raise DataError(
                f"{file} holds returns of {column} {line[column]}, and these are of {value}: they "
                "do not belong into one table. Name another place with --out, or remove it."
            )
    return AskedEpisode(
        asked=float(line["asked"]),
        episode=int(line["episode"]),
        environment_seed=int(line["environment_seed"]),
        return_=float(line["return"]),
        score=float(line["score"]) if line["score"] else None,
        length=int(line["length"]),
        terminated={"True": True, "False": False}[line["terminated"]],
    )
