"""`seqrl bench`: agents x tasks x seeds, from data to a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seqrl.cli.board import shown_board
from seqrl.cli.choosing import EXPERIMENT
from seqrl.cli.data import DATA_DIR, FAMILY
from seqrl.cli.output import remark, say, say_json, shown_progress
from seqrl.cli.run import DEVICE, RESULTS
from seqrl.cli.tasks import JSON
from seqrl.errors import SeqrlError
from seqrl.progress import counted, ranges

if TYPE_CHECKING:
    from seqrl.runs.backends import Backend
    from seqrl.runs.bench import Plan
    from seqrl.runs.board import Board

MOST_EPISODES, MOST_THREADS = 1_000_000, 256
FAILED = 1
"""Status with which a launch ends in which a run has failed."""


def bench(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(help="Full or short names, e.g. hopper-medium; else the experiment's."),
    ] = None,
    experiment: EXPERIMENT = "quick",
    agents: Annotated[
        str | None,
        typer.Option(
            help="Names in the experiment, or module:Class of yours: 'DT TT'; all: every agent of "
            "the experiment. Else those that it runs unless others are named."
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="How many, from 0 on; or which: 0,3,7. Else the experiment's."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="AGENT.FIELD=VALUE",
            help="Change a field of an agent, e.g. DT.training.updates=2000; without its name, of "
            "all. As often as you like; records say it. `seqrl run DT TASK --set help` lists them.",
        ),
    ] = None,
    episodes: Annotated[
        int | None,
        typer.Option(
            help="Episodes of an evaluation; else the experiment's.", min=1, max=MOST_EPISODES
        ),
    ] = None,
    times: Annotated[
        int | None, typer.Option(help="Evaluations of a run, the last at its end.", min=1)
    ] = None,
    results: RESULTS = Path("results"),
    family: FAMILY = None,
    data_dir: DATA_DIR = None,
    backend: Annotated[
        Literal["ray", "inline"],
        typer.Option(help="ray: several runs at once; inline: one after another, without Ray."),
    ] = "ray",
    workers: Annotated[
        int | None, typer.Option(help="Runs at once on this machine; else as many as fit.", min=1)
    ] = None,
    threads: Annotated[
        int,
        typer.Option(
            help="CPU threads of each run. Other numbers of threads give other last bits.",
            min=1,
            max=MOST_THREADS,
        ),
    ] = 1,
    device: DEVICE = "auto",
    gpus: Annotated[
        float | None,
        typer.Option(help="GPUs of each run, where there are any: 0.25 lets four share one."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Join a running Ray cluster: auto, or host:port of its head."),
    ] = None,
    only_plan: Annotated[
        bool, typer.Option("--plan", help="Say what would run, how long it takes, and end.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Run agents x tasks x seeds, several at once, and print the table of their scores.

    What is done already is not done again; a run that failed is tried again. Stopped at any
    moment, by Ctrl-C, a kill or a power cut, the same command goes on where it was. Ends with
    status 1 if a run has failed.
    """
    from seqrl.runs.backends import backend_for
    from seqrl.runs.bench import Asked, jobs, plan, sources
    from seqrl.runs.board import Board
    from seqrl.runs.launch import Launch
    from seqrl.runs.ledger import Ledger

    if backend == "inline" and (address is not None or (workers or 1) > 1):
        raise SeqrlError(
            "--backend inline does one run after another, here: leave out --workers and --address."
        )
    if address is not None and workers is not None:
        raise SeqrlError("--address joins a cluster as it is: leave out --workers.")
    planned = plan(
        Asked(
            experiment=experiment,
            tasks=tasks,
            agents=_agents_in(agents, experiment),
            seeds=_seeds_in(seeds),
            settings=settings or [],
            episodes=episodes,
            times=times,
            family=family,
            data_dir=data_dir,
        )
    )
    _say_plan(planned)
    with backend_for(
        inline=backend == "inline",
        address=address,
        workers=workers,
        threads=threads,
        device=device,
        gpus=gpus,
    ) as doer:
        with shown_progress() as progress:
            have = sources(planned, progress)
        board = Board(tuple(jobs(planned, have, doer.precision)), workers=doer.workers)
        launch = Launch(board, Ledger(results))
        _expect(board, results, threads, doer)
        if only_plan:
            return
        if launch.waiting:
            launch.ledger.prepare()
        board.begin()
        with shown_board(board):
            doer.run(launch)
    try:
        _say_results(board, as_json)
    finally:  # also of records that no table would be made of
        _say_failures(board)
    if board.of("failed"):
        raise typer.Exit(FAILED)


