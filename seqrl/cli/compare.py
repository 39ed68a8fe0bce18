"""`seqrl compare`: what does another way to act change, with the same weights?"""

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from seqrl.cli.output import one_decimal, say, say_json, say_table, shown_progress
from seqrl.cli.play import CHECKPOINT, SEED
from seqrl.cli.run import DEVICE, THREADS
from seqrl.cli.tasks import JSON
from seqrl.progress import counted

if TYPE_CHECKING:
    from seqrl.runs.comparison import Comparison
    from seqrl.tasks.task import Task


def compare(
    checkpoint: CHECKPOINT,
    settings: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Change how the agent acts, e.g. search.window=full, replan_every=3 or "
            "target=1800; as often as you like.",
        ),
    ],
    episodes: Annotated[int, typer.Option(help="To play in each way.", min=1)] = 20,
    seed: SEED = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File for the episodes, .jsonl; by default beside the checkpoint."),
    ] = None,
    device: DEVICE = "auto",
    threads: THREADS = None,
    as_json: JSON = False,
) -> None:
    """Play a checkpoint on the same episodes twice: as it was run, and acting in another way.

    The difference is taken episode by episode. Killed and started again, by the same command, it
    goes on with the episodes that are missing. Needs no data.
    """
    from seqrl.runs.comparison import compare as compared
    from seqrl.runs.origin import Origin, loaded

    policy = loaded(checkpoint, device=device, threads=threads)
    origin = Origin.of(checkpoint, policy, seed)
    file = out or checkpoint.with_name(f"{checkpoint.stem}-compare.jsonl")
    with shown_progress() as progress:
        found = compared(policy, origin, settings, episodes=episodes, file=file, progress=progress)
    if as_json:
        say_json({**_plain(found, policy.task), "file": str(file)})
        return
    _say(found, policy.task)
    say(f"  episodes  {file}")


def _plain(found: "Comparison", task: "Task") -> dict[str, object]:
    from dataclasses import asdict

    return {
        **asdict(found),
        "difference": found.mean,
        "standard_error": found.standard_error,
        "score_difference": _points(found.mean, task),
        "better": found.better,
        "worse": found.worse,
    }


def _points(difference: float, task: "Task") -> float | None:
    """Return a difference of returns as one of scores."""
    after, before = task.scored(difference), task.scored(0.0)
    return None if after is None or before is None else after - before


def _say(found: "Comparison", task: "Task") -> None:
    sides = {"as it was run": found.as_run, " ".join(found.changed.changes): found.changed}
    rows = []
    for name, side in sides.items():
        score = task.scored(side.mean)
        shown = "-" if score is None else one_decimal(score)
        rows.append([name, one_decimal(side.mean), shown, one_decimal(fmean(side.lengths))])
    say_table(["", "return", "score", "steps"], rows, right=(1, 2, 3))
    count, error = len(found.differences), found.standard_error

    def with_error(value: float, its_error: float | None) -> str:
        return one_decimal(value) + ("" if its_error is None else f" ± {one_decimal(its_error)}")

    points = _points(found.mean, task)
    in_points = (
        ""
        if points is None
        else f" ({with_error(points, None if error is None else _points(error, task))} of score)"
    )
    what = "mean" if error is None else "mean and standard error"
    say(
        f"Changed minus as it was run: {with_error(found.mean, error)} of return{in_points}; "
        f"{what} of {counted(count, 'pair')}; more in {found.better}, less in {found.worse}, "
        f"the same in {count - found.better - found.worse}.\n"
        "It says nothing of other trainings: this is one checkpoint."
    )
    for name, side in sides.items():
        say(f"  {name}: {side.origin.caption(counted(count, 'episode'))}")
