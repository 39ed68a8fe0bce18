"""Statistics: what a published Decision Transformer's observations were standardised with.

The published files have no place for them. They are known in three ways only: the folder says them,
because `seqrl export-hf` wrote it; a person gives them; or the very data set is here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqrl.agents.target import Target
from seqrl.data.names import Name, choose
from seqrl.data.source import can_reach, task_named
from seqrl.errors import DataError, SeqrlError, told_plainly
from seqrl.plain import from_plain
from seqrl.progress import Progress, silent
from seqrl.runs.source import Source
from seqrl.tasks.d4rl import ENTRIES
from seqrl.tasks.task import Task
from seqrl.tokens.layout import Vector
from seqrl.tokens.signals import Float32
from seqrl.tokens.tokenizer import DataFacts, facts_of, scale_of

KEY = "seqrl"
"""Under which a folder's config.json says what `Written` holds."""

LEAST = 1e-6
"""What is added to every deviation that is measured, here as by the authors: none is smaller."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What `seqrl export-hf` writes into config.json. Plain numbers and names: nothing in a folder
    that may come from anywhere says which code is to be run."""

    task: str
    data: DataFacts
    observation_mean: tuple[float, ...]
    observation_std: tuple[float, ...]
    return_scale: float
    context_steps: int
    """`max_length` too, but transformers 5 drops that."""
    target: Target
    target_return: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Statistics:
    """Mean and deviation of the observations, of which data, and how the model is played."""

    task: Task
    data: DataFacts
    mean: Float32
    deviation: Float32
    source: str
    """Who says so."""
    return_scale: float = 1000.0
    """The published one, where nothing else is known; so with the others."""
    context_steps: int | None = None
    target: Target = "best_in_data"

    def __post_init__(self) -> None:
        """Refuse what is no mean and no deviation of this task's observations."""
        width = self.task.observation_width
        for name, values in (("means", self.mean), ("deviations", self.deviation)):
            if values.shape != (width,):
                raise SeqrlError(
                    f"There are {len(values)} {name} ({self.source}); {self.task.name} needs "
                    f"{width}, one for each dimension of its observation."
                )
            if not np.isfinite(values).all():
                at = int(np.argmin(np.isfinite(values)))
                raise SeqrlError(
                    f"The {name} ({self.source}) must be finite; number {at + 1} is {values[at]}."
                )
        if (self.deviation < np.float32(LEAST)).any():
            at = int(self.deviation.argmin())
            raise SeqrlError(
                f"Deviations ({self.source}) must be {LEAST:g} or more; number {at + 1} is "
                f"{self.deviation[at]:g}."
            )


def statistics_of(
    config: Mapping[str, Any],
    task: str,
    where: str,
    *,
    mean: str | None = None,
    std: str | None = None,
    data_dir: Path | None = None,
    progress: Progress = silent,
) -> Statistics:
    """Find the statistics of a published model in one of the three ways."""
    if (mean is None) != (std is None):
        raise SeqrlError("Say both --mean and --std, or neither.")
    found = written(config, task, where)
    if mean is None or std is None:
        return found or measured(task, data_dir=data_dir, progress=progress)
    if found is not None:
        raise SeqrlError(f"{where} says its statistics itself. Leave --mean and --std out.")
    return given(task, mean, std)


