"""`seqrl run`: one agent, one task, one seed, from data to record."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqrl.cli.choosing import AGENT, EXPERIMENT, SETTINGS, TASK, chosen
from seqrl.cli.data import DATA_DIR, FAMILY
from seqrl.cli.output import one_decimal, remark, say, say_json, shown_progress
from seqrl.cli.tasks import JSON

if TYPE_CHECKING:
    from seqrl.training.trainer import Told

RESULTS = Annotated[Path, typer.Option(help="Folder for records and checkpoints.")]
DEVICE = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")]
THREADS = Annotated[
    int | None,
    typer.Option(
        help="CPU threads; by default all cores. Other numbers of threads give other last bits.",
        min=1,
    ),
]


def run(
    agent: AGENT,
    task: TASK,
    seed: Annotated[int, typer.Option(help="Of weights, windows and evaluation.", min=0)] = 0,
    experiment: EXPERIMENT = "quick",
    settings: SETTINGS = None,
    episodes: Annotated[
        int | None, typer.Option(help="Episodes of the evaluation; else the experiment's.", min=1)
    ] = None,
    times: Annotated[
        int | None,
        typer.Option(help="Evaluations, evenly spaced over the training, last at its end.", min=1),
    ] = None,
    results: RESULTS = Path("results"),
    family: FAMILY = None,
    data_dir: DATA_DIR = None,
    device: DEVICE = "auto",
    threads: THREADS = None,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Write the metrics for TensorBoard to this folder too.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Train one agent on one task with one seed, play it, and write a record.

    Killed and started again, by the same command, it goes on where it was and ends with the same
    numbers. What is done already is not done again.
    """
    from dataclasses import replace

    from seqrl.runs.experiment import RunSpec, agent_named, with_settings
    from seqrl.runs.identity import own_code
    from seqrl.runs.run import run_one
    from seqrl.runs.source import Source

    choice = chosen(agent, task, experiment, settings)
    if choice is None:
        return
    found, name, made = choice
    own_code(made)  # as it is now that it has been loaded, however long the data takes
    changes = [*(settings or [])]
    changes += [f"episodes={episodes}"] if episodes else []
    changes += [f"times={times}"] if times else []
    evaluation = replace(
        found.evaluation,
        episodes=episodes or found.evaluation.episodes,
        times=times or found.evaluation.times,
    )
    evaluation.milestones(made.training.updates)
    told = _tensorboard(tensorboard) if tensorboard else None
    with shown_progress() as progress:
        source = Source.of(task, family=family, data_dir=data_dir, progress=progress)
        if source.choice.fallback:
            remark(f"{task} -> {source.task.name}, because {source.choice.reason}.")
        # Again, now that it is known which task it is: an experiment may say more of that.
        named = agent_named(agent, found, source.task.name)[1]
        spec = RunSpec(
            experiment="own" if ":" in agent else experiment,
            changed=tuple(changes),
            name=name,
            agent=with_settings(named, settings or []),
            task=source.task.name,
            seed=seed,
            evaluation=evaluation,
        )
        record, place = run_one(
            spec,
            source,
            results=results,
            device=device,
            threads=threads,
            progress=progress,
            told=told,
        )
    if as_json:
        from dataclasses import asdict

        say_json({"record": str(place.record), **asdict(record)})
        return
    assert record.mean_return is not None
    scored = record.score is not None
    played = record.evaluations[-1]["episodes"]
    deviation = record.deviation
    say(
        f"{record.name} on {record.data['name']}, seed {seed}: "
        + (f"score {one_decimal(record.score or 0.0)}, " if scored else "")
        + f"return {one_decimal(record.mean_return)} (mean of {evaluation.episodes} episodes"
        + (f", standard deviation {one_decimal(deviation)}" if deviation is not None else "")
        + (
            f"; the data's own mean score is {one_decimal(record.data['mean_score'])})"
            if scored
            else f"; the data's own mean is {one_decimal(record.data['mean_return'])})"
        )
    )
    say(f"  {record.caption()}")
    if outside := sum(episode["outside"] for episode in played):
        seen = record.task["observation_width"] * sum(episode["length"] for episode in played)
        remark(
            f"{100 * outside / seen:.2g} % of the numbers that were seen lay outside the range of "
            "the data's bins, and counted as its ends."
        )
    say(f"  record      {place.record}")
    say(f"  checkpoint  {place.checkpoint}")
    say(f"Watch it: seqrl play {shlex.quote(str(place.checkpoint))}")


def _tensorboard(folder: Path) -> "Told":
    from seqrl.errors import need_extra

    need_extra("tensorboard", "tensorboard", "--tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))

    def told(line: Mapping[str, float]) -> None:
        for name, value in line.items():
            if name != "update":
                writer.add_scalar(name.replace(".", "/"), value, int(line["update"]))
        writer.flush()

    return told
