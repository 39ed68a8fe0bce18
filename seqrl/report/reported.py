"""Reported cells: the numbers of anybody's table, and all that is said of each.

Of sources that we know, see `published`, what a row does not say is looked up. Plain text in.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from seqrl.errors import DataError
from seqrl.report.claims import NOTHING
from seqrl.report.published import COPIED, sources

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "agent": ("agent",),
    "task": ("task",),
    "mean": ("mean",),
    "error": ("error", "sd"),
    "error_kind": ("error_kind",),
    "seeds": ("n_seeds", "n"),
    "episodes": ("episodes",),
    "environment": ("environment",),
    "checkpoint": ("checkpoint", "checkpoint_rule"),
    "target": ("target", "target_rule"),
    "fingerprint": ("fingerprint",),
    "protocol": ("protocol",),
    "unit": ("unit",),
    "source": ("source_key", "source"),
    "notes": ("notes",),
}
"""What may be said of a cell, and what its column may be called: as in published.csv, and ours."""
NEEDED = ("agent", "task", "mean")
VARIANTS = re.compile(r"[+|]")
"""What stands between a task and what makes another one of it."""


@dataclass(frozen=True, kw_only=True)
class Reported:
    """One cell of somebody's table."""

    line: int
    """Of the file."""
    said: Mapping[str, str]
    """What is known of it, by the names of `COLUMNS`; empty where nothing is."""
    mean: float

    @property
    def column(self) -> str:
        """The task, without family, version and `@` part of its data. What is said behind + or | is
        another task: reward at the end only, another scale."""
        name, *variants = VARIANTS.split(re.sub(r"@[^+|]*", "", self.said["task"].lower()))
        short = re.sub(r"-v\d+$", "", name.partition("/")[2] if "/" in name else name)
        return "+".join([short, *sorted(variants)])

    @property
    def body(self) -> str:
        """The first word of the task."""
        return self.column.partition("-")[0]


def reported(text: str, file: str) -> Iterator[tuple[int, Reported | None]]:
    """Read a table in CSV line by line; nothing of one without a number. `file` names it in
    messages."""
    first = text.partition("\n")[0]
    between = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text), strict=True, delimiter=between)
    try:
        heads = [head.strip().lower() for head in reader.fieldnames or ()]
        if twice := [head for head, count in Counter(heads).items() if count > 1 and head]:
            raise DataError(f"{file} has two columns called {', '.join(twice)}: which one counts?")
        names = {name: _found(heads, spelt) for name, spelt in COLUMNS.items()}
        if missing := [name for name in NEEDED if names[name] is None]:
            raise DataError(
                f"{file} has no column {', '.join(missing)}. A table to audit is CSV with one row "
                f"a cell and the columns {', '.join(NEEDED)}; it may also have "
                f"{', '.join(COLUMNS[name][0] for name in COLUMNS if name not in NEEDED)}."
            )
        reader.fieldnames = heads
        for row in reader:
            if any(row.get(None) or ()):
                raise DataError(
                    f"{file}, line {reader.line_num} has more fields than the first line names."
                )
            yield reader.line_num, _cell(row, names, reader.line_num, file)
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: this is no CSV: {error}.") from error


def _found(heads: Sequence[str], spelt: Sequence[str]) -> str | None:
    return next((name for name in spelt if name in heads), None)


def _cell(
    row: Mapping[str, str | None], names: Mapping[str, str | None], line: int, file: str
) -> Reported | None:
    said = {name: (row.get(head) or "").strip() if head else "" for name, head in names.items()}
    said |= {name: "" for name, value in said.items() if NOTHING.fullmatch(value)}
    if not said["mean"]:
        return None
    for name in ("agent", "task"):
        if not said[name]:
            raise DataError(f"{file}, line {line}: there is no {name}.")
    if "/" not in said["task"]:
        said["task"] = re.sub(r"[_ ]", "-", said["task"])
    if spread := re.fullmatch(r"(\S+)\s*(?:±|\+/-|\+-)\s*(\S+)", said["mean"]):
        said["mean"], said["error"] = spread[1], said["error"] or spread[2]
    try:
        mean = float(said["mean"])
        error = float(said["error"] or 0)
    except ValueError as wrong:
        raise DataError(f"{file}, line {line}: {wrong}.") from wrong
    if not abs(mean) + abs(error) < float("inf"):
        raise DataError(
            f"{file}, line {line}: {said['mean']} ± {said['error']} is no finite number."
        )
    known = sources().get(said["source"], {})
    if known and not COPIED.search(said["notes"]):
        for name in ("seeds", "episodes", "checkpoint", "target", "environment"):
            said[name] = said[name] or known.get(name, "")
        if said["error"]:
            said["error_kind"] = said["error_kind"] or known.get("error", "")
    return Reported(line=line, said=said, mean=mean)
