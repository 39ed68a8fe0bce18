"""One run, from data to record: the one place that joins everything.

Killed at any moment and started again, it goes on where it was: training from its last state,
evaluation with the episodes that had not ended. A run whose record is there is not run again.
"""

import logging
import shutil
import time
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqrl.data.alone import alone
from seqrl.data.whole import json_lines, replace_file, to_disk, whole_lines
from seqrl.episodes import Array
from seqrl.errors import DataError, told_plainly
from seqrl.evaluation import Played, play
from seqrl.progress import Progress, silent
from seqrl.runs.experiment import RunSpec
from seqrl.runs.job import Job
from seqrl.runs.learning import trainer_of
from seqrl.runs.parting import parted
from seqrl.runs.place import Place, done_already, places_by_name
from seqrl.runs.record import RunRecord, read_record, write_record
from seqrl.runs.source import Source
from seqrl.runs.underway import read_underway, write_underway
from seqrl.tokens.tokenizer import fit

if TYPE_CHECKING:
    from seqrl.training.trainer import Told, Trainer

_log = logging.getLogger(__name__)


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
    """Do a run, or what is left of it; its record, and where that lies. Waits for whoever is at
    work on it already."""
    import torch

    from seqrl.training.device import device_named, precision_on

    chosen = device_named(device)
    job = Job.of(spec, source, precision_on(spec.agent.training.precision, torch.device(chosen)))
    place = job.place(results)
    with told_plainly(results, "making the folder for results", "--results"):
        place.work.mkdir(parents=True, exist_ok=True)
    with alone(place.lock, f"at work on {spec}", progress):
        if (found := done_already(place, job.hash, places_by_name(results))) is not None:
            done, where = found
            _log.warning("%s is done already: %s", spec, where.record)
        else:
            done = work_on(job, place, device=chosen, threads=threads, progress=progress, told=told)
            where = place
        clear_up(place)
    return done, where


def work_on(
    job: Job,
    place: Place,
    *,
    device: str,
    threads: int | None,
    progress: Progress = silent,
    told: "Told | None" = None,
) -> RunRecord:
    """Do what is left of a run, as the only one who does; its record. A failure leaves a record
    too, and goes on to whoever asked."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    try:
        learnt, held_out = parted(job.spec.agent, job.episodes)
        record = _Run(job, place, learnt, held_out, device, progress, told).record()
    except (Exception, SystemExit):  # an agent's sys.exit() is a failure of its run alone
        write_record(place.record, job.record("failed", device, error=traceback.format_exc()))
        raise
    write_record(place.record, record)
    return read_record(place.record)


def clear_up(place: Place) -> None:
    """Remove what a finished run does not need any more; its lock is held."""
    with told_plainly(place.work, "clearing up", "--results"):
        shutil.rmtree(place.work, ignore_errors=True)
        place.lock.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Run:
    """One run under way: what its pieces need to know of each other."""

    job: Job
    place: Place
    learnt: Array
    """Numbers of the episodes to train on."""
    held_out: Array
    device: str
    progress: Progress
    told: "Told | None"

    def record(self) -> RunRecord:
        """Do it."""
        spec, trainer = self.job.spec, self._trainer()
        evaluations = []
        for update in spec.evaluation.milestones(spec.agent.training.updates):
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
            "gpu_bytes": self._gpu_bytes(),
        }
        checkpoint = {"file": self.place.checkpoint.name, "sha256": digest}
        return self.job.record(
            "done",
            self.device,
            training=training,
            evaluations=evaluations,
            checkpoint=checkpoint,
        )

    def _gpu_bytes(self) -> int | None:
        """Return the most of a GPU's memory that was taken: what fits beside it."""
        import torch

        on_gpu = self.device.startswith("cuda")
        return torch.cuda.max_memory_reserved(self.device) if on_gpu else None

    def _trainer(self) -> "Trainer":
        job, agent = self.job, self.job.spec.agent
        return trainer_of(
            agent,
            job.task,
            fit(agent.layout(), job.episodes),
            job.episodes,
            (self.learnt, self.held_out),
            seed=job.spec.seed,
            hash_=job.hash,
            folder=self.place.work,
            device=self.device,
            progress=self.progress,
            told=self.told,
        )

    def _evaluate(self, trainer: "Trainer", update: int) -> dict[str, Any]:
        """Play what has not been played yet of one evaluation."""
        spec, task, count = self.job.spec, self.job.task, self.job.spec.evaluation.episodes
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
