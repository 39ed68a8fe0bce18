"""RunRecord: what a run leaves, as one small file of JSON. Needs neither torch nor a simulator."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from statistics import stdev
from typing import Any, Literal

import orjson

from seqrl.data.whole import replace_file
from seqrl.errors import DataError, told_plainly
from seqrl.progress import one_line

FORMAT = 1
PROTOCOL = 2
"""Raised whenever a change moves the numbers that equal settings give. 2: 25 rows are played
together, not 16, which moves last bits."""

PLAYED: Mapping[str, set[type]] = {
    "number": {int},
    "seed": {int},
    "return": {int, float},
    "length": {int, type(None)},
    "terminated": {bool, type(None)},
    "outside": {int, type(None)},
}
"""What an evaluation says of each episode, and as what: types alone, there are very many."""

OF_DATA = "data"
"""What tables call the row of the data themselves; no agent is called so."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One agent, one task, one seed: what was asked for, on what, and what came of it."""

    status: Literal["done", "failed"]
    hash: str
    """Over everything that the numbers depend on; equal hashes are one run."""
    experiment: str
    changed: Sequence[str]
    """What was changed of the experiment's settings, as it was said."""
    name: str
    """What the experiment calls the agent."""
    agent: Mapping[str, Any]
    """Its class, and all its fields."""
    seed: int
    identity: Mapping[str, Any]
    """What the hash is made of, besides agent and seed: data, fingerprint, environment,
    evaluation, precisions, versions, protocol."""
    task: Mapping[str, Any]
    data: Mapping[str, Any]
    """Name, fingerprint, episodes, steps, best and mean return, and why this data was taken."""
    facts: Mapping[str, Any]
    """What the agent says of itself on this data: its target, and by which rule."""
    training: Mapping[str, Any]
    """Updates, parameters, precision, seconds, updates per second, the most memory of a GPU."""
    checkpoint_rule: str
    evaluations: Sequence[Mapping[str, Any]]
    """Each: after how many updates, every episode's number, seed, return, length, end, and numbers
    outside the data's bins; mean return, mean score, seconds."""
    checkpoint: Mapping[str, Any] | None
    """File name, beside the record, and SHA-256 of the last checkpoint."""
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    written: str
    """When, in UTC."""
    error: str | None = None
    """Of a failed run, the traceback."""

    @property
    def score(self) -> float | None:
        """Mean score of the last checkpoint; nothing where the task has no reference returns."""
        return self.evaluations[-1]["score"] if self.evaluations else None

    @property
    def mean_return(self) -> float | None:
        """Mean return of the last checkpoint."""
        return self.evaluations[-1]["return"] if self.evaluations else None

    @cached_property
    def columns(self) -> Sequence[Mapping[str, Sequence[Any]]]:
        """Of each evaluation what its episodes say, by the names of `PLAYED`, in their order; None
        is what an older record lacks."""
        return [_columns(one["episodes"]) for one in self.evaluations]

    @property
    def returns(self) -> Sequence[float]:
        """Of the last checkpoint, episode by episode."""
        return self.columns[-1]["return"] if self.evaluations else ()

    @property
    def deviation(self) -> float | None:
        """Standard deviation of these returns, n-1; one has none."""
        returns = self.returns
        return stdev(returns) if len(returns) > 1 else None

    @property
    def kind(self) -> str:
        """The name of the agent's class."""
        place: str = self.agent["is"]
        return place.rpartition(":")[2]

    @property
    def playing_seconds(self) -> float | None:
        """Of all evaluations together; of those that were killed in between nobody knows."""
        seconds = [evaluation["seconds"] for evaluation in self.evaluations]
        return sum(seconds) if seconds and None not in seconds else None

    def is_of(self, sha256: str) -> bool:
        """Say whether it is of the checkpoint with this hash."""
        return self.checkpoint is not None and self.checkpoint["sha256"] == sha256

    def caption(self) -> str:
        """Say all that a number of this record must not be told without."""
        name, task, versions = self.name, self.task, self.versions
        # What was asked for: a failed run has come to nothing, and has a caption all the same.
        updates, evaluation = self.agent["training"]["updates"], self.identity["evaluation"]
        facts = facts_in_words(self.facts)
        settings = f"experiment {self.experiment}" + "".join(f", {said}" for said in self.changed)
        data = self.data
        return (
            ("FAILED: " if self.status == "failed" else "")
            + f"{name} ({self.kind}; {settings}), trained on {data['name']} ("
            f"{fingerprint_in_words(data['fingerprint'])}), played in {task['environment']}; "
            f"seed {self.seed}; "
            f"{updates:,} updates in {self.identity['training_precision']}; "
            f"{self.checkpoint_rule} checkpoint, {evaluation['episodes']} episodes, played in "
            f"{evaluation['precision']}"
            + (f"; {facts}" if facts else "")
            + f"; seqrl {versions['seqrl']} (protocol {self.identity['protocol']}), torch "
            f"{versions['torch']}, gymnasium {versions['gymnasium']}, mujoco {versions['mujoco']}."
        )


