"""`seqrl selection`: what choosing a checkpoint or a target after the fact would have added."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqrl.cli.output import remark, say, say_json, say_table
from seqrl.cli.reading import AGENT, CHANGED, EXPERIMENT, MIXED, SEED, TASK, kinds_in, records_at
from seqrl.cli.tasks import JSON

if TYPE_CHECKING:
    from seqrl.report.selection import Selection
    from seqrl.runs.record import RunRecord

PLACES = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[RECORDS or TARGETS.csv]...",
        help="Results folders, single records, tables of `seqrl targets`; by default `results`.",
        show_default=False,
    ),
]


def selection(
    places: PLACES = None,
    experiment: EXPERIMENT = None,
    task: TASK = None,
    agent: AGENT = None,
    changed: CHANGED = None,
    seed: SEED = None,
    mixed: MIXED = "",
    as_json: JSON = False,
) -> None:
    """Say what the best of all checkpoints, or of all targets, would have added to a score; how
    much of that is an illusion, as the best was lucky too; and what an honest choice adds: chosen
    by one half of the episodes, scored by the other. The last checkpoint and the one target that
    was fixed beforehand stay the headline.

    Checkpoints are those of runs that were evaluated several times (`seqrl bench --times 5`). Of a
    table of targets, the fixed one is what its run's record says, if that is named too; else the
    best return in the data. The options choose among records.

    seqrl selection results runs/*-targets.csv
    """
    from seqrl.report.candidates import checkpoints_of, targets_of, why_not
    from seqrl.report.captions import caption
    from seqrl.report.figures import caption_of
    from seqrl.report.selection import selection_block, selections
    from seqrl.runs.sweep import read_sweep

    named = places or []
    tables = [place for place in named if place.suffix == ".csv"]
    records: list[RunRecord] = []
    unread = 0
    if len(tables) < len(named) or not named:
        others = [place for place in named if place not in tables]
        records, unread = records_at(
            others, experiment=experiment, task=task, agent=agent, changed=changed, seed=seed
        )
    sweeps = [read_sweep(table) for table in dict.fromkeys(tables)]
    candidates = checkpoints_of(records, kinds_in(mixed)) + targets_of(sweeps, records)
    left_out = Counter(why for record in records if (why := why_not(record)))
    if not candidates:
        _refuse(left_out)
    found = selections(candidates)
    block = selection_block(found)
    chosen_in = [record for record in records if not why_not(record)]
    captions = [*([caption(chosen_in, unread)] if chosen_in else []), *map(caption_of, sweeps)]
    told = [line for text in captions for line in text.split("\n")]
    fixed = [_fixed(one) for one in found]
    if as_json:
        say_json(
            {
                "selections": [_plain(one) for one in found],
                "left_out": dict(left_out),
                "notes": [*block.notes, *fixed],
                "caption": told,
            }
        )
        return
    say_table(block.head, block.rows, right=range(2, len(block.head)))
    for why, count in left_out.items():
        remark(f"left out: {_runs(count, why)}.")
    say("\n".join(["", *block.notes, *dict.fromkeys(fixed), "", *told]))


def _refuse(left_out: Counter[str]) -> None:
    from seqrl.errors import SeqrlError

    why = "; ".join(_runs(count, why) for why, count in left_out.items())
    raise SeqrlError(
        f"There is nothing to choose from: {why}. Several checkpoints "
        "come from `seqrl bench --times 5`, several targets from `seqrl targets CHECKPOINT`."
    )


def _runs(count: int, why: str) -> str:
    return f"{count:,} {'run' if count == 1 else 'runs'} {why}"


def _fixed(found: "Selection") -> str:
    about = found.candidates
    if about.of == "checkpoints":
        return "Of checkpoints the last is fixed."
    return f"Of the targets of {about.agent} on {about.task} the fixed one is {about.rule}."


def _plain(found: "Selection") -> dict[str, Any]:
    from dataclasses import asdict

    from seqrl.report.selection import MEASURES

    about = found.candidates
    means: dict[str, dict[str, Any]] = {}
    for name, what in MEASURES.items():
        sample = found.over_seeds(what)
        means[name.replace(" ", "_")] = {"mean": sample.mean, "deviation": sample.deviation}
    return {
        "agent": about.agent,
        "task": about.task,
        "in": "returns" if about.in_returns else "scores",
        "of": about.of,
        "candidates": about.names,
        "fixed": about.names[about.fixed],
        "rule": about.rule,
        "episodes": about.values.shape[1],
        "n": len(found.choices),
        "seeds": {seed: asdict(one) for seed, one in found.choices.items()},
        "over_seeds": means,
    }
