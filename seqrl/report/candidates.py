"""Candidates: what somebody could choose from after the fact, and what was fixed beforehand.

Of a run that was evaluated several times, its checkpoints: the last is fixed. Of a sweep of
`seqrl targets`, the returns asked for: the one that its record says is fixed; or, where nobody has
the record, the best return in the training data, which most agents are run with.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqrl.errors import DataError, SeqrlError
from seqrl.progress import counted
from seqrl.report.belonging import (
    Kind,
    named,
    refuse_mixed_cell,
    refuse_mixed_column,
    refuse_mixed_data,
)
from seqrl.runs.differences import differences
from seqrl.runs.record import RunRecord
from seqrl.runs.sweep import Sweep
from seqrl.tasks.task import in_percent


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """All candidates of one run, played in the same episodes: episode for episode they begin
    alike."""

    agent: str
    task: str
    """Full data name."""
    seed: int
    """Of the training."""
    of: Literal["checkpoints", "targets"]
    names: tuple[float, ...]
    """After how many updates each was saved; or the returns asked for."""
    fixed: int
    """Which of them was fixed beforehand."""
    rule: str
    """By which it was fixed."""
    values: NDArray[np.float64]
    """[candidates, episodes]: scores, or returns where nobody has said what they are worth."""
    in_returns: bool


# ---- checkpoints ---------------------------------------------------------------------------------


def why_not(record: RunRecord) -> str:
    """Say why nothing can be chosen in a run; nothing if something can."""
    if record.status == "failed":
        return "failed"
    if len(record.evaluations) < 2:
        return "evaluated once (`seqrl bench --times 5` does it along the way)"
    if min(len(one["episodes"]) for one in record.evaluations) < 2:
        return "evaluated in one episode, which has no halves"
    return ""


def checkpoints_of(records: Iterable[RunRecord], told: Collection[Kind] = ()) -> list[Candidates]:
    """Return the checkpoints of each run that has several; what does not belong together is
    refused, as in a table."""
    found = sorted(
        (record for record in records if not why_not(record)),
        key=lambda r: (r.task["name"], r.name, r.seed, r.hash),
    )
    refuse_mixed_data(found, told)
    for _, column in groupby(found, key=lambda record: str(record.task["name"])):
        of_task = [*column]
        refuse_mixed_column(of_task, told)
        for _, cell in groupby(of_task, key=lambda record: record.name):
            refuse_mixed_cell([*cell])
    return [_checkpoints(record) for record in found]


def _checkpoints(record: RunRecord) -> Candidates:
    played = [
        {episode["number"]: episode["return"] for episode in evaluation["episodes"]}
        for evaluation in record.evaluations
    ]
    numbers = sorted(played[0])
    if any(sorted(returns) != numbers for returns in played):
        raise DataError(
            f"{named(record)}: its evaluations are not of the same episodes, so they cannot be "
            "halved alike. Remove its file, and run it again."
        )
    values = np.array([[returns[number] for number in numbers] for returns in played], np.float64)
    if reference := record.task["reference"]:
        values = in_percent(values, reference["minimum"], reference["maximum"])
    return Candidates(
        agent=record.name,
        task=record.task["name"],
        seed=record.seed,
        of="checkpoints",
        names=tuple(evaluation["update"] for evaluation in record.evaluations),
        fixed=len(played) - 1,
        rule="the last checkpoint",
        values=values,
        in_returns=reference is None,
    )


# ---- targets -------------------------------------------------------------------------------------


Swept = tuple[Sweep, Candidates, RunRecord | None]
"""A sweep, what can be chosen in it, and its checkpoint's record, if somebody has it."""


def targets_of(sweeps: Iterable[Sweep], records: Sequence[RunRecord] = ()) -> list[Candidates]:
    """Return the targets of each sweep; `records` may have those of their checkpoints."""
    found: list[Swept] = []
    for sweep in sweeps:
        sha256 = sweep.about["checkpoint_sha256"]
        own = next((record for record in records if record.is_of(sha256)), None)
        found.append((sweep, _targets(sweep, own), own))
    found.sort(key=lambda one: (one[1].task, one[1].agent, one[1].seed))
    for _, column in groupby(found, key=lambda one: one[1].task):
        of_task = [*column]
        _refuse_mixed(of_task, _in_column, "column")
        for _, of_agent in groupby(of_task, key=lambda one: one[1].agent):
            cell = [*of_agent]
            refuse_mixed_cell([own for _, _, own in cell if own])
            _refuse_mixed(cell, _in_cell, "cell")
            _refuse_twice(cell)
    return [candidates for _, candidates, _ in found]


