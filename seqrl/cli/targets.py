"""`seqrl targets`: does an agent get the return that it is asked for?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqrl.cli.output import one_decimal, say, say_json, say_table, shown_progress
from seqrl.cli.play import CHECKPOINT, SEED
from seqrl.cli.run import DEVICE, THREADS
from seqrl.cli.tasks import JSON

if TYPE_CHECKING:
    from seqrl.report.following import Achieved, Estimate, Following
    from seqrl.runs.sweep import Sweep

OUT = Annotated[
    Path | None,
    typer.Option(help="Folder, or file without ending; by default beside the checkpoint."),
]


def targets(
    checkpoint: CHECKPOINT,
    targets: Annotated[
        str | None,
        typer.Option(help="Returns to ask for: 0,500,1000; else --points of them, evenly spaced."),
    ] = None,
    points: Annotated[
        int,
        typer.Option(
            help="How many, from a random policy's return to half as much again as the best in the "
            "training data. With 4, 7, 10 or 13 that best is one of them.",
            min=2,
        ),
    ] = 10,
    episodes: Annotated[int, typer.Option(help="To play for each target.", min=1)] = 20,
    seed: SEED = None,
    out: OUT = None,
    device: DEVICE = "auto",
    threads: THREADS = None,
    as_json: JSON = False,
) -> None:
    """Play a checkpoint at many targets: achieved against asked returns, as table and figure.

    Killed and started again, by the same command, it goes on with the targets that are missing.
    Every target that the table holds is shown. Needs no data.
    """
    from dataclasses import asdict

    from seqrl.report.figures import caption_of, targets_figure, write_figure
    from seqrl.report.following import achieved, following
    from seqrl.runs.origin import Origin, loaded
    from seqrl.runs.targets import play_targets, targets_for, targets_in

    policy = loaded(checkpoint, device=device, threads=threads)
    origin = Origin.of(checkpoint, policy, seed)
    asked = targets_in(targets) if targets else targets_for(policy, points)
    table, picture = places(checkpoint, out, "targets")
    with shown_progress() as progress:
        sweep = play_targets(
            policy,
            origin,
            asked,
            episodes=episodes,
            file=table,
            progress=progress,
        )
    write_figure(targets_figure(sweep), picture, caption_of(sweep))
    found, measured = achieved(sweep), following(sweep)
    if as_json:
        about = asdict(origin)
        del about["facts"]  # the target that it was run with is not asked for here
        say_json(
            {
                **about,
                "best_in_data": sweep.best_in_data,
                "mean_in_data": sweep.mean_in_data,
                "targets": [asdict(one) for one in found],
                "following": asdict(measured),
                "table": str(table),
                "figure": str(picture),
            }
        )
        return
    _say_table(found)
    _say_following(measured, sweep)
    say(caption_of(sweep))
    say(f"  table   {table}")
    say(f"  figure  {picture}")


def places(checkpoint: Path, out: Path | None, what: str) -> tuple[Path, Path]:
    """Return where the table and the figure of `what` go."""
    stem = f"{checkpoint.stem}-{what}"
    if out is None:
        place = checkpoint.with_name(stem)
    elif out.is_dir():
        place = out / stem
    else:
        place = out.with_suffix("") if out.suffix in (".csv", ".png") else out
    return place.with_name(f"{place.name}.csv"), place.with_name(f"{place.name}.png")


def _say_table(found: "list[Achieved]") -> None:
    say_table(
        ["asked", "achieved", "± sd", "score", "achieved - asked"],
        [
            [
                one_decimal(one.asked),
                one_decimal(one.mean),
                one_decimal(one.deviation),
                "-" if one.score is None else one_decimal(one.score),
                one_decimal(one.mean - one.asked),
            ]
            for one in found
        ],
        right=range(5),
    )


def _say_following(measured: "Following", sweep: "Sweep") -> None:
    say(
        f"Best return in the training data {one_decimal(sweep.best_in_data)}, mean "
        f"{one_decimal(sweep.mean_in_data)}. Up to the best ({measured.targets} targets):"
    )
    if measured.targets < 3:
        say("  too few targets to say whether more asked is more achieved: at least 3 are needed.")
        return
    ranks, slope = _in_words(measured.rank_correlation), _in_words(measured.slope)
    say(f"  rank correlation of asked and mean achieved  {ranks}")
    say(f"  slope, how much of each more asked comes     {slope}")
    say(
        "  In brackets 95% of 10,000 resamplings of the episodes, the same for every target. They "
        "say\n  nothing of other trainings: this is one checkpoint. How often they hold the truth "
        "was not measured."
    )


def _in_words(estimate: "Estimate | None") -> str:
    if estimate is None:
        return "undefined: all targets achieve the same"
    if estimate.interval is None:
        return f"{estimate.value:.2f} [one episode a target: no interval]"
    low, high = estimate.interval
    return f"{estimate.value:.2f} [{low:.2f}, {high:.2f}]"
