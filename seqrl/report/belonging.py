"""Belonging: which records may stand in one table, in one column, in one cell.

What does not belong together is refused, and the records that differ are named. What a person says
belongs together all the same is put together, and the caption says so.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal, get_args

from seqrl.errors import SeqrlError, UnknownName
from seqrl.runs.differences import between, differences
from seqrl.runs.record import RunRecord

Kind = Literal["data", "fingerprint", "environment", "protocol", "target"]
"""What records may be told to differ in."""
KINDS: tuple[Kind, ...] = get_args(Kind)

OF_A_COLUMN: dict[str, Kind] = {
    "fingerprint": "fingerprint",
    "environment": "environment",
    "horizon": "environment",
    "environment_settings": "environment",
    "mujoco": "environment",
    "gymnasium": "environment",
    "reference": "environment",
    "protocol": "protocol",
    "target_rule": "target",
}
"""What all records of a column must share, and what has to be told where they do not."""


FEW = 3
"""With so many different returns, none of them a whole number, two runs are not equal by chance."""


def kinds_named(names: Iterable[str]) -> frozenset[Kind]:
    """Return the kinds of differences that a person names."""
    said = {*names}
    found = {kind for kind in KINDS if kind in said}
    if wrong := sorted(said - found):
        raise UnknownName(
            f"Records cannot be told to differ in {', '.join(wrong)}. They can in "
            f"{', '.join(KINDS)}."
        )
    return frozenset(found)


def in_order(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Sort records, so that the order in which they were read changes nothing. A run that failed
    and was then done has one record that counts."""
    found = sorted(records, key=lambda r: (r.name, r.task["name"], r.seed, r.experiment, r.hash))
    if not found:
        raise SeqrlError("There are no records to make a table of. Make some with `seqrl bench`.")
    if all(record.status == "done" for record in found):
        return found
    done = {_run(record) for record in found if record.status == "done"}
    return [r for r in found if r.status == "done" or _run(r) not in done]


def _run(record: RunRecord) -> tuple[str, str, str, int, str]:
    changed = " ".join(record.changed)
    return record.experiment, record.name, record.task["name"], record.seed, changed


def refuse_mixed_data(records: Sequence[RunRecord], told: Collection[Kind]) -> None:
    """Refuse a table of more than one family of data, or of two sets that one short name means."""
    if "data" in told:
        return
    of_short = {_short(record): record for record in reversed(records)}
    for record in records:
        namesake = of_short[_short(record)]
        for other in (records[0], namesake):
            name, another = record.task["name"], other.task["name"]
            if _family(name) != _family(another) or (other is namesake and name != another):
                raise SeqrlError(
                    f"{named(other)} and {named(record)} do not belong into one table: {another} "
                    f"and {name} are different data. Choose one of them, by --task for instance; "
                    "or tell that they may differ in data (--mixed data), for columns of their own."
                )


def in_returns(records: Iterable[RunRecord]) -> frozenset[str]:
    """Return the tasks of which everything is a return, not a score: of some run on them nobody has
    said what returns are worth."""
    return frozenset(one.task["name"] for one in records if one.task["reference"] is None)


def one_kind_of_data(tasks: Sequence[str]) -> bool:
    """Say whether a mean over these tasks is one of different tasks of one family."""
    return len({*map(_family, tasks)}) == 1 and len({*map(_without, tasks)}) == len(tasks)


def differing(records: Sequence[RunRecord]) -> list[Kind]:
    """Return in what records of one table or one column do differ, of what can be told."""
    found: set[Kind] = set()
    if not one_kind_of_data(sorted({record.task["name"] for record in records})):
        found.add("data")
    for task in {record.task["name"] for record in records}:
        column = [record for record in records if record.task["name"] == task]
        asking = [record for record in column if record.facts.get("target_rule")]
        for several, shared in ((column, _column), (asking, _rule)):
            for record in several:
                changed = differences(shared(several[0]), shared(record))
                found |= {OF_A_COLUMN[one.field.partition(".")[0]] for one in changed}
    return sorted(found)


def _short(record: RunRecord) -> str:
    return _without(record.task["name"])


def _without(name: str) -> str:
    """Return a full name without family, version, and what follows it."""
    return re.sub(r"-v\d+$", "", re.split(r"[+@]", name)[0].partition("/")[2])


def _family(name: str) -> str:
    return name.partition("/")[0]


def refuse_mixed_column(records: Sequence[RunRecord], told: Collection[Kind]) -> None:
    """Refuse a column of records that did not meet the same; targets are of those who have one."""
    fields = [field for field, kind in OF_A_COLUMN.items() if kind not in told]
    _refuse(records, lambda record: _pick(_column(record), fields), "column")
    _refuse_two_contents(records)
    if "target" not in told:
        asking = [record for record in records if record.facts.get("target_rule")]
        _refuse(asking, _rule, "column")