def written(config: Mapping[str, Any], task: str, where: str) -> Statistics | None:
    """Return the statistics that a folder says itself; `task` must be the one it was trained on."""
    if KEY not in config:
        return None
    try:
        if "is" in _keys(config[KEY]):  # it would name a class, which would be imported
            raise SeqrlError("it has a key 'is'.")
        said: Written = from_plain(Written, config[KEY], KEY)
    except SeqrlError as error:
        raise DataError(
            f"{where}: what config.json says under {KEY!r} is not what seqrl export-hf writes: "
            f"{error} Export the model again, or remove that entry and say --mean and --std."
        ) from error
    found = task_named(task)
    if found.name != said.task:
        raise SeqrlError(
            f"{where} was trained on {said.task}, and --task {task} is {found.name}. Say --task "
            f"{said.task}."
        )
    if said.data.horizon != found.horizon:
        raise DataError(
            f"{where}: {KEY}.data.horizon is {said.data.horizon}; an episode of {found.name} has "
            f"up to {found.horizon} steps."
        )
    return Statistics(
        task=found,
        data=said.data,
        mean=np.array(said.observation_mean, np.float32),
        deviation=np.array(said.observation_std, np.float32),
        source="written into the folder by seqrl export-hf",
        return_scale=said.return_scale,
        context_steps=said.context_steps,
        target=said.target,
    )


def _keys(plain: Any) -> set[str]:
    if not isinstance(plain, dict):
        return set()
    return {*plain}.union(*map(_keys, plain.values()))


def given(task: str, mean: str, deviation: str) -> Statistics:
    """Take statistics that a person gives: values, or files of them."""
    found = task_named(task)
    entry = ENTRIES.get(Name.parse(found.name).entry)
    facts = entry.facts if entry else None
    if facts is None or facts.episodes is None or facts.steps is None:
        raise SeqrlError(
            f"Nothing is published of the content of {found.name}, not even its best return, which "
            "targets are measured by. Have the data set here instead (--data-dir, or `seqrl data "
            "fetch`), and leave --mean and --std out."
        )
    data = DataFacts(
        name=found.name,
        fingerprint="",
        episodes=facts.episodes,
        steps=facts.steps,
        best_return=facts.maximum,
        mean_return=facts.mean,
        horizon=found.horizon,
    )
    return Statistics(
        task=found,
        data=data,
        mean=_values(mean, "--mean"),
        deviation=_values(deviation, "--std"),
        source="given by --mean and --std",
    )


def measured(task: str, *, data_dir: Path | None = None, progress: Progress = silent) -> Statistics:
    """Measure the statistics of the data set that a task names; never of a stand-in for it."""
    choice = choose(task, data_dir=data_dir, reachable=can_reach)
    if choice.name.family == "seqrl":
        raise SeqrlError(
            f"{task} means {choice.name.entry} here ({choice.reason}), and no published checkpoint "
            "was trained on that: its observations have another mean and deviation. Say those of "
            "the right data with --mean and --std, or have its file here (--data-dir, or `seqrl "
            "data fetch`)."
        )
    source = Source.of(task, data_dir=data_dir, progress=progress)
    episodes = source.episodes
    mean, deviation = scale_of(Vector(standardise=True), np.asarray(episodes.observations))
    return Statistics(
        task=source.task,
        data=facts_of(episodes),
        mean=mean,
        deviation=deviation,
        source=f"measured on {episodes.name}",
    )


def _values(text: str, option: str) -> Float32:
    """Read numbers out of the text itself, or out of a file that it names: .npy or JSON."""
    found = _numbers(text)
    if found is None:
        file = Path(text).expanduser()
        with told_plainly(file, f"reading {option}"):
            content = file.read_bytes()
        found = _array(file) if content[:6] == b"\x93NUMPY" else _numbers(content.decode("latin1"))
    if found is None or found.ndim != 1 or found.dtype.kind not in "iuf":
        raise SeqrlError(
            f"{option} {text}: say numbers, 0.1,0.2,..., or a file with a row of them, .npy or "
            "JSON."
        )
    values: Float32 = found.astype(np.float32)
    return values


def _numbers(text: str) -> np.ndarray[Any, Any] | None:
    inner = text.strip().removeprefix("[").removesuffix("]")
    try:
        found = json.loads(f"[{inner}]")
    except (ValueError, RecursionError):
        return None
    plain = found and all(type(value) in (int, float) for value in found)
    return np.array(found, np.float64) if plain else None


def _array(file: Path) -> np.ndarray[Any, Any] | None:
    try:
        found: np.ndarray[Any, Any] = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError):
        return None
    return found
