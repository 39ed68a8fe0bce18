"""What a data set is like: counts, returns, lengths, as plain data; and what is published of the
official one."""

from typing import Any

import numpy as np

from seqrl.data.behaviours import SETS, why_local
from seqrl.data.cache import Prepared
from seqrl.episodes import Episodes
from seqrl.tasks.d4rl import ENTRIES, Facts
from seqrl.tasks.task import Task

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def describe(known: Prepared, episodes: Episodes) -> dict[str, Any]:
    """Return everything that `seqrl data info` says of a prepared data set."""
    task = known.task
    return {
        "name": episodes.name,
        "episodes": len(episodes),
        "steps": episodes.steps,
        "collected_steps": known.steps + known.cut_off_steps,
        "cut_off_steps": known.cut_off_steps,
        "return": _spread(episodes.returns),
        "score": _spread(np.array([task.score(r) for r in episodes.returns]))
        if task.reference
        else None,
        "length": _spread(episodes.lengths.astype(float)),
        "ends": {
            "terminated": int(episodes.terminated.sum()),
            "timed_out": int(episodes.timed_out.sum()),
            "cut_off": len(episodes) - int((episodes.terminated | episodes.timed_out).sum()),
        },
        "longest_beyond_horizon": int((episodes.lengths > episodes.horizon).sum()),
        "environment": task.environment,
        "horizon": task.horizon,
        "reference": vars(task.reference) if task.reference else None,
        "columns": {
            name: f"{column.dtype} {list(column.shape)}"
            for name, column in episodes.columns.items()
        },
        "fingerprint": episodes.fingerprint,
        "why_local": why_local(known),
        "provenance": known.provenance,
        "official": official(task),
    }


def _spread(values: Any) -> dict[str, Any]:
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
        "quantiles": {
            f"{q:g}": float(v)
            for q, v in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)
        },
    }


def official(task: Task) -> dict[str, Any] | None:
    """Return what is published of the official set of that quality; nothing if there is none."""
    entry = task.name.partition("+")[0]
    name = SETS[entry].official if entry in SETS else entry
    if name not in ENTRIES:
        return None
    facts = ENTRIES[name].facts
    return {"name": name, "facts": _as_spread(facts, task) if facts else None}


def _as_spread(facts: Facts, task: Task) -> dict[str, Any]:
    return {
        "episodes": facts.episodes,
        "steps": facts.steps,
        "return": {
            "mean": facts.mean,
            "std": facts.deviation,
            "min": facts.minimum,
            "max": facts.maximum,
        },
        "score": {"mean": task.score(facts.mean)},
        "length": {"mean": facts.steps / facts.episodes}
        if facts.steps and facts.episodes
        else None,
        "source": facts.source,
    }
