"""Launch: which run of many is next, and what becomes of what came back. Whatever does the runs,
here or elsewhere, asks it and tells it.

Several launches may work on one results folder: a run that another one holds is left to it, and
looked at again later.
"""

from collections import deque

from seqrl.errors import DataError
from seqrl.runs.board import Board
from seqrl.runs.job import Job
from seqrl.runs.ledger import Claim, Ledger
from seqrl.runs.record import RunRecord, read_record
from seqrl.runs.run import clear_up

LOOK_SECONDS = 0.5
"""How often to look whether another launch has let go of a run."""


class Launch:
    """The runs that were asked for, and the folder where they are kept."""

    def __init__(self, board: Board, ledger: Ledger) -> None:
        """Find out what is done already."""
        self.board, self.ledger = board, ledger
        self.waiting: deque[Job] = deque()
        """What nobody here is at work on."""
        for job in board.jobs:
            if found := ledger.done(job):
                board.set(job, "done", record=found[0], file=found[1].record)
            else:
                self.waiting.append(job)

    def next(self) -> Claim | None:
        """Take the next run that nobody is at work on, if there is one at the moment."""
        for _ in range(len(self.waiting)):
            job = self.waiting.popleft()
            claim = self.ledger.claim(job)
            if claim is None:
                self.board.set(job, "elsewhere")
                self.waiting.append(job)
            elif found := self.ledger.done(job):  # another launch has done it meanwhile
                clear_up(claim.place)
                claim.release()
                self.board.set(job, "done", record=found[0], file=found[1].record)
            else:
                return claim
        return None

    def done(self, claim: Claim, record: RunRecord) -> None:
        """Take note of a finished run, and let it go."""
        self.board.set(claim.job, "done", record=record, file=claim.place.record)
        claim.release()

    def failed(self, claim: Claim, record: RunRecord) -> None:
        """Take note of a failed run; it waits for another launch."""
        last = (record.error or "").strip().splitlines()[-1:]
        file = claim.place.record
        self.board.set(claim.job, "failed", record=record, file=file, error="".join(last))
        claim.release()


def failed_record(claim: Claim, error: BaseException) -> RunRecord:
    """Return the record that a run left when it raised; where not even that could be written, the
    error goes on."""
    try:
        record = read_record(claim.place.record)
    except DataError:
        raise error from None
    if record.status != "failed" or record.hash != claim.job.hash:
        raise error
    return record
