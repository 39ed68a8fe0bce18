"""Bench: from what was asked for to runs that are done, in steps that a person can follow.

Everything that could be wrong is looked for before anything is begun, and said all at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seqrl.data.names import Choice, Family, choose
from seqrl.data.source import can_reach, task_named
from seqrl.errors import SeqrlError
from seqrl.progress import Progress
from seqrl.runs.calibration import Speed
from seqrl.runs.checking import problems_of
from seqrl.runs.costs import Cost, Here, estimate
from seqrl.runs.experiment import RunSpec, experiment_named
from seqrl.runs.identity import own_code
from seqrl.runs.job import Job
from seqrl.runs.source import Source


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked for; what is nothing is as the experiment says."""

    experiment: str
    tasks: Sequence[str] | None = None
    agents: Sequence[str] | None = None
    seeds: Sequence[int] | None = None
    settings: Sequence[str] = ()
    episodes: int | None = None
    times: int | None = None
    family: Family | None = None
    data_dir: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The runs that this means, on which data."""

    specs: Sequence[RunSpec]
    choices: Mapping[str, Choice]
    """Of each task, by the full name that its runs carry."""
    asked: Asked


def plan(asked: Asked) -> Plan:
    """Find out what it means; everything that is wrong with it is said at once."""
    found = experiment_named(asked.experiment)
    evaluation = replace(
        found.evaluation,
        episodes=asked.episodes or found.evaluation.episodes,
        times=asked.times or found.evaluation.times,
    )
    found = replace(found, evaluation=evaluation)
    choices: dict[str, Choice] = {}
    problems = []
    for text in dict.fromkeys(asked.tasks or found.tasks):
        try:
            choice = choose(text, family=asked.family, data_dir=asked.data_dir, reachable=can_reach)
        except SeqrlError as error:
            problems.append(f"{text}: {error}")
        else:
            choices.setdefault(_whole(choice), choice)
    specs: list[RunSpec] = []
    try:
        specs = found.runs(
            asked.experiment,
            tasks=[*choices],
            agents=asked.agents,
            seeds=asked.seeds,
            settings=asked.settings,
        )
    except SeqrlError as error:
        problems.append(str(error))
    for spec in specs:
        own_code(spec.agent)  # as it is now that it has been loaded, however long the data takes
    problems += problems_of(specs, task_named)
    if not (specs or problems):
        problems = ["There is nothing to run: name at least one task, one agent and one seed."]
    if problems:
        raise SeqrlError("Nothing was started. " + "\n  ".join(["", *problems]).lstrip("\n"))
    said = [f"{n}={v}" for n in ("episodes", "times") if (v := getattr(asked, n))]
    return Plan(
        specs=[replace(spec, changed=(*spec.changed, *said)) for spec in specs],
        choices=choices,
        asked=asked,
    )


def _whole(choice: Choice) -> str:
    name = choice.name
    return name.entry + (f"+{name.content}" if name.content else "") + name.suffix


def sources(plan: Plan, progress: Progress) -> dict[str, Source]:
    """Have the data of every task here, building or fetching what is missing."""
    asked = plan.asked
    return {
        name: Source.chosen(choice, data_dir=asked.data_dir, progress=progress)
        for name, choice in plan.choices.items()
    }


def jobs(plan: Plan, have: Mapping[str, Source], precision: Callable[[str], str]) -> list[Job]:
    """Make every run ready; `precision` says what a training's wish for one comes to."""
    ready: dict[str, Job] = {}
    for spec in plan.specs:
        source = have[spec.task]
        wanted = precision(spec.agent.training.precision)
        job = Job.of(replace(spec, task=source.task.name), source, wanted)
        if (twin := ready.setdefault(job.hash, job)) is not job:
            raise SeqrlError(
                f"{twin.spec} and {job.spec} are one run: nothing of them differs but what they "
                "are called. Leave one out."
            )
    return [*ready.values()]


def costs(jobs: Sequence[Job], speed: Speed, here: Sequence[Here]) -> dict[str, Cost]:
    """Say what each run will take, by hash."""
    return {
        job.hash: estimate(
            job.spec,
            job.task,
            lengths=job.episodes.steps / len(job.episodes),
            speed=speed,
            here=here,
        )
        for job in jobs
    }
