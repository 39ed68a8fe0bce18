"""Inline: the runs of a launch one after another, in this process."""

import sys
import time
from contextlib import redirect_stdout

from seqrl.progress import Progress
from seqrl.runs.job import Job
from seqrl.runs.launch import LOOK_SECONDS, Launch, failed_record
from seqrl.runs.ledger import Claim
from seqrl.runs.run import clear_up, work_on


def run_inline(launch: Launch, *, device: str, threads: int) -> None:
    """Do all runs that are not done."""
    while launch.waiting:
        claim = launch.next()
        if claim is not None:
            with claim:
                _do(launch, claim, device, threads)
        elif launch.waiting:
            time.sleep(LOOK_SECONDS)


def _do(launch: Launch, claim: Claim, device: str, threads: int) -> None:
    launch.board.set(claim.job, "running")
    watch = _watch(launch, claim.job)
    try:
        with redirect_stdout(sys.stderr):  # stdout is for results
            record = work_on(claim.job, claim.place, device=device, threads=threads, progress=watch)
    except (Exception, SystemExit) as error:
        launch.failed(claim, failed_record(claim, error))
        return
    clear_up(claim.place)
    launch.done(claim, record)


def _watch(launch: Launch, job: Job) -> Progress:
    def going(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        launch.board.going(job, doing, done, total, note)

    return going