def _agents_in(text: str | None, experiment: str) -> list[str] | None:
    from seqrl.runs.experiment import experiment_named

    if text is None:
        return None
    names = text.replace(",", " ").split()
    return [*experiment_named(experiment).agents] if names == ["all"] else names


def _seeds_in(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        found = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        found = []
    if not found or min(found) < 0 or ("," not in text and found == [0]):
        raise SeqrlError(
            f"--seeds {text}: say how many, 1 or more (5 means 0 to 4), or which, with a comma: "
            "0,3,7 (one alone: 3,)."
        )
    return found if "," in text else [*range(found[0])]


def _say_plan(plan: "Plan") -> None:
    """Say what will run, and on which data."""
    agents: dict[str, set[str]] = {}
    for spec in plan.specs:
        updates = counted(spec.agent.training.updates, "update")
        changed = "".join(f", {said}" for said in spec.changed)
        agents.setdefault(spec.name, set()).add(f"{updates}{changed}")
    seeds = [*dict.fromkeys(spec.seed for spec in plan.specs)]
    evaluation = plan.specs[0].evaluation
    remark(
        f"experiment {plan.asked.experiment}: {counted(len(plan.specs), 'run')}, "
        f"{counted(len(agents), 'agent')} x {counted(len(plan.choices), 'task')} x "
        f"{counted(len(seeds), 'seed')} ({ranges(seeds)}), each "
        f"{counted(evaluation.episodes, 'episode')}"
        + (f" {evaluation.times} times" if evaluation.times > 1 else "")
    )
    for name, said in agents.items():
        remark(f"  {name}: {' or '.join(sorted(said))}")
    for name, choice in plan.choices.items():
        why = (
            f"not the official data, because {choice.reason}" if choice.fallback else choice.reason
        )
        remark(f"  on {name}: {why}")


def _expect(board: "Board", results: Path, threads: int, doer: "Backend") -> None:
    """Say what is done already, and how long the rest will take; and let the board know."""
    from seqrl.runs.bench import costs
    from seqrl.runs.calibration import calibrate
    from seqrl.runs.costs import in_words, measured_here
    from seqrl.runs.finding import records_below

    waiting = board.of("waiting")
    done = len(board.jobs) - len(waiting)
    if done:
        remark(f"{done} of {counted(len(board.jobs), 'run')} done before.")
    if not waiting:
        return
    with shown_progress() as progress:
        progress("measuring how fast this machine is, for five seconds", 0, 0, "")
        speed = calibrate(threads=threads)
    before = records_below(results).found if results.is_dir() else ()
    known = [found.record for found in before]
    found = costs(waiting, speed, measured_here(known, threads))
    board.seconds = {hash_: (cost.training, cost.playing) for hash_, cost in found.items()}
    at_once = min(board.workers, len(waiting))
    longest = max(cost.total for cost in found.values())
    seconds = max(longest, sum(cost.total for cost in found.values()) / at_once)
    disk = sum(c.disk for c in found.values()) + at_once * max(
        c.disk_meanwhile for c in found.values()
    )
    basis = ", ".join(sorted({cost.basis for cost in found.values()}))
    time = f"{in_words(seconds)} (estimated: {basis}{doer.like_here})"
    if doer.device != "cpu":
        time = "how long that takes on a GPU is known when the first has gone some way"
    remark(
        f"{counted(len(waiting), 'run')} to do, {at_once} at once: {time}; disk "
        f"{max(1, round(disk / 1e6)):,} MB."
    )


def _say_results(board: "Board", as_json: bool) -> None:
    """Print the table, its caption, and where everything lies."""
    from dataclasses import asdict, replace

    from seqrl.report.formats import as_markdown
    from seqrl.report.summary import summary_of

    found = [(s.file, s.record) for s in map(board.__getitem__, board.jobs) if s.record and s.file]
    if as_json:
        say_json([{"record": str(file), **asdict(record)} for file, record in found])
        return
    records = [record for _, record in found]
    asked = [(job.spec.name, job.task.name, job.spec.seed) for job in board.jobs]
    # Whoever asks for two kinds of data or of targets in one launch has told that they may differ.
    summary = summary_of(records, asked, mixed={"data", "target"})
    say(as_markdown(replace(summary, blocks=summary.blocks[:1])))
    for place in sorted({str(file.parent.parent) for file, _ in found}):
        say(f"  records, checkpoints, metrics  {place}")


def _say_failures(board: "Board") -> None:
    """Name what failed, and where its traceback is."""
    failed = board.of("failed")
    for job in failed:
        said = f"{job.spec} failed: {board[job].error}"
        remark(f"{said}\n  its traceback: seqrl runs {board[job].file}")
    if failed:
        remark("what failed is tried again by the same command.")
