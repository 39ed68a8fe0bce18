"""Which records a command is about: places, and what is chosen of them by name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqrl.cli.output import remark

if TYPE_CHECKING:
    from seqrl.report.belonging import Kind
    from seqrl.runs.record import RunRecord

PLACES = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[RECORDS]...",
        help="Results folders, or single records; by default `results`.",
        show_default=False,
    ),
]
EXPERIMENT = Annotated[str | None, typer.Option(help="Only this; * and ? fit anything.")]
TASK = Annotated[
    str | None, typer.Option(help="Only these, by full or short name, e.g. 'hopper-*'.")
]
AGENT = Annotated[str | None, typer.Option(help="Only this, e.g. 'BC*'.")]
CHANGED = Annotated[
    str | None,
    typer.Option(
        help="Only runs in which this was changed of their experiment, e.g. 'times=4'; '' for "
        "those in which nothing was."
    ),
]
SEED = Annotated[int | None, typer.Option(help="Only this.")]
MIXED = Annotated[
    str,
    typer.Option(
        metavar="KIND,...",
        help="Put records together although they differ in data, fingerprint, environment, "
        "protocol or target; the caption says so. Else they are refused.",
    ),
]

SHOWN = 5
"""Files that are left out, and named."""


def records_at(
    places: list[Path] | None,
    *,
    experiment: str | None = None,
    task: str | None = None,
    agent: str | None = None,
    changed: str | None = None,
    seed: int | None = None,
) -> "list[RunRecord]":
    """Read the records of some places, and choose; what cannot be read, or contradicts itself, is
    said, and left out."""
    from seqrl.errors import SeqrlError
    from seqrl.runs.contradiction import contradiction
    from seqrl.runs.records import chosen_from

    named = places or [Path("results")]
    found = chosen_from(named).matching(
        experiment=experiment, task=task, agent=agent, changed=changed, seed=seed
    )
    wrong = {one.file: contradiction(one.record) for one in found.found}
    left_out = [unread.why for unread in found.unread]
    left_out += [f"{file} contradicts itself: {why}." for file, why in wrong.items() if why]
    for why in left_out[:SHOWN]:
        remark(f"{why} It is left out.")
    if len(left_out) > SHOWN:
        remark(f"{len(left_out) - SHOWN:,} more files are left out; of fewer, each would be named.")
    if not found.found:
        raise SeqrlError(
            f"There are no records in {', '.join(map(str, named))}. A results folder has them in a "
            "folder `runs`; `seqrl bench` makes some."
        )
    whole = [one.record for one in found.found if not wrong[one.file]]
    if not whole:
        raise SeqrlError("No record is left.")
    return whole


def kinds_in(text: str) -> "frozenset[Kind]":
    """Return the kinds of differences that `--mixed` names."""
    from seqrl.report.belonging import kinds_named

    return kinds_named(filter(None, (word.strip() for word in text.split(","))))
