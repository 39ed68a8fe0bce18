"""Audit: which cells of anybody's table cannot be compared with others of their column, and why.

A column is one task, whatever the version of its data. Three things are kept apart: what is known
to differ, what is not said, and what is only to be remembered. Of sources that we know, see
`published`, what a row does not say is looked up. Plain text in, plain text out.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from seqrl.errors import DataError
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

CHOSEN = re.compile(r"\b(?:best|better|highest|max(?:imum)?)\b", re.IGNORECASE)
NOT_CHOSEN = re.compile(r"best_in_data|best return in the data", re.IGNORECASE)
OVER_EPISODES = re.compile(r"rollout|episode|trajector|standard error|\bSEM?\b", re.IGNORECASE)
OVER_SEEDS = re.compile(r"over (?:\d+ )?(?:seeds|runs)", re.IGNORECASE)

Weight = Literal["differs", "not said", "remember"]


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a cell stands apart."""

    weight: Weight
    key: str
    said: str


@dataclass(frozen=True, kw_only=True)
class Audited:
    """One cell of somebody's table."""

    line: int
    """Of the file."""
    said: Mapping[str, str]
    """What is known of it, by the names of `COLUMNS`; empty where nothing is."""
    mean: float
    reasons: tuple[Reason, ...] = ()

    @property
    def column(self) -> str:
        """The task, without family and version; with reward at an episode's end it is another."""
        name, *variants = re.split(r"[+@|]", self.said["task"])
        short = re.sub(r"-v\d+$", "", name.partition("/")[2] if "/" in name else name)
        return short + ("+delayed" if "delayed" in variants else "")

    @property
    def verdict(self) -> Weight | Literal["comparable"]:
        """The worst of its reasons, but for what is only to be remembered."""
        weights = {reason.weight for reason in self.reasons}
        return next((w for w in ("differs", "not said") if w in weights), "comparable")


def audit(text: str, file: str) -> list[Audited]:
    """Judge every cell of a table in CSV; `file` names it in messages."""
    cells = list(_read(text, file))
    columns: dict[str, list[Audited]] = {}
    for cell in cells:
        columns.setdefault(cell.column, []).append(cell)
    return [judged for column in columns.values() for judged in _judged(column)]


# ---- reading -------------------------------------------------------------------------------------


def _read(text: str, file: str) -> Iterator[Audited]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        heads = [head.strip() for head in reader.fieldnames or ()]
        names = {name: _found(heads, spelt) for name, spelt in COLUMNS.items()}
        if missing := [name for name in NEEDED if names[name] is None]:
            raise DataError(
                f"{file} has no column {', '.join(missing)}. A table to audit is CSV with one row "
                f"a cell and the columns {', '.join(NEEDED)}; it may also have "
                f"{', '.join(COLUMNS[name][0] for name in COLUMNS if name not in NEEDED)}."
            )
        reader.fieldnames = heads
        found = [_cell(row, names, reader.line_num, file) for row in reader]
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: this is no CSV: {error}.") from error
    if not any(found):
        raise DataError(f"{file} has no cell with a number.")
    yield from filter(None, found)


def _found(heads: Sequence[str], spelt: Sequence[str]) -> str | None:
    return next((name for name in spelt if name in heads), None)


def _cell(
    row: Mapping[str, str | None], names: Mapping[str, str | None], line: int, file: str
) -> Audited | None:
    said = {name: (row.get(head) or "").strip() if head else "" for name, head in names.items()}
    if not said["mean"]:
        return None  # a cell without a number, as of a run that failed
    for name in ("agent", "task"):
        if not said[name]:
            raise DataError(f"{file}, line {line}: there is no {name}.")
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
    return Audited(line=line, said=said, mean=mean)


# ---- judging -------------------------------------------------------------------------------------


def _judged(column: Sequence[Audited]) -> Iterator[Audited]:
    """Judge the cells of one column, each by itself and among the others."""
    usual = {
        what: _most([value for cell in column if (value := of(cell))])
        for what, of in COMPARED.items()
    }
    for cell in column:
        reasons = [*_by_itself(cell)]
        for what, of in COMPARED.items():
            own, others = of(cell), usual[what]
            if own and others and own != others:
                said = f"its {what} is {own}; most here have {others}"
                reasons.append(Reason(weight="differs", key=what, said=said))
        reasons += _scale(cell, column)
        yield replace(cell, reasons=tuple(reasons))


