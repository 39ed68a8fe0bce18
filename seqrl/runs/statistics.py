"""Statistics: what a published Decision Transformer's observations were standardised with.

A published checkpoint does not hold them. They are known in three ways only: the folder says them
(`seqrl export-hf` writes them down), a person gives them, or the very data set is here.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqrl.data.names import OFFICIAL, Name, choose, official_entry
from seqrl.data.source import can_reach
from seqrl.errors import DataError, SeqrlError, told_plainly
from seqrl.progress import Progress, silent
from seqrl.runs.source import Source
from seqrl.tasks.task import Task, task_from
from seqrl.tokens.layout import Vector
from seqrl.tokens.signals import Float32
from seqrl.tokens.tokenizer import DataFacts, facts_of, scale_of

KEY = "seqrl"
"""Under which a folder's config.json says where the model comes from."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Statistics:
    """Mean and deviation of the observations, and of which data."""

    task: Task
    data: DataFacts
    mean: Float32
    deviation: Float32
    source: str
    """Who says so."""
    return_scale: float = 1000.0
    """What returns to go were divided by; published are 1000."""

    def plain(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "task": asdict(self.task),
            "data": asdict(self.data),
            "observation_mean": self.mean.tolist(),
            "observation_std": self.deviation.tolist(),
            "return_scale": self.return_scale,
        }


def written(config: Mapping[str, Any], task: str, where: str) -> Statistics | None:
    """Return the statistics that a folder says itself; `task` must be the one it was trained on."""
    if KEY not in config:
        return None
    try:
        said = config[KEY]
        found = Statistics(
            task=task_from(said["task"]),
            data=DataFacts(**said["data"]),
            mean=np.array(said["observation_mean"], np.float32),
            deviation=np.array(said["observation_std"], np.float32),
            return_scale=float(said["return_scale"]),
            source="written into the folder by seqrl export-hf",
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{where}: what config.json says under {KEY!r} is not what seqrl export-hf writes "
            f"({error!r}). Export the model again, or remove that entry and say --mean and --std."
        ) from error
    trained_on = found.task.name
    if task not in (trained_on, trained_on.partition("/")[2].rpartition("-v")[0]):
        raise SeqrlError(
            f"{where} was trained on {trained_on}, not on {task}. Say --task {trained_on}."
        )
    return _whole(found, where)


def given(task: str, mean: str, deviation: str) -> Statistics:
    """Take statistics that a person gives: values, or files of them."""
    name = Name.parse(task)
    entry = OFFICIAL.get(name.entry, name.entry)
    official = official_entry(Name(entry))
    facts = official.facts
    if facts is None or facts.episodes is None or facts.steps is None:
        raise SeqrlError(
            f"Nothing is published of the content of {entry}, not even its best return, which "
            "targets are measured by. Have the data set here instead (--data-dir, or `seqrl data "
            "fetch`), and leave --mean and --std out."
        )
    data = DataFacts(
        name=entry,
        fingerprint="",
        episodes=facts.episodes,
        steps=facts.steps,
        best_return=facts.maximum,
        mean_return=facts.mean,
        horizon=official.task.horizon,
    )
    found = Statistics(
        task=official.task,
        data=data,
        mean=_values(mean, "--mean"),
        deviation=_values(deviation, "--std"),
        source="given by --mean and --std",
    )
    return _whole(found, "--mean and --std")


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
    """Read numbers out of a file (.npy, or JSON or plain text), or out of the text itself."""
    file = Path(text).expanduser()
    try:
        if file.suffix == ".npy":
            with told_plainly(file, "reading statistics"):
                found = np.load(file, allow_pickle=False)
        else:
            content = file.read_text() if file.is_file() else text
            found = np.array(json.loads(f"[{content.strip().strip('[]')}]"))
        values: Float32 = found.astype(np.float32)
    except (ValueError, TypeError) as error:
        raise SeqrlError(
            f"{option} {text}: say numbers, 0.1,0.2,..., or a file of them, .npy or JSON ({error})."
        ) from error
    if values.ndim != 1:
        raise SeqrlError(f"{option} {text}: one number a dimension, not shape {values.shape}.")
    return values


def _whole(found: Statistics, where: str) -> Statistics:
    width = found.task.observation_width
    for name, values in (("means", found.mean), ("deviations", found.deviation)):
        if len(values) != width or not np.isfinite(values).all():
            raise SeqrlError(
                f"{where}: there are {len(values)} {name}; {found.task.name} needs {width} finite "
                "numbers, one for each dimension of its observation."
            )
    if not (found.deviation > 0).all():
        raise SeqrlError(f"{where}: deviations must be above zero, not {found.deviation}.")
    return found