def _targets(sweep: Sweep, record: RunRecord | None) -> Candidates:
    names = sweep.targets
    if len(names) < 2 or sweep.episodes < 2:
        raise SeqrlError(
            f"{_sweep_named(sweep)} has {counted(len(names), 'target')} of "
            f"{counted(sweep.episodes, 'episode')}: to choose honestly takes two of "
            "each. `seqrl targets CHECKPOINT` plays more."
        )
    rows = [sweep.of(name) for name in names]
    in_returns = any(row.score is None for of_one in rows for row in of_one)
    wanted, rule = sweep.best_in_data, "the best return in the data"
    if record and "target_return" in record.facts:
        wanted, rule = record.facts["target_return"], "what it was run with"
    return Candidates(
        agent=record.name if record else sweep.about["agent"],
        task=sweep.about["data"],
        seed=int(sweep.about["training_seed"] or sweep.about["seed"]),
        of="targets",
        names=tuple(names),
        fixed=_place_of(wanted, rule, sweep),
        rule=f"{rule}, {wanted:,.1f}",
        values=np.array(
            [[row.return_ if in_returns else row.score for row in of_one] for of_one in rows],
            np.float64,
        ),
        in_returns=in_returns,
    )


def _place_of(wanted: float, rule: str, sweep: Sweep) -> int:
    """Find the target that was fixed. The nearest would not do: what is between them would be
    counted as gained by choosing."""
    for place, name in enumerate(sweep.targets):
        if math.isclose(name, wanted, rel_tol=1e-9):
            return place
    raise SeqrlError(
        f"{_sweep_named(sweep)} does not ask for {wanted:g}, {rule}, which others are to be "
        f"compared with. `seqrl targets CHECKPOINT --targets {wanted!r}` adds it to the table; or "
        "name the run's record too, if it was run with another target."
    )


OF_A_COLUMN = ("fingerprint", "environment", "reference_minimum", "reference_maximum")
OF_A_CELL = ("agent", "updates", "imported", "precision", "plays")
"""What sweeps must share besides. They may differ in seed and versions, which the caption lists."""


def _in_column(sweep: Sweep, candidates: Candidates) -> dict[str, Any]:
    return {name: sweep.about.get(name, "") for name in OF_A_COLUMN}


def _in_cell(sweep: Sweep, candidates: Candidates) -> dict[str, Any]:
    return {
        **{name: sweep.about.get(name, "") for name in OF_A_CELL},
        "episodes": sweep.episodes,
        "targets": candidates.names,
        "fixed target": candidates.names[candidates.fixed],
    }


def _refuse_mixed(
    several: Sequence[Swept], shared: Callable[[Sweep, Candidates], dict[str, Any]], where: str
) -> None:
    first, fixed, _ = several[0]
    for sweep, candidates, _ in several:
        for one in differences(shared(first, fixed), shared(sweep, candidates)):
            raise SeqrlError(
                f"{_sweep_named(first)} and {_sweep_named(sweep)} do not belong into one {where}: "
                f"they differ in {one.field}, {one.first} and {one.second}. Name one kind of them."
            )


def _refuse_twice(cell: Sequence[Swept]) -> None:
    seen: dict[int, Sweep] = {}
    for sweep, candidates, _ in cell:
        if (other := seen.setdefault(candidates.seed, sweep)) is not sweep:
            raise SeqrlError(
                f"{_sweep_named(other)} and {_sweep_named(sweep)} have one seed, and would count "
                "twice. Name one of them; or, if they are of two agents, their records too."
            )


def _sweep_named(sweep: Sweep) -> str:
    about = sweep.about
    return (
        f"The sweep of {about['agent']} on {about['data']}, seed "
        f"{about['training_seed'] or about['seed']} (checkpoint {about['checkpoint_sha256'][:8]})"
    )
