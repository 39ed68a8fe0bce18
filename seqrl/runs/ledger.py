"""Ledger: the results folder as a launch keeps it. Who may do a run, what comes back of it.

One claim is one run in one process: a lock that the system releases however the process dies. What
comes from elsewhere is put in its place in an order in which a kill between two files loses work,
and never truth.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from seqrl.data.whole import replace_file
from seqrl.errors import DataError, told_plainly
from seqrl.runs.job import Job
from seqrl.runs.place import WORK, Place, done_already, places_by_name
from seqrl.runs.record import RunRecord, record_in, write_record
from seqrl.runs.run import clear_up

LAST = "state.safetensors"
"""Written last of what an unfinished run needs: what lies beside it may be newer, never older."""


@dataclass(eq=False)
class Ledger:
    """A results folder."""

    results: Path

    @cached_property
    def _before(self) -> dict[str, list[Path]]:
        """Records that were there when this launch began, of all experiments."""
        return places_by_name(self.results)

    def prepare(self) -> None:
        """Refuse a folder that nothing can be written to, before anything has been done."""
        with told_plainly(self.results, "making the folder for results", "--results"):
            (self.results / WORK).mkdir(parents=True, exist_ok=True)
            (self.results / "runs").mkdir(exist_ok=True)
            for folder in (self.results / WORK, self.results / "runs"):
                probe = folder / ".can-be-written"
                probe.write_text("")
                probe.unlink(missing_ok=True)

    def done(self, job: Job) -> tuple[RunRecord, Place] | None:
        """Return the record of a run that is done, and where it lies."""
        return done_already(job.place(self.results), job.hash, self._before)

    def claim(self, job: Job) -> "Claim | None":
        """Take a run, if nobody else is at work on it."""
        place = job.place(self.results)
        with told_plainly(place.work, "making the folder of a run", "--results"):
            place.work.mkdir(parents=True, exist_ok=True)
            place.lock.open("a").close()  # the lock itself would wait for what cannot be written
        lock = FileLock(place.lock)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return Claim(job, place, lock)


@dataclass(frozen=True, eq=False)
class Claim:
    """A run that is ours to do; left, it is anybody's again."""

    job: Job
    place: Place
    _lock: FileLock

    def __enter__(self) -> "Claim":
        """Hold it for a while."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let it go."""
        self.release()

    def release(self) -> None:
        """Let it go: another process may take it."""
        self._lock.release()

    def kept(self) -> dict[str, bytes]:
        """Return what is needed to go on, file by file; nothing of a run that was never begun."""
        with told_plainly(self.place.work, "reading an unfinished run", "--results"):
            return {
                file.name: file.read_bytes()
                for file in sorted(self.place.work.iterdir())
                if file.is_file() and file.name[0] != "."
            }

    def keep(self, files: Mapping[str, bytes]) -> None:
        """Put what is needed to go on in its place; it may come from another machine."""
        for name in sorted(files, key=lambda name: (name == LAST, name)):
            assert Path(name).name == name and name[0] != ".", name
            with told_plainly(self.place.work, "keeping an unfinished run", "--results"):
                replace_file(self.place.work / name, files[name])

    def finish(self, record: bytes, checkpoint: bytes, metrics: bytes) -> RunRecord:
        """Put in its place what a run came to; the record last, as it says that all is there."""
        place, found = self.place, self.read(record)
        if not found.is_of(hashlib.sha256(checkpoint).hexdigest()):
            raise DataError(f"What arrived of {self.job.spec} does not belong together.")
        with told_plainly(place.record, "writing what a run came to", "--results"):
            place.record.parent.mkdir(parents=True, exist_ok=True)
            replace_file(place.checkpoint, checkpoint)
            replace_file(place.metrics, metrics)
            replace_file(place.record, record)
        clear_up(place)
        return found

    def read(self, content: bytes) -> RunRecord:
        """Read a record that has come from elsewhere; another run's is refused."""
        found = record_in(content, f"What arrived of {self.job.spec}")
        if found.hash != self.job.hash:
            raise DataError(f"What arrived of {self.job.spec} is not what was asked for.")
        return found

    def fail(self, record: RunRecord) -> RunRecord:
        """Leave a failed record; what has been trained stays, to go on from."""
        write_record(self.place.record, record)
        return record
