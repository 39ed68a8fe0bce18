"""A record explained, as plain data: how it was made, what came of it, and what of it is there."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqrl.data.whole import sha256_of
from seqrl.errors import DataError
from seqrl.runs.differences import between, from_defaults
from seqrl.runs.record import RunRecord
from seqrl.runs.records import Found


def explained(found: Found) -> dict[str, Any]:
    """Return all that can be said of a record and of what belongs to it."""
    record, file = found.record, found.file
    settings, unknown = _settings(record)
    metrics = file.with_suffix(".metrics.jsonl")
    return {
        "file": str(file),
        "caption": record.caption(),
        "settings": settings,
        "settings_unknown": unknown,
        "spread": _spread(record),
        "checkpoint": checkpoint_beside(record, file),
        "metrics": {"file": str(metrics), "there": metrics.is_file()},
        "playing_seconds": record.playing_seconds,
        "record": asdict(record),
    }


def _settings(record: RunRecord) -> tuple[list[dict[str, Any]] | None, str]:
    """Return what is not at its default; nothing, and why, if the class is not to be had."""
    try:
        found = from_defaults(record.agent)
    except (Exception, SystemExit) as error:  # it is the user's own code
        return None, f"{error or type(error).__name__}".rstrip(".")
    return [{"field": one.field, "value": one.second, "default": one.first} for one in found], ""


def _spread(record: RunRecord) -> dict[str, Any] | None:
    """Say how the last evaluation's episodes went; nothing where none was played."""
    if not record.evaluations:
        return None
    returns, deviation = record.returns, record.deviation
    reference = record.task["reference"]
    points = None
    if reference and deviation is not None:
        points = 100 * deviation / (reference["maximum"] - reference["minimum"])
    return {
        "episodes": len(returns),
        "score": record.score,
        "score_deviation": points,
        "return": record.mean_return,
        "return_deviation": deviation,
        "least_return": min(returns),
        "most_return": max(returns),
    }


def checkpoint_beside(record: RunRecord, file: Path) -> dict[str, Any] | None:
    """Say where a record's checkpoint should lie, and whether it does."""
    if record.checkpoint is None:
        return None
    place = file.with_suffix(".safetensors")
    state = "missing"
    if place.is_file():
        try:
            own = record.is_of(sha256_of(place))
            state = "there" if own else "another than the record's"
        except DataError as error:
            state = f"unreadable: {error}".rstrip(".")
    return {"file": str(place), "state": state}


def told_apart(first: Found, second: Found) -> dict[str, Any]:
    """Return what two records differ in, and whether that makes two runs of them."""
    return {
        "files": [str(first.file), str(second.file)],
        "hashes": [first.record.hash, second.record.hash],
        "differences": [
            {**asdict(one), "in_hash": one.in_hash} for one in between(first.record, second.record)
        ],
    }
