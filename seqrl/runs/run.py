"""One run, from data to record: the one place that joins everything.

Killed at any moment and started again, it goes on where it was: training from its last state,
evaluation with the episodes that had not ended. A run whose record is there is not run again.
"""

import json
import logging
import shutil
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqrl.agents.agent import Agent
from seqrl.data.alone import alone
from seqrl.data.whole import json_lines, replace_file, sha256_of, to_disk, whole_lines
from seqrl.episodes import Array, Episodes
from seqrl.errors import DataError, SeqrlError, told_plainly
from seqrl.evaluation import Played, play
from seqrl.plain import to_plain
from seqrl.progress import Progress, silent
from seqrl.runs.checking import refuse_unbounded
from seqrl.runs.experiment import RunSpec
from seqrl.runs.identity import hash_of, identity_of, machine, versions
from seqrl.runs.learning import trainer_of
from seqrl.runs.parting import parted
from seqrl.runs.record import RunRecord, read_record, write_record
from seqrl.runs.source import Source
from seqrl.runs.underway import read_underway, write_underway
from seqrl.tasks.environment import Environments
from seqrl.tasks.task import Task
from seqrl.tokens.tokenizer import facts_of, fit

if TYPE_CHECKING:
    from seqrl.training.trainer import Told, Trainer

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a run's files lie."""

    record: Path
    work: Path
    """What is needed to go on with an unfinished run; removed in the end."""

    @classmethod
    def of(cls, results: Path, spec: RunSpec, task: str, hash_: str) -> "Place":
        """Return the places within a results folder."""
        folders = [part.replace("/", "-").replace(":", "-") for part in (task, spec.name)]
        folder = results.joinpath("runs", Path(spec.experiment).stem, *folders)
        record = folder / f"seed-{spec.seed}-{hash_[:8]}.json"
        return cls(record, results / ".work" / hash_[:16])

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint."""
        return self.record.with_suffix(".safetensors")

    @property
    def metrics(self) -> Path:
        """How the training went."""
        return self.record.with_suffix(".metrics.jsonl")


def run_one(
    spec: RunSpec,
    source: Source,
    *,
    results: Path,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress = silent,
    told: "Told | None" = None,
) -> tuple[RunRecord, Place]:
    """Do a run, or what is left of it; its record, and where that lies."""
    import torch

    from seqrl.training.device import device_named, precision_on

    if threads is not None:
        torch.set_num_threads(threads)
    chosen = device_named(device)
    episodes = source.episodes
    precision = precision_on(spec.agent.training.precision, torch.device(chosen))
    facts = _before_anything(spec.agent, source.task, episodes)
    learnt, held_out = parted(spec.agent, episodes)
    identity = identity_of(spec, episodes.fingerprint, source.task, precision)
    hash_ = hash_of(spec, identity)
    place = Place.of(results, spec, source.task.name, hash_)
    with told_plainly(results, "making the folder for results"):
        place.work.mkdir(parents=True, exist_ok=True)
    lock = place.work.with_suffix(".lock")
    with alone(lock, f"at work on {spec}", progress):
        if (done := finished(place, hash_)) is not None:
            _log.warning("%s is done already: %s", spec, place.record)
        else:
            done = _Run(
                spec=spec,
                source=source,
                episodes=episodes,
                learnt=learnt,
                held_out=held_out,
                facts=facts,
                identity=identity,
                hash=hash_,
                place=place,
                device=chosen,
                progress=progress,
                told=told,
            ).record()
        with told_plainly(place.work, "clearing up"):
            shutil.rmtree(place.work, ignore_errors=True)
            lock.unlink(missing_ok=True)
    return done, place


def _before_anything(agent: Agent, task: Task, episodes: Episodes) -> dict[str, Any]:
    """Refuse now what would fail after hours; what the agent says of itself on this data."""
    refuse_unbounded(task)
    Environments(task, 1).close()
    facts = agent.facts(facts_of(episodes))
    try:
        json.dumps(facts, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SeqrlError(
            f"{type(agent).__name__}.facts() must return plain numbers and texts for the record, "
            f"not {facts!r}: {error}."
        ) from error
    return facts


def finished(place: Place, hash_: str) -> RunRecord | None:
    """Return the record of a run that is done already, if it and its checkpoint are whole."""
    if not place.record.exists():
        return None
    try:
        record = read_record(place.record)
        if record.status != "done" or not place.checkpoint.exists():
            return None
        if record.hash == hash_ and record.is_of(sha256_of(place.checkpoint)):
            return record
        why = "it and its checkpoint do not belong together"
    except DataError as error:
        why = str(error)
    _log.warning("%s is there, but %s: running it again.", place.record, why.rstrip("."))
    return None


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One run under way: what its pieces need to know of each other."""

    spec: RunSpec
    source: Source
    episodes: Episodes
    learnt: Array
    """Numbers of the episodes to train on."""
    held_out: Array
    facts: Mapping[str, Any]
    identity: Mapping[str, Any]
    hash: str
    place: Place
    device: str
    progress: Progress
    told: "Told | None"

    def record(self) -> RunRecord:
        """Do it; a failure leaves a record too, and goes on to whoever asked."""
        try:
            record = self._done()
        except Exception:
            failed = self._describe("failed", {}, [], None, traceback.format_exc())
            write_record(self.place.record, failed)
            raise
        write_record(self.place.record, record)
        return read_record(self.place.record)

    def _done(self) -> RunRecord:
        trainer = self._trainer()
        evaluations = []
        for update in self.spec.evaluation.milestones(self.spec.agent.training.updates):
            trainer.until(update)
            evaluations.append(self._evaluate(trainer, update))
        digest = trainer.write_policy(self.place.checkpoint)
        self.place.metrics.write_bytes(trainer.metrics.read_bytes())
        training = {
            "updates": trainer.update,
            "parameters": sum(weight.numel() for weight in trainer.model.parameters()),
            "precision": trainer.precision,
            "seconds": round(trainer.seconds, 3),
            "updates_per_second": round(trainer.update / max(trainer.seconds, 1e-9), 4),
            "episodes": len(self.learnt),
            "episodes_held_out": len(self.held_out),
        }
        checkpoint = {"file": self.place.checkpoint.name, "sha256": digest}
        return self._describe("done", training, evaluations, checkpoint, None)

    def _trainer(self) -> "Trainer":
        agent = self.spec.agent
        return trainer_of(
            agent,
            self.source.task,
            fit(agent.layout(), self.episodes),
            self.episodes,
            (self.learnt, self.held_out),
            seed=self.spec.seed,
            hash_=self.hash,
            folder=self.place.work,
            device=self.device,
            progress=self.progress,
            told=self.told,
        )

    def _evaluate(self, trainer: "Trainer", update: int) -> dict[str, Any]:
        """Play what has not been played yet of one evaluation."""
        spec, task, count = self.spec, self.source.task, self.spec.evaluation.episodes
        journal = self.place.work / f"episodes-{update}.jsonl"
        played = {line["number"]: line for line in whole_lines(journal)}
        # Without what a kill cut off: the next line would be glued to it.
        replace_file(journal, json_lines([*played.values()]))
        waiting = [number for number in range(count) if number not in played]
        if waiting and trainer.update > update:
            raise DataError(
                f"{journal} has lost episodes, and the training has gone on since: the disk was "
                f"not in time for a power cut. Remove {self.place.work} to begin anew."
            )
        middle = self.place.work / f"underway-{update}.safetensors"
        begun = read_underway(middle)
        began, taken_up = time.monotonic(), bool(played or begun)
        with journal.open("a") as out:

            def told(episode: Played) -> None:
                out.write(json_lines([episode.plain()]))
                out.flush()

            for episode in play(
                spec.agent,
                trainer.model,
                task,
                seed=spec.seed,
                numbers=waiting,
                told=told,
                progress=self.progress,
                doing=f"playing {count} episodes after {update:,} updates",
                begun=begun,
                keep=partial(write_underway, middle),
            ):
                played[episode.number] = episode.plain()
        to_disk(journal)  # before the training goes on
        middle.unlink(missing_ok=True)
        returns = [played[number]["return"] for number in range(count)]
        mean = float(np.mean(returns))
        return {
            "update": update,
            "return": mean,
            "score": task.scored(mean),
            # Of an evaluation that was killed in between nobody knows.
            "seconds": None if taken_up else round(time.monotonic() - began, 3),
            "episodes": [played[number] for number in range(count)],
        }

    def _describe(
        self,
        status: Any,
        training: Mapping[str, Any],
        evaluations: list[dict[str, Any]],
        checkpoint: Mapping[str, Any] | None,
        error: str | None,
    ) -> RunRecord:
        spec, episodes = self.spec, self.episodes
        returns = episodes.returns
        mean = float(returns.mean())
        task = self.source.task
        return RunRecord(
            status=status,
            hash=self.hash,
            experiment=Path(spec.experiment).stem,
            changed=list(spec.changed),
            name=spec.name,
            agent=to_plain(spec.agent),
            seed=spec.seed,
            identity=self.identity,
            task=asdict(task),
            data={
                "name": episodes.name,
                "fingerprint": episodes.fingerprint,
                "chosen_because": self.source.choice.reason,
                "episodes": len(episodes),
                "steps": episodes.steps,
                "best_return": float(returns.max()),
                "mean_return": mean,
                "mean_score": task.scored(mean),
            },
            facts=self.facts,
            training=training,
            checkpoint_rule="last",
            evaluations=evaluations,
            checkpoint=checkpoint,
            versions=versions(),
            machine=machine(self.device),
            written=datetime.now(UTC).isoformat(timespec="seconds"),
            error=error,
        )
