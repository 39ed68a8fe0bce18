"""`seqrl play`: watch a trained agent, in numbers or as a film."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqrl.cli.output import one_decimal, remark, say, say_json, say_table, shown_progress
from seqrl.cli.run import DEVICE, THREADS
from seqrl.cli.tasks import JSON
from seqrl.progress import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seqrl.evaluation import Played
    from seqrl.runs.imagined import Imagined
    from seqrl.runs.origin import Origin
    from seqrl.tasks.task import Task

CHECKPOINT = Annotated[
    Path, typer.Argument(help="A .safetensors file that `seqrl run` wrote, beside the record.")
]
SEED = Annotated[
    int | None,
    typer.Option(help="Of the episodes; by default the run's own: as in its record.", min=0),
]


def play(
    checkpoint: CHECKPOINT,
    episodes: Annotated[int, typer.Option(help="How many to play.", min=1)] = 5,
    target: Annotated[
        float | None,
        typer.Option(help="Return to ask for, in place of the one that the agent was run with."),
    ] = None,
    seed: SEED = None,
    video: Annotated[
        Path | None,
        typer.Option(help="Film the first episode: an .mp4 file (extra 'video'), or a .gif."),
    ] = None,
    plans: Annotated[
        Path | None,
        typer.Option(
            help="Draw plans of the first episode, beside what then came: a .png file, and their "
            "numbers in a .csv beside it. For agents that plan: TT."
        ),
    ] = None,
    device: DEVICE = "auto",
    threads: THREADS = None,
    as_json: JSON = False,
) -> None:
    """Play a checkpoint: a line an episode; a film and a figure of plans if you like. Needs no
    data.

    Episode i of seed S is the same as in the evaluation of a run with seed S.
    """
    from seqrl.evaluation import play as played_with
    from seqrl.report.figures import check_picture
    from seqrl.runs.origin import Origin, loaded
    from seqrl.runs.planned import Planned
    from seqrl.video import check_target, filming

    if video:
        check_target(video)
    if plans:
        check_picture(plans)
    amount = counted(episodes, "episode")
    policy = loaded(checkpoint, device=device, threads=threads)
    if target is not None:
        policy = policy.asking(target)
    origin = Origin.of(checkpoint, policy, seed)
    planned = Planned(policy, 0) if plans else None
    film = filming(video) if video else nullcontext(lambda environments: None)
    with shown_progress() as progress, film as look:
        played = played_with(
            policy.agent,
            policy.model,
            policy.task,
            seed=origin.seed,
            numbers=range(episodes),
            progress=progress,
            doing=f"playing {amount}",
            seen=look,
            stepped=planned.look if planned else lambda numbers, history: None,
            pictures=video is not None,
        )
    files = {"video": video, "plans": plans, "plans_table": None}
    if plans and planned:
        files["plans_table"] = _draw(planned.imagined(origin, played[0]), plans)
    _say_played(played, policy.task, origin, files, as_json)


def _draw(imagined: "Imagined", picture: Path) -> Path:
    """Write the figure of plans, and the table beside it."""
    from seqrl.report.figures import write_figure
    from seqrl.report.plans import plans_figure
    from seqrl.runs.imagined import write_imagined

    table = picture.with_suffix(".csv")
    write_imagined(table, imagined)
    write_figure(plans_figure(imagined), picture, imagined.caption)
    return table


def _say_played(
    played: "list[Played]",
    task: "Task",
    origin: "Origin",
    files: "Mapping[str, Path | None]",
    as_json: bool,
) -> None:
    from dataclasses import asdict

    import numpy as np

    def shown(return_: float) -> list[str]:
        found = task.scored(return_)
        return [one_decimal(return_), "-" if found is None else one_decimal(found)]

    mean = float(np.mean([episode.return_ for episode in played]))
    if as_json:
        rows = [{**one.plain(), "score": task.scored(one.return_)} for one in played]
        summary = {"episodes": rows, "return": mean, "score": task.scored(mean)}
        named = {name: str(file) if file else None for name, file in files.items()}
        say_json({**asdict(origin), **summary, **named})
        return
    rest = [(str(one.length), "terminated" if one.terminated else "time was up") for one in played]
    say_table(
        ["episode", "return", "score", "steps", "ended"],
        [
            *([str(p.number), *shown(p.return_), *r] for p, r in zip(played, rest, strict=True)),
            ["mean", *shown(mean), one_decimal(float(np.mean([p.length for p in played]))), ""],
        ],
        right=(0, 1, 2, 3),
    )
    say(origin.caption(counted(len(played), "episode")))
    if origin.trained_with:
        remark("versions have changed since the training: returns may be others than recorded.")
    first = f"of episode {played[0].number}"
    if files["video"]:
        say(f"film {first}: {files['video']}")
    if files["plans"]:
        say(f"plans {first}: {files['plans']}, table {files['plans_table']}")
