"""Audit: which cells of anybody's table cannot be compared with others of their column, and why.

A column is one task, whatever the version of its data. Three things are kept apart: what is known
to differ, what is not said, and what is only to be remembered.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from seqrl.errors import DataError
from seqrl.progress import counted
from seqrl.report.claims import (
    AN_INTERVAL,
    DELAYED,
    LAST,
    OF_SEEDS,
    ONLINE,
    OVER_EPISODES,
    OVER_SEEDS,
    TUNED,
    Choice,
    chosen,
    environment_in,
    simulator_in,
)
from seqrl.report.published import COPIED
from seqrl.report.reported import VARIANTS, Reported, reported
from seqrl.tasks.d4rl import BODIES

Weight = Literal["differs", "not said", "remember"]
Who = tuple[str, str]
"""Source and agent."""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a cell stands apart."""

    weight: Weight
    key: str
    said: str


@dataclass(frozen=True, kw_only=True)
class Audited(Reported):
    """A cell, and what stands against comparing it."""

    reasons: tuple[Reason, ...]

    @property
    def verdict(self) -> Weight | Literal["comparable"]:
        """The worst of its reasons, but for what is only to be remembered."""
        weights = {reason.weight for reason in self.reasons}
        return next((w for w in ("differs", "not said") if w in weights), "comparable")


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What an audit comes to."""

    cells: Sequence[Audited]
    """Column by column."""
    without_number: Sequence[int]
    """Lines of the file of which nothing can be said, as of runs that failed."""


def audit(text: str, file: str) -> Audit:
    """Judge every cell of a table in CSV; `file` names it in messages."""
    read = dict(reported(text, file))
    cells = [cell for cell in read.values() if cell]
    if not cells:
        raise DataError(f"{file} has no cell with a number.")
    columns: dict[str, list[Reported]] = {}
    for cell in cells:
        columns.setdefault(cell.column, []).append(cell)
    in_shares = _in_shares(cells)
    return Audit(
        cells=[judged for column in columns.values() for judged in _judged(column, in_shares)],
        without_number=[line for line, cell in read.items() if cell is None],
    )


def _judged(column: Sequence[Reported], in_shares: Mapping[Who, int]) -> Iterator[Audited]:
    """Judge the cells of one column, each by itself and among the others."""
    found = {
        what: Counter(value for cell in column if (value := of(cell)))
        for what, of in COMPARED.items()
    }
    sizes = sorted(abs(cell.mean) for cell in column)
    of_one: dict[Who, list[Reported]] = {}
    for cell in column:
        of_one.setdefault(_who(cell), []).append(cell)
    for cell in column:
        reasons = [*_by_itself(cell)]
        for what, of in COMPARED.items():
            if (own := of(cell)) and (others := _against(own, found[what])):
                said = f"its {what} is {own}; {others}"
                reasons.append(Reason(weight="differs", key=what, said=said))
        reasons += _scale(cell, sizes, in_shares)
        if again := next((other for other in of_one[_who(cell)] if other is not cell), None):
            where = f"line {again.line} is of the same agent, {again.mean:g}"
            reasons.append(Reason(weight="remember", key="twice", said=where))
        yield Audited(line=cell.line, said=cell.said, mean=cell.mean, reasons=tuple(reasons))


def _against(own: str, counts: Counter[str]) -> str:
    """Say what others have; nothing to those who are of the larger half, or all alike."""
    if len(counts) < 2:
        return ""
    usual, count = counts.most_common(1)[0]
    if 2 * count > counts.total():
        return f"most here have {usual}" if own != usual else ""
    return f"here are also {', '.join(sorted(counts.keys() - {own}))}"


def _data(cell: Reported) -> str:
    task = cell.said["task"].lower()
    return task.removeprefix("d4rl/").replace("|", "+") if _versioned(task) else ""


def _versioned(task: str) -> bool:
    return bool(re.search(r"-v\d+(?:$|[+@|])", task)) or task.startswith("file/")


COMPARED: Mapping[str, Callable[[Reported], str]] = {
    "data": _data,
    "environment": lambda cell: environment_in(cell.said["environment"], cell.body),
    "simulator": lambda cell: simulator_in(cell.said["environment"]),
    "fingerprint": lambda cell: cell.said["fingerprint"],
    "protocol": lambda cell: cell.said["protocol"],
    "target rule": lambda cell: cell.said["target"] if cell.said["protocol"] else "",
    "unit": lambda cell: "return" if "return" in cell.said["unit"].lower() else "score",
}
"""What all cells of a column must share, where it is known."""


def _by_itself(cell: Reported) -> Iterator[Reason]:
    said = cell.said
    if COPIED.search(said["notes"]):
        yield Reason(
            weight="differs",
            key="copied",
            said="it was copied from elsewhere, not run by its source",
        )
    for what in get_args(Choice):
        if by := chosen(what, said[what], said["notes"]):
            why = f"its {what} was chosen by the score ({by})"
            yield Reason(weight="differs", key=what, said=why)
    if OF_SEEDS.search(f"{said['seeds']}; {said['notes']}"):
        yield Reason(weight="differs", key="seeds", said="its seeds were chosen by their scores")
    if ONLINE.search(f"{said['agent']}; {said['notes']}"):
        yield Reason(weight="differs", key="online", said="it learned online too, as it says")
    of_steps = cell.body in BODIES and not VARIANTS.search(said["task"])
    if of_steps and DELAYED.search(said["notes"]):
        late = "its rewards do not come step by step, as it says"
        yield Reason(weight="differs", key="reward", said=late)
    unknown = {
        "data": not _versioned(said["task"]) and "the version of its data",
        "environment": not said["environment"] and "its environment and simulator",
        "checkpoint": not said["checkpoint"]
        and not LAST.search(said["notes"])
        and not chosen("checkpoint", said["checkpoint"], said["notes"])
        and "whether its checkpoint is the last",
        "seeds": not said["seeds"] and "how many seeds it is of",
    }
    for key, what in unknown.items():
        if what:
            yield Reason(weight="not said", key=key, said=f"{what} is not said")
    if TUNED.search(f"{said['target']}; {said['notes']}"):
        tuned = "its settings were chosen for each task"
        yield Reason(weight="remember", key="tuned", said=tuned)
    yield from _of_error(said)


def _of_error(said: Mapping[str, str]) -> Iterator[Reason]:
    seeds = re.match(r"\d{1,9}", said["seeds"])
    if seeds and int(seeds[0]) < 3:
        few = f"it is of {counted(int(seeds[0]), 'seed')}"
        yield Reason(weight="remember", key="few seeds", said=few)
    if not said["error"]:
        yield Reason(weight="remember", key="error", said="it has no ±")
    elif OVER_EPISODES.search(said["error_kind"]):
        kind = f"its ± is of episodes, or an error of the mean ({said['error_kind']})"
        yield Reason(weight="remember", key="error", said=kind)
    elif AN_INTERVAL.search(said["error_kind"]):
        kind = f"its ± is an interval, no deviation ({said['error_kind']})"
        yield Reason(weight="remember", key="error", said=kind)
    elif not OVER_SEEDS.search(said["error_kind"]):
        kind = f" ({said['error_kind']})" if said["error_kind"] else ""
        unsaid = f"whether its ± is over seeds, or over episodes, is not said{kind}"
        yield Reason(weight="remember", key="error", said=unsaid)


def _in_shares(cells: Sequence[Reported]) -> dict[Who, int]:
    """Return whose scores all lie between 0 and 1, and are not all 0; and how many they are."""
    of: dict[Who, list[float]] = {}
    for cell in cells:
        of.setdefault(_who(cell), []).append(cell.mean)
    return {
        who: len(means)
        for who, means in of.items()
        if max(means) > 0 and -0.5 < min(means) <= max(means) <= 1.5
    }


def _who(cell: Reported) -> Who:
    return cell.said["source"], cell.said["agent"]


def _scale(
    cell: Reported, sizes: Sequence[float], in_shares: Mapping[Who, int]
) -> Iterator[Reason]:
    """Find numbers on another scale: shares of 1 among percent, and raw returns. One small number
    alone may as well be a bad score. `sizes` of the column are in order."""
    if "return" in cell.said["unit"].lower():
        return
    place, half = bisect_left(sizes, abs(cell.mean)), (len(sizes) - 1) // 2
    others_middle = half if half < place else half + 1  # of all without this one
    middle = sizes[others_middle] if len(sizes) > 1 else 0.0
    if (number := in_shares.get(_who(cell), 0)) and middle > 15:
        said = f"{cell.mean:g} looks like a share of 1 among percent"
        yield Reason(weight="differs" if number > 1 else "remember", key="scale", said=said)
    elif abs(cell.mean) > 250 > middle and cell.body in BODIES:
        said = f"{cell.mean:g} looks like a return, not a score"
        yield Reason(weight="differs", key="scale", said=said)
