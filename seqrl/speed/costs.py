"""Measures what runs of the shipped experiments cost, for `seqrl.runs.costs`: `make costs`.

On one thread, with made-up episodes, in turns with the calibration, both in the processor's time
and not the clock's: what else the machine does hardly matters.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import process_time as clock
from typing import Any

import numpy as np
import torch

from seqrl.agents.agent import Agent
from seqrl.agents.behaviour_cloning import MlpBehaviourCloning
from seqrl.data.source import task_named
from seqrl.data.whole import replace_file
from seqrl.episodes import Array, History
from seqrl.errors import SeqrlError
from seqrl.evaluation import play
from seqrl.nets.model import Model
from seqrl.plain import to_plain
from seqrl.progress import Progress
from seqrl.runs.calibration import Precision, Speed, calibrate, history_of
from seqrl.runs.costs import TABLE, Entry, Table
from seqrl.runs.experiment import experiment_named
from seqrl.runs.identity import machine, versions
from seqrl.runs.work import decision_shape, update_shape, widths_of, work_of
from seqrl.speed.tt import spread
from seqrl.tasks.environment import Environments
from seqrl.tasks.task import Task
from seqrl.tokens.description import made_up
from seqrl.tokens.tokenizer import Tokenizer, fit
from seqrl.tokens.windows import Windows
from seqrl.training.device import precision_on
from seqrl.training.trainer import Trainer

EXPERIMENTS = ("quick", "paper")

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
"""What `auto` may mean."""

ROUNDS, SECONDS = 4, 0.7
"""Each is measured in rounds of so many seconds; between them the machine is calibrated as long."""
ENOUGH = 15.0
"""Seconds after which no further round is begun."""

EPISODES, STEPS = 50, 100
"""Played to see what an environment takes."""


class Unsaved(Trainer):
    """The training of a run, which saves nothing: a run does so once a minute."""

    def save(self) -> None:
        """Save nothing."""


@dataclass(frozen=True, kw_only=True)
class Random(MlpBehaviourCloning):
    """Acts at random, which takes no time."""

    def act(self, model: Model, history: History) -> Array:
        """Draw."""
        width = model.tokenizer.widths["action"]
        return np.random.default_rng(history.step).uniform(-1, 1, (len(history), width))


def measured(progress: Progress) -> Table:
    """Measure every shape of the shipped experiments once."""
    if precision_on("auto", torch.device("cpu")) != "bfloat16":
        raise SeqrlError(
            "What training costs is needed in float32 and in bfloat16, and this processor is not "
            "made for bfloat16. Measure on one with AVX512_BF16."
        )
    torch.set_num_threads(1)
    updates: dict[str, Entry] = {}
    decisions: dict[str, Entry] = {}
    steps: dict[str, Entry] = {}
    for number, (name, agent, task) in enumerate(runs := [*_runs()]):
        progress(f"{name} on {task.name}", number, len(runs), "runs")
        plain, widths, work = to_plain(agent), widths_of(task), work_of(agent, task)
        for precision in PRECISIONS:
            shape = update_shape(plain, widths, precision, type(agent))
            if (key := json.dumps(shape)) not in updates:
                with TemporaryDirectory() as folder:
                    seconds, speed = beside(updating(agent, task, precision, folder), precision)
                updates[key] = Entry(
                    shape=shape, work=work.update, seconds=seconds, speed=speed.training
                )
        shape = decision_shape(plain, widths)
        if (key := json.dumps(shape)) not in decisions:
            rows = work.together * (1 if work.together == 1 else 2)
            seconds, speed = beside(deciding(agent, task, rows))
            decisions[key] = Entry(
                shape=shape, work=work.decision, seconds=seconds, speed=speed.playing
            )
        if task.environment not in steps:
            seconds, speed = beside(stepping(task))
            steps[task.environment] = Entry(
                shape={}, work=1.0, seconds=seconds, speed=speed.playing
            )
    return Table(
        updates=[*updates.values()],
        decisions=[*decisions.values()],
        steps=steps,
        about={
            "machine": machine("cpu"),
            "versions": versions(),
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def _runs() -> Iterator[tuple[str, Agent, Task]]:
    """Every agent of the shipped experiments, as it is on each task."""
    for experiment in map(experiment_named, EXPERIMENTS):
        for task in experiment.tasks:
            for name in experiment.agents:
                yield name, experiment.agent(name, task), task_named(official(task))


def official(task: str) -> str:
    """Return the full name of an experiment's task, of which only the shape is wanted."""
    return f"d4rl/{task}-v2"


Timed = Callable[[], tuple[int, float]]
"""Does something some times: how many times, and in how many seconds."""


def beside(do: Timed, precision: Precision = "auto") -> tuple[float, Speed]:
    """Return how long something takes, and the speed of the machine meanwhile."""
    done, spent, speeds = 0, 0.0, [calibrate(SECONDS, precision=precision, clock=clock)]
    for _ in range(ROUNDS):
        until = spent + SECONDS
        while spent < until:
            times, seconds = do()
            done, spent = done + times, spent + seconds
        speeds.append(calibrate(SECONDS, precision=precision, clock=clock))
        if spent > ENOUGH:
            break
    return spent / done, Speed(
        precision=speeds[0].precision,
        training=fmean(speed.training for speed in speeds),
        playing=fmean(speed.playing for speed in speeds),
    )


def updating(agent: Agent, task: Task, precision: Precision, folder: str) -> Timed:
    """Train."""
    tokenizer, model = _made(agent, task)
    settings = replace(
        agent.training, updates=10**9, precision=precision
    )  # no learning rate to speak of
    windows = Windows(tokenizer, made_up(task, 100, 200))
    trainer = Unsaved(model, windows, settings, seed=0, folder=Path(folder), about={})
    trainer.until(1)
    _, one = _clocked(lambda: trainer.until(2))
    many = max(1, round(SECONDS / 4 / one))  # not one by one, as a run does not
    return lambda: (many, _clocked(lambda: trainer.until(trainer.update + many))[1])


def deciding(agent: Agent, task: Task, rows: int) -> Timed:
    """Decide, for some rows at once; each counts."""
    _, model = _made(agent, task)
    spread(model)
    model.eval()
    history = history_of(task, rows)
    agent.act(model, history)
    return lambda: (rows, _clocked(lambda: agent.act(model, history))[1])


def stepping(task: Task) -> Timed:
    """Play at random: environments, and all that playing does but deciding."""
    agent = Random()
    _, model = _made(agent, task)
    task = replace(task, horizon=STEPS)

    def played() -> tuple[int, float]:
        began: list[float] = []

        def seen(environments: Environments) -> None:
            began.append(clock())  # made they are, once a run

        episodes = play(agent, model, task, seed=0, numbers=range(EPISODES), seen=seen)
        return sum(episode.length for episode in episodes), clock() - began[0]

    return played


def _clocked(do: Callable[[], object]) -> tuple[object, float]:
    began = clock()
    return do(), clock() - began


def _made(agent: Agent, task: Task) -> tuple[Tokenizer, Model]:
    tokenizer = fit(agent.layout(), made_up(task, 100, 200))
    return tokenizer, agent.model(tokenizer, torch.Generator().manual_seed(0))


def main() -> None:
    """Measure, and write the table that is shipped."""

    def progress(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        sys.stderr.write(f"{done:.0f} of {total:.0f} {unit}: {doing}\n")

    plain: dict[str, Any] = asdict(measured(progress))
    replace_file(TABLE, json.dumps(plain, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