def _columns(episodes: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[Any]]:
    if not episodes:
        return dict.fromkeys(PLAYED, ())
    try:
        rows = [*map(itemgetter(*PLAYED), episodes)]
    except KeyError:
        rows = [tuple(one.get(name) for name in PLAYED) for one in episodes]
    return dict(zip(PLAYED, zip(*rows, strict=True), strict=True))


def no_name(text: str) -> str:
    """Say why an agent or an experiment cannot be called so; nothing if it can."""
    if text == OF_DATA:
        return f"nothing is called {OF_DATA!r}: every table has a row of that name"
    if not text or one_line(text) != text:
        return f"the name {text!r} cannot be told from others by eye"
    return ""


def facts_in_words(facts: Mapping[str, Any]) -> str:
    """Say what an agent says of itself, in one order, whoever wrote the record."""
    return ", ".join(
        f"{key.replace('_', ' ')} {f'{value:,.1f}' if isinstance(value, float) else value}"
        for key, value in sorted(facts.items())
    )


def fingerprint_in_words(fingerprint: str) -> str:
    """Say which content data have; of imported models nobody may have seen it."""
    return f"fingerprint {fingerprint[:8]}" if fingerprint else "content not seen here"


def write_record(file: Path, record: RunRecord) -> None:
    """Put a record in its place, whole."""
    content = json.dumps({"format": FORMAT, **asdict(record)}, indent=1, allow_nan=False)
    with told_plainly(file, "writing a record", "--results"):
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, content + "\n")


def read_record(file: Path) -> RunRecord:
    """Read a record."""
    if file.exists() and not (file.is_file() or file.is_dir()):
        raise DataError(f"{file} is no file, and cannot be read.")  # a pipe would keep us waiting
    with told_plainly(file, "reading a record", None):
        content = file.read_bytes()
    return record_in(content, str(file))


def record_in(content: bytes, where: str) -> RunRecord:
    """Make a record of the content of its file; `where` names that in messages."""
    try:
        plain = orjson.loads(content)
    except ValueError as error:
        raise _damaged(where, str(error)) from error
    if not isinstance(plain, dict) or "format" not in plain:
        raise _damaged(where, "it has no format number")
    if plain["format"] != FORMAT:
        raise DataError(f"{where} is a record of another format than {FORMAT}.")
    known = {field.name for field in fields(RunRecord)}
    if missing := sorted(known - plain.keys() - {"error"}):
        raise _damaged(where, f"it lacks {', '.join(missing)}")
    return RunRecord(**{name: value for name, value in plain.items() if name in known})


def _damaged(where: str, why: str) -> DataError:
    return DataError(
        f"{where} is not a whole record of seqrl: {why}. If it was one, remove it, and run it "
        "again."
    )
