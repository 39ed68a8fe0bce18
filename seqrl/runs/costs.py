"""How long a run will take and how much disk it needs, told before it starts.

From what the updates and decisions of the shipped experiments took where they were measured (`make
costs` writes costs.json), brought to this machine by a calibration of both; from finished runs on
this machine, which are better; and for other shapes from the nearest measured one, by how much work
there is. An estimate: good within a factor of one and a half where a shape was measured, and of
three where none was. It knows the CPU alone, and nothing of what is done once a run: opening the
data, fitting the tokenizer.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

from seqrl.agents.agent import Agent
from seqrl.plain import place_of, to_plain
from seqrl.runs.calibration import Speed
from seqrl.runs.experiment import RunSpec
from seqrl.runs.record import RunRecord
from seqrl.runs.work import (
    Work,
    decision_shape,
    rows_computed,
    rows_that_were,
    update_shape,
    widths_of,
    work_of,
)
from seqrl.tasks.task import Task

TABLE = Path(__file__).with_name("costs.json")

Basis = Literal["measured here", "measured shape", "scaled"]
"""What an estimate rests on: runs that were done on this machine; the same settings and widths
elsewhere; other settings, or other widths."""

FROM_BEST: tuple[Basis, ...] = ("measured here", "measured shape", "scaled")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a run will take."""

    training: float
    """Seconds."""
    playing: float
    """Seconds, of all evaluations."""
    disk: int
    """Bytes that stay: the checkpoint."""
    disk_meanwhile: int
    """Bytes at most: the checkpoint, and the state that a killed training goes on from."""
    basis: Basis
    """Of training or playing, whichever is the less certain."""

    @property
    def total(self) -> float:
        """Seconds in all."""
        return self.training + self.playing


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Something that was measured."""

    shape: Mapping[str, Any]
    work: float
    seconds: float
    speed: float
    """That the calibration found meanwhile, in units a second."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """All that was measured somewhere, on one thread."""

    updates: Sequence[Entry]
    decisions: Sequence[Entry]
    """For one row of those that are computed together."""
    steps: Mapping[str, Entry]
    """Environment -> a step of one episode, and the suite's own work with it."""
    about: Mapping[str, Any]
    """Versions, machine, when."""


@dataclass(frozen=True, kw_only=True)
class Here:
    """A finished run on this machine."""

    agent: Mapping[str, Any]
    widths: tuple[int, int]
    precision: str
    """Of the training."""
    updates_per_second: float | None
    playing: float | None
    """Seconds of the last evaluation; nothing if not known."""
    lengths: Sequence[int]
    """Of its episodes."""


# ---- estimates -------------------------------------------------------------------------------


def estimate(
    spec: RunSpec, task: Task, *, lengths: float, speed: Speed, here: Sequence[Here] = ()
) -> Cost:
    """Say what a run will take at this speed. `lengths` is how long an episode is expected to be,
    in the mean; `here` is what `measured_here` found."""
    agent, work = spec.agent, work_of(spec.agent, task)
    training = _training(agent, task, work, speed, here)
    playing = _playing(spec, task, work, lengths, speed, here)
    return Cost(
        training=training[0],
        playing=playing[0],
        disk=4 * work.weights,
        disk_meanwhile=4 * 4 * work.weights,  # weights twice, and two numbers of the optimiser's
        basis=max(training[1], playing[1], key=FROM_BEST.index),
    )


def _training(
    agent: Agent, task: Task, work: Work, speed: Speed, here: Sequence[Here]
) -> tuple[float, Basis]:
    import torch

    from seqrl.training.device import precision_on

    updates, plain, kind = agent.training.updates, to_plain(agent), type(agent)
    wanted = precision_on(agent.training.precision, torch.device("cpu"))
    shape = update_shape(plain, widths_of(task), wanted, kind)
    rates = [
        known.updates_per_second
        for known in here
        if known.updates_per_second
        and known.agent["is"] == plain["is"]
        and update_shape(known.agent, known.widths, known.precision, kind) == shape
    ]
    if rates:
        return updates / median(rates), "measured here"
    # The speed is that of one precision; what another does to it nobody has measured here.
    shape = {**shape, "precision": speed.precision}
    akin = [one for one in shipped_table().updates if one.shape["precision"] == speed.precision]
    seconds, basis = _from(akin, shape, work.update, speed.training, agent)
    return updates * seconds, basis if wanted == speed.precision else "scaled"


