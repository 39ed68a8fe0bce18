"""`seqrl speed ...`: how fast the suite is here, beside others who do the same work."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seqrl.cli.data import DATA_DIR, FAMILY
from seqrl.cli.output import one_decimal, remark, say, say_json, say_table, shown_progress
from seqrl.cli.run import DEVICE
from seqrl.cli.tasks import JSON

if TYPE_CHECKING:
    from seqrl.speed.dt import Speed
    from seqrl.speed.playing import Pace
    from seqrl.speed.race import Side

app = typer.Typer(
    help="How fast it is here, beside others who do the same work.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

LOSS_APART = 0.01
"""Share by which the losses of two trainings that differ in dropout's chance alone may differ."""


@app.command("dt")
def dt(
    task: Annotated[str, typer.Option(help="Full or short name.")] = "hopper-medium",
    updates: Annotated[int, typer.Option(help="Updates of each training.", min=4)] = 200,
    seeds: Annotated[int, typer.Option(help="Trainings of each side.", min=1)] = 3,
    episodes: Annotated[
        int, typer.Option(help="Episodes that seqrl plays; transformers plays a few.", min=1)
    ] = 100,
    threads: Annotated[int, typer.Option(help="CPU threads of both sides.", min=1)] = 1,
    device: DEVICE = "auto",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(
            help="What seqrl trains in; auto is float32, and bfloat16 too where the device is made "
            "for it. transformers trains in float32, and in bfloat16 too where seqrl does."
        ),
    ] = "auto",
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Play this trained network of seqrl run, not the one just trained."),
    ] = None,
    family: FAMILY = None,
    data_dir: DATA_DIR = None,
    as_json: JSON = False,
) -> None:
    """Train and play the Decision Transformer, and transformers' own with the same weights on the
    same windows, in one process and in turns; print how fast each is, and whether they agree.
    """
    from seqrl.errors import need_extra

    need_extra("transformers", "dev", "seqrl speed dt")
    from seqrl.runs.source import Source
    from seqrl.speed.dt import measure

    with shown_progress() as progress:
        source = Source.of(task, family=family, data_dir=data_dir, progress=progress)
        if source.choice.fallback:
            remark(f"{task} -> {source.task.name}, because {source.choice.reason}.")
        speed = measure(
            source,
            updates=updates,
            seeds=seeds,
            episodes=episodes,
            threads=threads,
            device=device,
            precision=precision,
            checkpoint=checkpoint,
            progress=progress,
        )
    if as_json:
        say_json(speed.plain())
        return
    _say_training(speed)
    say()
    _say_playing(speed)
    say()
    _say_caption(speed, task)


@app.command("tt")
def tt(
    bodies: Annotated[
        str, typer.Option(help="For which bodies: some of hopper, halfcheetah, walker2d.")
    ] = "hopper,halfcheetah,walker2d",
    repeats: Annotated[int, typer.Option(help="Decisions to time for each.", min=1)] = 5,
    slow: Annotated[
        bool, typer.Option(help="Also time the obvious planner: minutes for each body.")
    ] = True,
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
    device: DEVICE = "auto",
    as_json: JSON = False,
) -> None:
    """Time the Trajectory Transformer's decisions at the published settings, under both window
    rules, beside the most obvious planner: the whole network over the whole window for every token.
    """
    from seqrl.errors import UnknownName
    from seqrl.speed.tt import SEARCHES, TOGETHER, measure

    chosen = [body.strip() for body in bodies.split(",") if body.strip()]
    for body in chosen:
        if body not in SEARCHES:
            raise UnknownName(f"--bodies {body}: there are {', '.join(SEARCHES)}.")
    with shown_progress() as progress:
        found = measure(
            chosen, repeats=repeats, slow=slow, threads=threads, device=device, progress=progress
        )
    if as_json:
        say_json(found.plain())
        return
    rows = [
        [
            one.body,
            one.window,
            f"{one.horizon} x {one.beam_width}",
            f"{1000 * one.seconds:,.0f}",
            f"{1000 * one.least:,.0f} to {1000 * one.most:,.0f}",
            f"{one.together / one.seconds:.2f}",
            "-" if one.slow is None else f"{one.slow:.1f}",
            "-" if one.times_faster is None else f"{one.times_faster:.1f}",
        ]
        for one in found.decisions
    ]
    head = ["body", "window", "horizon x beams", "ms/decision", "least to most"]
    head += [f"{TOGETHER} together / 1", "obvious, s", "times faster"]
    say_table(head, rows, right=range(3, 8))
    if any(one.same is False for one in found.decisions):
        remark(
            "a plan differs from the obvious planner's: in float32 the last bits of a score may "
            "decide a draw. Tests compare them in float64."
        )
    where = [found.machine["gpu"] or found.machine["processor"]]
    where += [f"threads: {found.machine['threads']}", found.machine["platform"]]
    where.append(f"load {found.load[0]:.1f} when it began and {found.load[1]:.1f} when it ended")
    say(
        f"  {found.network}, random weights, float32, 5 past steps; the middle of "
        f"{found.repeats} decisions; obvious: one decision, the whole network for every token. "
        "Only the published window is the paper's."
    )
    say("  " + ", ".join(where))
    say("  " + ", ".join(f"{name} {version}" for name, version in found.versions.items()))


