"""Does a record contradict itself? Then it stands in no table.

A run writes many things twice, in other words. Whoever changes one of them by hand, copies a run
and calls it another seed, or writes a program that makes records, forgets the other. This finds
slips, not forgery: who changes everything that hangs together is believed.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from seqrl.evaluation import environment_seed
from seqrl.runs.identity import hash_in
from seqrl.runs.record import RunRecord
from seqrl.tasks.task import in_percent

ROUNDED = 0.001
"""Seconds, and updates in a second, are written with a few decimals."""


def contradiction(record: RunRecord) -> str:
    """Say which of two things that a record says cannot be, if it also says the other; nothing of
    most."""
    return next(_contradictions(record), "")


def _contradictions(record: RunRecord) -> Iterator[str]:
    if hash_in(record) != record.hash:
        yield "its hash is not that of what it says of agent, seed and conditions"
    yield from _of_conditions(record)
    yield from _of_data(record)
    if record.status == "done":
        yield from _of_training(record)
    for one, columns in zip(record.evaluations, record.columns, strict=True):
        yield from _of_evaluation(one, columns, record)


def _of_conditions(record: RunRecord) -> Iterator[str]:
    identity = record.identity
    names = {record.task["name"], record.data["name"], identity["data"]}
    if len(names) > 1 or record.data["fingerprint"] != identity["fingerprint"]:
        yield "it names two data sets"
    for name in ("environment", "horizon", "environment_settings"):
        if name in identity and name in record.task and identity[name] != record.task[name]:
            yield f"it names two environments: {name} {record.task[name]} and {identity[name]}"
    for name, version in identity["versions"].items():
        if record.versions.get(name, "").partition("+")[0] != version:
            yield f"it names two versions of {name}"


def _of_data(record: RunRecord) -> Iterator[str]:
    reference, data = record.task["reference"], record.data
    known = [reference["minimum"], reference["maximum"]] if reference else None
    if "reference" in record.identity and record.identity["reference"] != known:
        yield "it names two kinds of reference returns"
    if reference and not _close(_score(data["mean_return"], reference), data["mean_score"]):
        yield "the mean return of its data makes another score than it says"
    mean, best = data["mean_return"], data["best_return"]
    if not 0 < data["episodes"] <= data["steps"] or (mean > best and not _close(mean, best)):
        yield "no data have so many episodes and steps, and such a mean and best return"
    if record.agent["is"].startswith("seqrl."):  # what others' rules mean, they know
        yield from _of_target(record)


def _of_target(record: RunRecord) -> Iterator[str]:
    rule, asked = record.facts.get("target_rule"), record.facts.get("target_return")
    target, best = record.agent.get("target"), record.data["best_return"]
    named = target if isinstance(target, str) else "given"
    if target is not None and rule is not None and rule != named:
        yield f"its agent's target is {target}, and its rule {rule}"
    if rule == "best_in_data" and asked is not None and not _close(asked, best):
        yield f"it asks for the best return in the data, {best:,.3f}, and for {asked:,.3f}"


def _of_training(record: RunRecord) -> Iterator[str]:
    training, evaluations = record.training, record.evaluations
    precision = record.identity["training_precision"]
    if training.get("precision", precision) != precision:
        yield "it names two precisions of training"
    done, seconds, rate = (training[n] for n in ("updates", "seconds", "updates_per_second"))
    slow, fast = (done / max(seconds + by, 1e-9) for by in (ROUNDED, -ROUNDED))
    if not slow - ROUNDED <= rate <= fast + ROUNDED:
        yield f"{done:,} updates in {seconds:,.3f} seconds are not {rate:,.3f} a second"
    updates = [one["update"] for one in evaluations]
    if updates != sorted({*updates}) or updates[0] < 1:
        yield f"it was evaluated after {updates} updates, in this order"
    if not updates[-1] == training["updates"] == record.agent["training"]["updates"]:
        yield f"it was evaluated after {updates[-1]} updates, and trained for another number"
    planned = record.identity["evaluation"].get("times", len(evaluations))
    if len(evaluations) != planned:
        yield f"it has {len(evaluations)} evaluations, and {planned} were planned"


def _of_evaluation(
    one: Mapping[str, Any], columns: Mapping[str, Sequence[Any]], record: RunRecord
) -> Iterator[str]:
    returns, reference = columns["return"], record.task["reference"]
    planned = record.identity["evaluation"]["episodes"]
    if len(returns) != planned or columns["number"] != tuple(range(len(returns))):
        yield f"it has other episodes than the {planned} that were planned"
    if columns["seed"] != _seeds(record.seed, record.task["name"], len(returns)):
        yield f"its episodes did not begin as those of seed {record.seed} do"
    lengths, outside = _known(columns["length"]), _known(columns["outside"])
    horizon = record.task["horizon"]
    if lengths and not 1 <= min(lengths) <= max(lengths) <= horizon:
        yield f"it has episodes of {min(lengths)} to {max(lengths)} steps, of {horizon} at most"
    if min(outside, default=0) < 0:
        yield "it counts fewer than no numbers outside the bins"
    if (one["seconds"] or 0) < 0:
        yield "it was played in less than no time"
    mean = math.fsum(returns) / len(returns)
    if not _close(mean, one["return"]):
        yield f"its episodes have a mean return of {mean:,.3f}, and it says another"
    if reference and not _close(score := _score(mean, reference), one["score"]):
        yield f"its returns make a score of {score:,.3f}, and it says another"


def _known(column: Sequence[int | None]) -> Sequence[int]:
    """Return the numbers of a column; older records may lack some of them."""
    return [value for value in column if value is not None]


@cache
def _seeds(seed: int, task: str, episodes: int) -> Sequence[int]:
    return tuple(environment_seed(seed, task, number) for number in range(episodes))


def _score(mean: float, reference: Mapping[str, Any]) -> float:
    low, high = reference["minimum"], reference["maximum"]
    return float(in_percent(mean, low, high)) if high != low else math.nan


def _close(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-6)
