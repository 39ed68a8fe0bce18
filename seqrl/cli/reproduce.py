"""`seqrl reproduce`: does a run give the same numbers again, and if not, what was not as it was?"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqrl.cli.output import one_decimal, say, say_json, say_table, shown_progress
from seqrl.cli.tasks import JSON
from seqrl.progress import counted

if TYPE_CHECKING:
    from seqrl.runs.agreement import Agreement
    from seqrl.runs.record import RunRecord

NOT_EQUAL = 1
"""Status with which it ends when the numbers are not equal."""


def reproduce(
    named: Annotated[
        str,
        typer.Argument(
            metavar="RECORD or HASH",
            help="A record's file, or the first letters of its hash (`seqrl runs` lists them).",
        ),
    ],
    results: Annotated[
        Path,
        typer.Option(
            help="Folder in which a hash is looked for; what is run again lies in `reproduced` "
            "below it, away from what `seqrl runs` counts."
        ),
    ] = Path("results"),
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:1; by default the record's.")
    ] = None,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway",
            help="Run it even where data, environment or protocol are others, and the numbers "
            "cannot be equal.",
        ),
    ] = False,
    as_json: JSON = False,
) -> None:
    """Run again what a record says, and say whether the numbers are equal.

    The same agent, data, seed, evaluation, precision and number of CPU threads: every episode's
    return and length and every weight are compared, bit for bit. If they are not equal, it says
    which of the recorded conditions is not as it was, and what that can move: another version, GPU
    or kind of CPU, other data, edited code.

    A failed run is asked whether it fails again. An agent of your own must be found from where you
    are. Killed and started again, by the same command, it goes on where it was; what was run again
    before is compared at once. The old checkpoint need not be there.

    Ends with status 0 if all is equal, 1 if not, 2 if it could not be asked.
    """
    from seqrl.runs.finding import is_file, record_at, records_below
    from seqrl.runs.reproduction import reproduce as reproduced

    found = record_at(named, None if is_file(Path(named)) else records_below(results))
    with shown_progress() as progress:
        agreed = reproduced(
            found,
            results=results / "reproduced",
            device=device,
            anyway=anyway,
            progress=progress,
        )
    if as_json:
        say_json(_plain(agreed))
    else:
        _say(agreed)
    if not agreed.equal:
        raise typer.Exit(NOT_EQUAL)


def _plain(agreed: "Agreement") -> dict[str, Any]:
    records = {"then": agreed.then, "now": agreed.now}
    return {
        "equal": agreed.equal,
        "verdict": verdict(agreed),
        "episodes": agreed.episodes,
        "differing": agreed.differing,
        "largest_difference": agreed.largest,
        "weights": asdict(agreed.weights) if agreed.weights else None,
        "without_weights": agreed.without_weights,
        "conditions": [{**asdict(one), "in_hash": one.in_hash} for one in agreed.conditions],
        "changed_by_hand": not agreed.whole,
        **{
            when: {
                "file": str(found.file),
                "status": found.record.status,
                "hash": found.record.hash,
                "score": found.record.score,
                "return": found.record.mean_return,
                "written": found.record.written,
                "error": found.record.error,
            }
            for when, found in records.items()
        },
    }


def _say(agreed: "Agreement") -> None:
    say(verdict(agreed))
    if not agreed.whole:
        say("The record was changed by hand: its hash is not that of what stands in it.")
    if agreed.conditions:
        rows = [
            (one.field, str(one.first), str(one.second), one.in_hash, one.moves)
            for one in agreed.conditions
        ]
        say_table(
            ["differs", "then", "now", "in the hash", "can move"],
            [[*row, "yes" if hashed else "no", moves] for *row, hashed, moves in rows],
        )
    elif agreed.equal:
        say("No recorded condition differs.")
    else:
        say(
            "No recorded condition differs. What no record knows of: numbers changed by hand, the "
            "code of an environment of your own, seqrl's own code under one version, and on a GPU "
            "the order of sums."
        )
    for when, found in (("then", agreed.then), ("now", agreed.now)):
        said = found.record.written[:16].replace("T", " ")
        say(f"  {when:<5} {found.file}, written {said} (UTC)")


def verdict(agreed: "Agreement") -> str:
    """Say in a line whether a run came to the same again."""
    from seqrl.runs.agreement import reason

    then, now = agreed.then.record, agreed.now.record
    if then.status == "failed" and now.status == "failed":
        if agreed.equal:
            return f"equal: it fails again: {reason(now)}"
        return f"not equal: it fails again, otherwise: {reason(then)} then, {reason(now)} now"
    if now.status == "failed":
        return f"not equal: {_mean(then)} then; now it fails: {reason(now)}"
    if then.status == "failed":
        return f"not equal: it failed then ({reason(then)}), and now it does not: {_mean(now)}"
    return _of_numbers(agreed)


def _of_numbers(agreed: "Agreement") -> str:
    weights, returns = agreed.weights, counted(agreed.episodes, "return")
    if agreed.equal:
        if weights:
            return f"equal: all {returns} and all weights, bit for bit"
        return (
            f"equal: all {returns}, bit for bit; weights were not compared: "
            f"{agreed.without_weights}"
        )
    parts = []
    if agreed.differing:
        by = f", their returns by at most {agreed.largest:.2g}" if agreed.largest else ""
        parts.append(f"{agreed.differing} of {counted(agreed.episodes, 'episode')} differ{by}")
    if weights and weights.differing:
        parts.append(
            f"{weights.differing} of {counted(weights.tensors, 'array')} of weights differ, by at "
            f"most {weights.largest:.2g}"
        )
    if not agreed.differing:
        parts.append(f"all {returns} are equal")
    then, now = agreed.then.record, agreed.now.record
    return f"not equal: {'; '.join(parts)}; {_mean(then)} then, {_mean(now, False)} now"


def _mean(record: "RunRecord", with_name: bool = True) -> str:
    value, name = record.score, "score"
    if value is None:
        value, name = record.mean_return or 0.0, "return"
    return f"{name} {one_decimal(value)}" if with_name else one_decimal(value)
