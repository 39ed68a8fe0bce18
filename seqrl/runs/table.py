"""Tables in CSV files: every row carries all that its numbers must not be told without."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from seqrl.data.whole import replace_file
from seqrl.errors import told_plainly

Cell = str | bool | int | float | None


def write_table(
    file: Path, head: Sequence[str], rows: Iterable[Sequence[Cell]], shared: Mapping[str, str]
) -> None:
    """Put a table in the place of `file`; `shared` are columns that say the same in every row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*head, *shared])
    for row in rows:
        writer.writerow([*map(_written, row), *shared.values()])
    make_room(file)
    with told_plainly(file, "writing a table"):
        replace_file(file, out.getvalue())


def make_room(file: Path) -> None:
    """Make the folder for a table."""
    with told_plainly(file.parent, "making the folder for a table"):
        file.parent.mkdir(parents=True, exist_ok=True)


def _written(cell: Cell) -> str:
    """Write numbers in full: read again, they are the same."""
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else repr(cell)
