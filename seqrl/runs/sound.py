"""Is a record what a record must be? What is damaged or newer is told, before anybody counts it."""

import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from seqrl.errors import DataError
from seqrl.runs.record import PLAYED, PROTOCOL, RunRecord, no_name, read_record

Inside = Mapping[str, Any]

NEEDED: Mapping[str, Mapping[str, Any]] = {
    "agent": {"is": str, "training": Inside},
    "identity": {
        "data": str,
        "fingerprint": str,
        "environment": str,
        "evaluation": Inside,
        "training_precision": str,
        "versions": Mapping[str, str],
    },
    "identity.versions": {"torch": str, "gymnasium": str, "mujoco": str},
    "task": {"name": str, "environment": str, "horizon": int, "reference": Inside | None},
    "data": {
        "name": str,
        "fingerprint": str,
        "episodes": int,
        "steps": int,
        "best_return": float,
        "mean_return": float,
        "mean_score": float | None,
    },
    "agent.training": {"updates": int},
    "identity.evaluation": {"episodes": int, "precision": str},
    "versions": {"seqrl": str, "torch": str, "gymnasium": str, "mujoco": str},
}
"""What every record tells, done or failed, and as what."""

EVALUATION: Mapping[str, Any] = {
    "return": float,
    "score": float | None,
    "seconds": float | None,
    "episodes": Sequence[Inside],
    "update": int,
}
REFERENCE = {"minimum": float, "maximum": float}
TRAINING = {"updates": int, "seconds": float, "updates_per_second": float}
CHECKPOINT = {"sha256": str}
RECORD = get_type_hints(RunRecord)

LARGEST = 1e100
"""A number beyond that is none, and neither is its square."""

DAMAGED = "is not a whole record of seqrl: {}. Remove it, and run it again."


def read_sound(file: Path) -> RunRecord:
    """Read a record that can be counted; of another the error says what is wrong with it."""
    try:
        record = read_record(file)
        problem = _problem(record)
    except (RecursionError, OverflowError) as error:
        problem = DAMAGED.format(error)
    if problem:
        raise DataError(f"{file} {problem}")
    return record


def _problem(record: RunRecord) -> str:
    """Say what is wrong; nothing if nothing is."""
    identity: Any = record.identity
    protocol = identity.get("protocol") if isinstance(identity, dict) else None
    if type(protocol) is not int or protocol < 1:
        return (
            f"has the protocol number {protocol!r}, which is none: this seqrl knows 1 to "
            f"{PROTOCOL}. Remove it, and run it again."
        )
    if protocol > PROTOCOL:  # before anything else, which may have another shape there
        return (
            f"was written by a newer seqrl (protocol {protocol}; this one knows up to {PROTOCOL}). "
            "Update seqrl; nothing of it is read."
        )
    for name in _lacking(vars(record), RECORD):
        return DAMAGED.format(f"{name} is not what it should be")
    for place, lacking in _all_lacking(record):
        return DAMAGED.format(f"{place}.{lacking} is not what it should be")
    for text in (record.name, record.experiment, record.task["name"]):
        if why := no_name(text):
            return DAMAGED.format(why)
    if record.status == "done" and not (record.evaluations and record.checkpoint):
        return DAMAGED.format("it is done, and has no evaluation or no checkpoint")
    if (reference := record.task["reference"]) and not reference["minimum"] < reference["maximum"]:
        return DAMAGED.format("the reference minimum is not below the maximum")
    scores = [record.data["mean_score"], *(one["score"] for one in record.evaluations)]
    if any((score is None) == bool(record.task["reference"]) for score in scores):
        return DAMAGED.format("there are scores where there is no reference, or the reverse")
    if not all(one["episodes"] for one in record.evaluations):
        return DAMAGED.format("an evaluation has no episodes")
    if not _is(float | None)(record.facts.get("target_return")):
        return DAMAGED.format("facts.target_return is not what it should be")
    if record.status == "done" and min(record.training[name] for name in TRAINING) <= 0:
        return DAMAGED.format("it is done, and has not been trained")
    return ""


def _all_lacking(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Name what is not there, or is of another kind, from the outside to the inside."""
    for place, needed in NEEDED.items():
        inner: Any = vars(record)
        for name in place.split("."):
            inner = inner[name]
        yield from ((place, name) for name in _lacking(inner, needed))
    if reference := record.task["reference"]:
        yield from (("task.reference", name) for name in _lacking(reference, REFERENCE))
    if record.status == "done" or record.training:
        yield from (("training", name) for name in _lacking(record.training, TRAINING))
    if record.checkpoint is not None:
        yield from (("checkpoint", name) for name in _lacking(record.checkpoint, CHECKPOINT))
    for evaluation in record.evaluations:
        yield from (("evaluations", name) for name in _lacking(evaluation, EVALUATION))
    for columns in record.columns:
        yield from (("episodes", name) for name in _wrong_columns(columns))


def _wrong_columns(columns: Mapping[str, Sequence[Any]]) -> list[str]:
    """Name the fields of episodes that are not what they should be."""
    wrong = [name for name, kinds in PLAYED.items() if not {*map(type, columns[name])} <= kinds]
    returns = [] if wrong else columns["return"]
    if not (math.isfinite(sum(returns)) and max(map(abs, returns), default=0) < LARGEST):
        wrong.append("return")
    return wrong


def _lacking(plain: Mapping[str, Any], needed: Mapping[str, Any]) -> list[str]:
    return [
        name for name, kind in needed.items() if name not in plain or not _is(kind)(plain[name])
    ]


@cache
def _is(kind: Any) -> Callable[[Any], bool]:
    """Return what says whether a value that JSON gave is of a kind."""
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if kind is Any:
        return lambda value: True
    if origin in (Union, types.UnionType):
        either = [_is(one) for one in inner]
        return lambda value: any(fits(value) for fits in either)
    if origin is Literal:
        return lambda value: value in inner
    if kind == Sequence[Inside]:  # there are very many
        return lambda value: isinstance(value, list) and {*map(type, value)} <= {dict}
    if origin is Sequence:
        item = _is(inner[0])
        return lambda value: isinstance(value, list) and all(map(item, value))
    if origin is Mapping and inner[1] is Any:
        return lambda value: isinstance(value, dict)
    if origin is Mapping:
        item = _is(inner[1])
        return lambda value: isinstance(value, dict) and all(map(item, value.values()))
    if kind is float:
        return lambda value: type(value) in (int, float) and -LARGEST < value < LARGEST
    return lambda value: type(value) is kind
