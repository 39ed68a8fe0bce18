"""The records of some places as a table for notebooks."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqrl.progress import visible
from seqrl.runs.finding import chosen_from
from seqrl.runs.records import Found

if TYPE_CHECKING:
    import pandas

_log = logging.getLogger(__name__)

COLUMNS = (
    "experiment", "task", "agent", "kind", "seed", "status", "score", "return", "return_sd",
    "episodes", "updates", "environment", "fingerprint", "protocol", "target_rule",
    "target_return", "training_seconds", "evaluation_seconds", "updates_per_second", "processor",
    "device", "threads", "changed", "hash", "written", "error", "file",
)  # fmt: skip
"""What `read_records` says of every run, besides a column for each package's version."""


def read_records(*places: Path | str) -> "pandas.DataFrame":
    """Return one row a run, of results folders or single records; by default of `results`.

    What could not be read is a warning, and no row.
    """
    import pandas

    there = chosen_from(map(Path, places or ("results",)))
    for one in there.unread:
        _log.warning("%s", visible(one.why))
    if not there.found:
        _log.warning("There is no record that could be read.")
    rows = [_row(one) for one in there.found]
    versions = [name for row in rows for name in row if name not in COLUMNS]
    return pandas.DataFrame(rows, columns=[*COLUMNS, *dict.fromkeys(versions)])


def _row(found: Found) -> dict[str, Any]:
    record, nan = found.record, float("nan")
    return {
        **record.versions,  # before the others, which none of them may replace
        "experiment": record.experiment,
        "task": record.task["name"],
        "agent": record.name,
        "kind": record.kind,
        "seed": record.seed,
        "status": record.status,
        "score": nan if record.score is None else record.score,
        "return": nan if record.mean_return is None else record.mean_return,
        "return_sd": nan if record.deviation is None else record.deviation,
        "episodes": len(record.returns),
        "updates": record.training.get("updates", nan),
        "environment": record.task["environment"],
        "fingerprint": record.data["fingerprint"],
        "protocol": record.identity["protocol"],
        "target_rule": record.facts.get("target_rule"),
        "target_return": record.facts.get("target_return", nan),
        "training_seconds": record.training.get("seconds", nan),
        "evaluation_seconds": nan if record.playing_seconds is None else record.playing_seconds,
        "updates_per_second": record.training.get("updates_per_second", nan),
        "processor": record.machine.get("processor"),
        "device": record.machine.get("device"),
        "threads": record.machine.get("threads"),
        "changed": " ".join(record.changed),
        "hash": record.hash,
        "written": record.written,
        "error": record.error,
        "file": str(found.file),
    }
