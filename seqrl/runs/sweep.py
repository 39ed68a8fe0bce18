"""Sweep: returns asked for, and what was achieved; as a table in one CSV file.

Every row is one episode and carries all that its numbers must not be told without, so that a row
which has been copied elsewhere still says what it is of. Needs neither torch nor a simulator.
"""

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

from seqrl.errors import DataError, told_plainly
from seqrl.runs.table import write_table
from seqrl.tasks.task import in_percent


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
WHOLE = ("updates", "training_seed", "seed")
"""Columns of whole numbers, or of nothing."""
SHARED = (
    *("agent", "data", "fingerprint", "environment", "imported", "checkpoint_sha256", "precision"),
    *("reference_minimum", "reference_maximum", "episodes", "best_in_data", "mean_in_data"),
    *WHOLE,
)
"""Those of which every row says the same; of versions and of how it plays there may be more."""


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
    with _understood(file, "Name another place with --out, or remove it."):
        found = []
        for line in _lines(file):
            for column, value in begun.shared.items():
                if line[column] != value:
                    raise DataError(
                        f"{file} holds returns of {column} {line[column]}, and these are of "
                        f"{value}: they do not belong into one table. Name another place with "
                        "--out, or remove it."
                    )
            found.append(_row(line))
    # A target of which rows are missing is played again.
    counts = Counter(row.asked for row in found)
    whole = (row for row in found if counts[row.asked] == begun.episodes)
    return begun.with_rows(tuple(whole))


def read_sweep(file: Path) -> Sweep:
    """Read a table of `seqrl targets`, whoever wrote it; one that is not whole is refused."""
    with _understood(file, "Name one that `seqrl targets` has written."):
        lines = _lines(file)
        if not lines:
            raise DataError(f"{file} has no rows. Play some: `seqrl targets CHECKPOINT`.")
        if missing := [name for name in (*OWN, *SHARED) if name not in lines[0]]:
            raise DataError(
                f"{file} is no table of `seqrl targets`: it has no column {', '.join(missing)}."
            )
        shared = {name: cell for name, cell in lines[0].items() if name not in OWN}
        for number, line in enumerate(lines, 2):
            if differ := [name for name, cell in shared.items() if line[name] != cell]:
                raise DataError(
                    f"{file}, line {number}: its {differ[0]} is {line[differ[0]]}, and that of the "
                    f"first row is {shared[differ[0]]}. They are of two tables; read each by "
                    "itself."
                )
        sweep = Sweep(
            episodes=int(shared.pop("episodes")),
            best_in_data=_finite(shared.pop("best_in_data")),
            mean_in_data=_finite(shared.pop("mean_in_data")),
            about=shared,
            rows=tuple(map(_row, lines)),
        )
        for name in WHOLE:
            int(shared[name] or 0)
        _check_scores(sweep)
    for asked in sweep.targets:
        numbers = [row.episode for row in sweep.of(asked)]
        if len(numbers) != sweep.episodes or numbers != [*range(len(numbers))]:
            raise DataError(
                f"{file} should hold {sweep.episodes} episodes of each target, and of {asked:g} it "
                "does not. The command that wrote it plays what is missing."
            )
    return sweep


def _lines(file: Path) -> list[dict[str, str]]:
    with told_plainly(file, "reading a table"):
        text = file.read_text(encoding="utf-8-sig")
    lines = [*csv.DictReader(io.StringIO(text))]
    for number, line in enumerate(lines, 2):
        if None in line:
            raise DataError(f"{file}, line {number} has more fields than the first line names.")
    return lines


def _check_scores(sweep: Sweep) -> None:
    low, high = sweep.about["reference_minimum"], sweep.about["reference_maximum"]
    if low and not float(low) < float(high):
        raise ValueError(f"the reference minimum, {low}, is not below the maximum, {high}")
    for row in sweep.rows:
        worth = in_percent(row.return_, float(low), float(high)) if low else None
        if (worth is None) != (row.score is None) or not math.isclose(
            worth or 0.0, row.score or 0.0, rel_tol=1e-6, abs_tol=1e-6
        ):
            raise ValueError(f"a return of {row.return_:g} is no score of {row.score}")


@contextmanager
def _understood(file: Path, way_out: str) -> Iterator[None]:
    """Say plainly that a file is another table, or none."""
    try:
        yield
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file} is no table of `seqrl targets`: {error!r}. {way_out}") from error


def _row(line: Mapping[str, str]) -> AskedEpisode:
    return AskedEpisode(
        asked=_finite(line["asked"]),
        episode=int(line["episode"]),
        environment_seed=int(line["environment_seed"]),
        return_=_finite(line["return"]),
        score=_finite(line["score"]) if line["score"] else None,
        length=int(line["length"]),
        terminated={"True": True, "False": False}[line["terminated"]],
    )


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"{text} is not a finite number")
    return found
