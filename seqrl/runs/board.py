"""Board: where every run of a launch stands. Knows nothing of how it is shown."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from seqrl.runs.job import Job
from seqrl.runs.record import RunRecord

State = Literal["waiting", "running", "elsewhere", "done", "failed"]
OVER: tuple[State, ...] = ("done", "failed")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where one run stands."""

    state: State = "waiting"
    """`elsewhere`: another launch is at work on it."""
    doing: str = ""
    part: float = 0.0
    """Of all its work, from 0 to 1."""
    trained: float = 0.0
    """Of its training."""
    note: str = ""
    record: RunRecord | None = None
    file: Path | None = None
    """Where the record lies."""
    error: str = ""
    """Of a failed run, the last line of what was raised."""


@dataclass
class Board:
    """All runs, in their order, and where they stand."""

    jobs: tuple[Job, ...]
    workers: int
    seconds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """What each run that is to be done is expected to take on one worker, training and playing, by
    hash."""
    changed: Callable[["Board", Job], None] = lambda board, job: None
    """Is called when something has changed."""
    standings: dict[str, Standing] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)
    _at_start: float = 0.0

    def __post_init__(self) -> None:
        """Let all wait."""
        self.standings = {job.hash: Standing() for job in self.jobs}

    def __getitem__(self, job: Job) -> Standing:
        """Return where a run stands."""
        return self.standings[job.hash]

    def begin(self) -> None:
        """Count time and work from now on: what is done already has taken none of it."""
        self._began, self._at_start = time.monotonic(), self.work_done()

    def set(self, job: Job, state: State, **said: object) -> None:
        """Let a run stand elsewhere than before."""
        self.standings[job.hash] = replace(self[job], state=state, **said)  # type: ignore[arg-type]
        self.changed(self, job)

    def going(self, job: Job, doing: str, done: float, total: float, note: str) -> None:
        """Take note of how far a run is, from what it says of itself."""
        share = min(1.0, done / total) if total else 0.0
        times, before = job.spec.evaluation.times, self[job]
        if doing == "training":
            trained, played = share, max(0, math.ceil(share * times - 1e-9) - 1) / times
        else:  # an evaluation, with which every stretch of training ends
            trained = max(before.trained, 1 / times)
            played = (round(trained * times) - 1 + share) / times
        training, playing = self._seconds(job)
        part = (training * trained + playing * played) / max(training + playing, 1e-9)
        part = max(before.part, min(1.0, part))
        self.set(job, "running", doing=doing, trained=trained, part=part, note=note)

    # ---- of the whole ------------------------------------------------------------------------

    def of(self, *states: State) -> list[Job]:
        """Return the runs in these states."""
        return [job for job in self.jobs if self[job].state in states]

    def work_done(self) -> float:
        """Return what has been done, in expected seconds of one worker."""
        return sum(
            sum(self._seconds(job)) * (1.0 if self[job].state in OVER else self[job].part)
            for job in self.jobs
        )

    def seconds_left(self) -> float:
        """Return how long it will still take, by the pace so far; at the start, by what was
        expected."""
        total = sum(sum(self._seconds(job)) for job in self.jobs)
        done, elapsed = self.work_done() - self._at_start, time.monotonic() - self._began
        left = total - self._at_start - done
        # What was expected counts as much as what was seen, after a twentieth of the work.
        trust = 0.05 * (left + done)
        pace = (done + trust) / (elapsed + trust / self.workers) if left else 1.0
        return left / pace

    def _seconds(self, job: Job) -> tuple[float, float]:
        return self.seconds.get(job.hash, (0.0, 0.0))