def alike(first: float, second: float) -> bool:
    """Say whether two numbers of one content are the same, but for last bits."""
    return math.isclose(first, second, rel_tol=1e-6, abs_tol=1e-6)


def _refuse_two_contents(records: Sequence[RunRecord]) -> None:
    """Refuse records that tell two things of one content, where somebody has seen it."""
    of: dict[str, RunRecord] = {}
    for record in (one for one in records if one.data["fingerprint"]):
        other = of.setdefault(record.data["fingerprint"], record)
        for name in ("episodes", "steps", "best_return", "mean_return"):
            first, second = other.data[name], record.data[name]
            if not alike(first, second):
                raise SeqrlError(
                    f"{named(other)} and {named(record)} were made of the same data, and have of "
                    f"them the {name.replace('_', ' ')} {first:,} and {second:,}: one of them was "
                    "changed afterwards. Remove it, and run it again."
                )


def refuse_mixed_cell(records: Sequence[RunRecord]) -> None:
    """Refuse a cell of records that differ in more than the seed, or that count one seed twice."""
    _refuse(records, _cell, "cell")
    seen: dict[int, RunRecord] = {}
    checkpoints: dict[str, RunRecord] = {}
    played: dict[tuple[float, ...], RunRecord] = {}
    for record in records:
        made = (record.checkpoint or {}).get("sha256", record.hash)
        if (other := checkpoints.setdefault(made, record)).seed != record.seed:
            raise SeqrlError(
                f"{named(other)} and {named(record)} have one checkpoint, which two seeds never "
                "make: one is a copy of the other. Remove it."
            )
        returns = _unlike(record)
        if returns and (other := played.setdefault(returns, record)).seed != record.seed:
            raise SeqrlError(
                f"{named(other)} and {named(record)} have the same returns in all {len(returns)} "
                "episodes, which began otherwise: one is a copy of the other. Remove it."
            )
        if (other := seen.setdefault(record.seed, record)) is not record:
            differ = ", ".join(
                f"{one.field} {one.first} and {one.second}" for one in between(other, record)
            )
            if not differ:
                scores = "equal" if other.evaluations == record.evaluations else "other"
                raise SeqrlError(
                    f"{named(record)} is there twice, with {scores} episodes, in two places. Name "
                    "one of them, or remove one file."
                )
            raise SeqrlError(
                f"{named(other)} and {named(record)} have one seed, and would count twice in one "
                f"cell; they differ in {differ}. Choose one of them, by --experiment "
                "or --changed for instance, or remove the other's file."
            )


def _unlike(record: RunRecord) -> tuple[float, ...]:
    """Return the returns of the last evaluation, if most of them are unlike each other and broken
    numbers: goals reached, or steps stood, may well be those of another seed too."""
    returns = tuple(record.returns)
    broken = {value for value in returns if not float(value).is_integer()}
    return returns if len(broken) >= max(FEW, len(returns) / 2) else ()


def environment_of(record: RunRecord) -> dict[str, Any]:
    """Return what it played in: equal ones, begun alike, are the same for equal actions."""
    return {
        "environment": record.task["environment"],
        "horizon": record.task["horizon"],
        "environment_settings": record.task.get("environment_settings") or {},
        "mujoco": record.versions["mujoco"],
        "gymnasium": record.versions["gymnasium"],
    }


def _column(record: RunRecord) -> dict[str, Any]:
    return {
        "fingerprint": record.data["fingerprint"],
        **environment_of(record),
        "reference": record.task["reference"] or {},
        "protocol": record.identity["protocol"],
    }


def _rule(record: RunRecord) -> dict[str, Any]:
    return {"target_rule": record.facts["target_rule"]}


def _pick(plain: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in plain.items() if name in fields}


def _cell(record: RunRecord) -> dict[str, Any]:
    return {
        "target_rule": record.facts.get("target_rule"),
        "agent": record.agent,
        "code": record.identity.get("code"),
        "checkpoint_rule": record.checkpoint_rule,
        "evaluation": record.identity["evaluation"],
        "training_precision": record.identity["training_precision"],
    }


def _refuse(
    records: Sequence[RunRecord], shared: Callable[[RunRecord], dict[str, Any]], where: str
) -> None:
    for record in records[1:]:
        for one in differences(shared(records[0]), shared(record)):
            kind = OF_A_COLUMN.get(one.field.partition(".")[0]) if where == "column" else None
            way = f", or tell that they may differ in {kind} (--mixed {kind})" if kind else ""
            raise SeqrlError(
                f"{named(records[0])} and {named(record)} do not belong into one {where}: they "
                f"differ in {one.field}, {one.first} and {one.second}. Choose one kind of them, by "
                f"--experiment, --task, --agent or --changed{way}; `seqrl runs HASH HASH` shows "
                "all differences."
            )


def named(record: RunRecord) -> str:
    """Name a record in a sentence."""
    return (
        f"{record.name} on {record.task['name']}, seed {record.seed} (experiment "
        f"{record.experiment}, {record.hash[:8]})"
    )