def _say_training(speed: "Speed") -> None:
    rows = []
    for side in speed.sides:
        low, middle, high = side.times_faster(speed.yardstick)
        rows.append(
            [
                f"{side.name}, {side.precision}",
                f"{side.updates_per_second:.3g}",
                f"{middle:.2f}",
                f"{low:.2f} to {high:.2f}",
                f"{side.loss:.5f}",
                f"{100 * speed.loss_apart(side):.2f} %",
            ]
        )
    head = ["training", "updates/s", "times faster", "middle half", "last loss", "apart"]
    say_table(head, rows, right=range(1, 6))
    for side in speed.sides:
        if speed.loss_apart(side) > LOSS_APART:
            remark(
                f"the last loss of {side.name} in {side.precision} is more than "
                f"{100 * LOSS_APART:.0f} % away from transformers' in float32: dropout's chance, "
                "if updates or seeds are few; else the two do not do the same work."
            )
    same = speed.agreement
    say(
        f"same network: without dropout the loss of a batch differs by {same.loss:.1e} of its "
        f"value, the norm of its gradient by {same.gradient_norm:.1e}"
    )
    for side in speed.sides:
        if side.name == "seqrl":
            _say_share(speed, side)


def _say_share(speed: "Speed", side: "Side") -> None:
    say(
        f"matrix products of seqrl, {side.precision}: {speed.flops / 1e9:.2f} GFLOP an update, "
        f"{speed.flops * side.updates_per_second / 1e9:,.1f} GFLOP/s"
    )
    for kind, peak in speed.peaks.items():
        say(
            f"  {100 * speed.used(side, kind):.0f} % of the {peak / 1e9:,.0f} GFLOP/s that "
            f"torch.mm reaches here in {kind}; in the quickest block "
            f"{100 * speed.used_at_best(side, kind):.0f} %"
        )
    if speed.peaks["bfloat16"] < speed.peaks["float32"]:
        say("  This device is not made for bfloat16: float32 is faster, and what to compare with.")


def _say_playing(speed: "Speed") -> None:
    match = speed.match

    def row(name: str, pace: "Pace", times: float) -> list[str]:
        return [
            name,
            f"{1000 * pace.per_step:.3f}",
            f"{times:.2f}",
            f"{pace.per_episode:.3g}",
            f"{pace.episodes:,}",
            one_decimal(pace.steps / pace.episodes),
        ]

    head = ["playing, float32", "ms/step", "times faster", "s/episode", "episodes", "steps each"]
    rows = [row("seqrl", match.ours, match.times_faster), row("transformers", match.theirs, 1.0)]
    say_table(head, rows, right=range(1, 6))
    mine, yours = zip(*match.returns, strict=True)
    say(
        f"same play: over the first {match.compared} steps of an episode the actions differ by "
        f"{match.apart:.1e} at most; the mean return of the first {len(mine)} episodes is "
        f"{one_decimal(sum(mine) / len(mine))} and {one_decimal(sum(yours) / len(yours))}"
    )


def _say_caption(speed: "Speed", task: str) -> None:
    machine, dropout = speed.machine, speed.dropout
    say(
        f"  {speed.data}; batches of {speed.batch} windows of {speed.steps} steps; "
        f"{speed.updates:,} updates, {len(speed.yardstick.losses)} seeds; dropout {dropout} in all "
        "three places, AdamW, warm-up and clipping the same on both sides"
    )
    say(
        "  one process, in turns; speed is the middle block's, times faster the middle of the "
        "ratios block by block; seqrl's whole loop, windows drawn in it, against a plain loop on "
        "prepared batches; the last loss is the mean over the last 20 updates and all seeds"
    )
    say(
        f"  network played: {speed.network_played}; seqrl all episodes together, environments "
        "made meanwhile, transformers one at a time; times faster is a step against a step"
    )
    where = [machine["gpu"] or machine["processor"], f"threads: {machine['threads']}"]
    where.append(machine["platform"])
    if speed.load is not None:
        first, last = speed.load
        where.append(f"load {first:.1f} when it began and {last:.1f} when it ended")
    say("  " + ", ".join(where))
    say("  " + ", ".join(f"{name} {found}" for name, found in speed.versions.items()))
    if any(side.precision == "bfloat16" for side in speed.sides):
        say(
            "What bfloat16 does to the score, over paired seeds: run each of these with --seed 0, "
            "1, 2, ... and compare.\n"
            f"  seqrl run DT {task} --set training.precision=float32\n"
            f"  seqrl run DT {task} --set training.precision=bfloat16"
        )