def _most(values: Sequence[str]) -> str:
    """Return what most have; of equally many, the first."""
    return Counter(values).most_common(1)[0][0] if values else ""


def _data(cell: Audited) -> str:
    task = cell.said["task"]
    return task.removeprefix("d4rl/").replace("|", "+") if _versioned(task) else ""


def _versioned(task: str) -> bool:
    return bool(re.search(r"-v\d+(?:$|[+@|])", task)) or task.startswith("file/")


def _environment(cell: Audited) -> str:
    """Return an environment's id; what is said in sentences cannot be compared."""
    said = cell.said["environment"]
    return said if re.fullmatch(r"[\w/:]+-v\d+", said) else ""


def _chosen(cell: Audited, what: Literal["checkpoint", "target"]) -> bool:
    """Say whether it was chosen by its score; notes that name a target speak of that."""
    notes = [
        note for note in cell.said["notes"].split(";") if ("target" in note) == (what == "target")
    ]
    said = " ".join([cell.said[what], *notes])
    return bool(CHOSEN.search(NOT_CHOSEN.sub("", said)))


def _checkpoint(cell: Audited) -> str:
    if _chosen(cell, "checkpoint"):
        return "one chosen by its score"
    return "fixed beforehand" if cell.said["checkpoint"] else ""


COMPARED: Mapping[str, Callable[[Audited], str]] = {
    "data": _data,
    "environment": _environment,
    "checkpoint": _checkpoint,
    "fingerprint": lambda cell: cell.said["fingerprint"],
    "protocol": lambda cell: cell.said["protocol"],
    "unit": lambda cell: cell.said["unit"],
}
"""What all cells of a column must share, where it is known."""


def _by_itself(cell: Audited) -> Iterator[Reason]:
    said = cell.said
    if COPIED.search(said["notes"]):
        yield Reason(
            weight="differs",
            key="copied",
            said="it was copied from elsewhere, not run by its source",
        )
    if _chosen(cell, "target"):
        yield Reason(
            weight="differs",
            key="target",
            said=f"its target was chosen by the score ({said['target'] or said['notes']})",
        )
    unknown = {
        "data": not _versioned(said["task"]) and "the version of its data",
        "environment": not said["environment"] and "its environment and simulator",
        "checkpoint": not said["checkpoint"]
        and not _chosen(cell, "checkpoint")
        and "whether its checkpoint is the last",
        "seeds": not said["seeds"] and "how many seeds it is of",
    }
    for key, what in unknown.items():
        if what:
            yield Reason(weight="not said", key=key, said=f"{what} is not said")
    yield from _of_error(said)


def _of_error(said: Mapping[str, str]) -> Iterator[Reason]:
    seeds = re.match(r"\d+", said["seeds"])
    if seeds and int(seeds[0]) < 3:
        few = f"it is of {seeds[0]} seed{'s' if int(seeds[0]) > 1 else ''}"
        yield Reason(weight="remember", key="few seeds", said=few)
    if not said["error"]:
        yield Reason(weight="remember", key="error", said="it has no ±")
    elif OVER_EPISODES.search(said["error_kind"]):
        kind = f"its ± is of episodes, or an error of the mean ({said['error_kind']})"
        yield Reason(weight="remember", key="error", said=kind)
    elif not OVER_SEEDS.search(said["error_kind"]):
        yield Reason(weight="remember", key="error", said="what its ± is, is not said")


def _scale(cell: Audited, column: Sequence[Audited]) -> Iterator[Reason]:
    """Find numbers on another scale: shares of 1 among percent, and raw returns."""
    others = sorted(abs(other.mean) for other in column if other is not cell)
    middle = others[len(others) // 2] if others else 0.0
    if abs(cell.mean) <= 1.5 and middle > 15:
        said = f"{cell.mean:g} looks like a share of 1 among percent"
        yield Reason(weight="differs", key="scale", said=said)
    elif abs(cell.mean) > 250 and cell.said["unit"] != "return":
        said = f"{cell.mean:g} looks like a return, not a score"
        yield Reason(weight="differs", key="scale", said=said)