def _playing(
    spec: RunSpec, task: Task, work: Work, length: float, speed: Speed, here: Sequence[Here]
) -> tuple[float, Basis]:
    agent, evaluation, table = spec.agent, spec.evaluation, shipped_table()
    shape = decision_shape(to_plain(agent), widths_of(task))
    rows = rows_computed(evaluation.episodes, length, task.horizon, work.together)
    known = [
        one.playing / rows_that_were(one.lengths, work.together)
        for one in here
        if one.playing and decision_shape(one.agent, one.widths) == shape
    ]
    if known:
        return evaluation.times * rows * median(known), "measured here"
    decision, basis = _from(table.decisions, shape, work.decision, speed.playing, agent)
    steps = [table.steps[task.environment]] if task.environment in table.steps else []
    step = fmean(one.seconds * one.speed for one in steps or table.steps.values()) / speed.playing
    played = evaluation.episodes * min(length, task.horizon)
    return evaluation.times * (rows * decision + played * step), basis


def _from(
    entries: Sequence[Entry], shape: Any, work: float, speed: float, agent: Agent
) -> tuple[float, Basis]:
    """Return the seconds of a shape at a speed: its own, or those of the nearest by its work."""
    for entry in entries:
        if entry.shape == shape:
            return entry.seconds * entry.speed / speed, "measured shape"
    kinds = [place_of(kind) for kind in type(agent).__mro__]
    akin = next((own for kind in kinds if (own := _of_kind(entries, kind))), entries)
    nearest = min(akin, key=lambda entry: abs(math.log(entry.work / work)))
    return nearest.seconds * nearest.speed / speed * work / nearest.work, "scaled"


def _of_kind(entries: Sequence[Entry], kind: str) -> list[Entry]:
    return [entry for entry in entries if entry.shape["is"] == kind]


@cache
def shipped_table() -> Table:
    """Read what was measured."""
    plain = json.loads(TABLE.read_text())
    return Table(
        updates=[Entry(**entry) for entry in plain["updates"]],
        decisions=[Entry(**entry) for entry in plain["decisions"]],
        steps={name: Entry(**entry) for name, entry in plain["steps"].items()},
        about=plain["about"],
    )


def measured_here(records: Iterable[RunRecord], threads: int = 1) -> list[Here]:
    """Take from records what finished runs took on this machine, on so many CPU threads. Where
    others wrote them, they may lack something of it."""
    from seqrl.runs.identity import machine

    this = {**machine("cpu"), "threads": threads}
    return [
        Here(
            agent=record.agent,
            widths=(record.task["observation_width"], record.task["action_width"]),
            precision=record.training["precision"],
            updates_per_second=record.training["updates_per_second"],
            playing=record.evaluations[-1]["seconds"],
            lengths=record.columns[-1]["length"],
        )
        for record in records
        if record.status == "done"
        and record.machine == this
        and {"observation_width", "action_width"} <= record.task.keys()
        and "precision" in record.training
        and None not in record.columns[-1]["length"]
    ]


# ---- words -----------------------------------------------------------------------------------

UNITS = (("minute", 60.0, 60.0), ("hour", 3600.0, 24.0), ("day", 86400.0, math.inf))
"""Unit, its seconds, and from how many of it on the next one is better."""


def in_words(seconds: float) -> str:
    """Say a time as roughly as it is known: two figures at the most."""
    if seconds < 60:
        return "under a minute"
    for unit, size, most in UNITS:
        many = _two_figures(seconds / size, halves=unit != "minute")
        if many < most:
            break
    return f"about {many:,g} {unit}{'' if many == 1 else 's'}"


def _two_figures(number: float, *, halves: bool) -> float:
    """Round to two figures; below 10 to halves, or to whole ones."""
    if number < 10:
        return round(2 * number) / 2 if halves else round(number)
    digits = math.floor(math.log10(number))
    return float(round(number, 1 - digits))
