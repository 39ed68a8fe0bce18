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
NUMBER = r"[-+\N{MINUS SIGN}]?(?:\d{1,30}(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d\d?)?"
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
    """Read a table in CSV: of each line its number in the file, and its cell; no cell of one
    without a mean. `file` names it in messages."""
    first = text.partition("\n")[0]
    between = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text), strict=True, delimiter=between)
    try:
        heads = [head.strip().lower() for head in reader.fieldnames or ()]
        if twice := [head for head, count in Counter(heads).items() if count > 1 and head]:
            raise DataError(f"{file} has two columns called {', '.join(twice)}: which one counts?")
        names = {name: [h for h in spelt if h in heads] for name, spelt in COLUMNS.items()}
        if missing := [name for name in NEEDED if not names[name]]:
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
            try:
                cell = _cell(row, names, reader.line_num)
            except ValueError as wrong:
                raise DataError(f"{file}, line {reader.line_num}: {wrong}.") from wrong
            yield reader.line_num, cell
    except csv.Error as error:  # the reader below knows of the line that could not be read, too
        line = reader.reader.line_num
        raise DataError(f"{file}, line {line}: this is no CSV: {error}.") from error


def _cell(
    row: Mapping[str, str | None], names: Mapping[str, Sequence[str]], line: int
) -> Reported | None:
    said = {name: _of_one(row, heads) for name, heads in names.items()}
    if not said["mean"]:
        return None
    for name in ("agent", "task"):
        if not said[name]:
            raise ValueError(f"there is no {name}")
    if "/" not in said["task"]:
        said["task"] = re.sub(r"[_ ]", "-", said["task"])
    if spread := re.fullmatch(r"(\S+)\s*(?:±|\+/-|\+-)\s*(\S+)", said["mean"]):
        said["mean"], said["error"] = spread[1], said["error"] or spread[2]
    mean = _number(said["mean"])
    if said["error"] and _number(said["error"]) < 0:
        raise ValueError(f"± {said['error']} is below zero")
    known = sources().get(said["source"], {})
    if known and not COPIED.search(said["notes"]):
        for name in ("seeds", "episodes", "checkpoint", "target", "environment"):
            said[name] = said[name] or known.get(name, "")
        if said["error"]:
            said["error_kind"] = said["error_kind"] or known.get("error", "")
    return Reported(line=line, said=said, mean=mean)


def _of_one(row: Mapping[str, str | None], heads: Sequence[str]) -> str:
    """Return what columns of one meaning say."""
    said = {head: (row.get(head) or "").strip() for head in heads}
    known = {head: text for head, text in said.items() if text and not NOTHING.fullmatch(text)}
    if len({*known.values()}) > 1 and "source" not in known:  # its key, and where it is
        both = " and ".join(f"{head} {text}" for head, text in known.items())
        raise ValueError(f"it has {both}: which one counts?")
    return next(iter(known.values()), "")


def _number(text: str) -> float:
    if not re.fullmatch(NUMBER, text):
        raise ValueError(f"{text} is no number")
    return float(text.replace("\N{MINUS SIGN}", "-"))
