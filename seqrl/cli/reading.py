"""Which records a command is about: places, and what is chosen of them by name."""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqrl.cli.output import remark

if TYPE_CHECKING:
    from seqrl.report.belonging import Kind
    from seqrl.runs.record import RunRecord
    from seqrl.runs.records import Found

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
) -> "tuple[list[RunRecord], int]":
    """Read the records of some places, and choose; and say how many files were left out, as they
    cannot be read or contradict themselves. Those are named."""
    from seqrl.errors import SeqrlError
    from seqrl.runs.finding import chosen_from

    named = places or [Path("results")]
    gc.disable()  # a thousand records are a million objects, none of which is garbage
    try:
        there = chosen_from(named)
        gc.freeze()
    finally:
        gc.enable()
    found = there.matching(
        experiment=experiment, task=task, agent=agent, changed=changed, seed=seed
    )
    left_out = [unread.why for unread in found.unread]
    for why in left_out[:SHOWN]:
        remark(f"{why} It is left out.")
    if len(left_out) > SHOWN:
        remark(
            f"{len(left_out) - SHOWN:,} more files are left out, which `seqrl runs --json` names."
        )
    if not found.found:
        elsewhere = sorted(str(near) for place in named for near in _near(place))
        raise SeqrlError(
            f"There are no records{' left' if left_out else ''} in {', '.join(map(str, named))}. "
            + (
                f"A results folder has a folder `runs` in it: {', '.join(elsewhere[:SHOWN])}?"
                if elsewhere
                else "A results folder has them in a folder `runs`; `seqrl bench` makes some."
            )
        )
    _refuse_twice(found.found)
    return [one.record for one in found.found], len(left_out)


def _refuse_twice(found: "Sequence[Found]") -> None:
    """Refuse one run in two files, which would count twice, and name them."""
    from seqrl.errors import SeqrlError
    from seqrl.report.belonging import named

    seen: dict[tuple[str, str, str], Path] = {}
    for one in found:
        record = one.record
        other = seen.setdefault((record.hash, record.name, record.status), one.file)
        if other != one.file:
            raise SeqrlError(
                f"{named(record)} is there twice: {other} and {one.file}. Name one of them, choose "
                "one by --experiment for instance, or remove one."
            )


def _near(place: Path) -> list[Path]:
    """Return results folders that somebody may have meant by another."""
    if place.name == "runs":
        return [place.parent]
    return [runs.parent for runs in place.glob("*/runs")]


def kinds_in(text: str) -> "frozenset[Kind]":
    """Return the kinds of differences that `--mixed` names."""
    from seqrl.report.belonging import kinds_named

    return kinds_named(filter(None, (word.strip() for word in text.split(","))))
