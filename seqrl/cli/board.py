"""A board as a person sees it: a live grid on a terminal, now and then a line elsewhere."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from seqrl.cli.output import PLAIN_SECONDS, clock, one_decimal, tell
from seqrl.progress import counted

if TYPE_CHECKING:
    from seqrl.runs.board import Board, Standing
    from seqrl.runs.job import Job

REDRAWN_A_SECOND = 4
MOST_ROWS = 30
"""Of a grid; larger ones are counted."""


@contextmanager
def shown_board(board: "Board") -> Iterator[None]:
    """Show where all runs stand, while something changes it."""
    if not sys.stderr.isatty():
        board.changed = _Lines()
        yield
        return
    from rich.console import Console
    from rich.live import Live

    view = _Grid(board)
    console = Console(stderr=True, highlight=False)
    with Live(view, console=console, refresh_per_second=REDRAWN_A_SECOND, transient=True):
        yield


class _Grid:
    """Agents and tasks downwards, seeds to the right; below it what is running, and time left."""

    def __init__(self, board: "Board") -> None:
        self._board = board

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        board = self._board
        running = [
            Text(
                f"  {job.spec}: {standing.doing or 'starting'}"
                + (f", {standing.note}" if standing.note else ""),
                overflow="ellipsis",
                no_wrap=True,
            )
            for job in board.of("running")
            if (standing := board[job])
        ]
        return Group(self._grid(), *running[:MOST_ROWS], Text(summary(board)))

    def _grid(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        board = self._board
        rows: dict[tuple[str, str], dict[int, Standing]] = {}
        for job in board.jobs:
            key = (job.task.name, job.spec.name)
            rows.setdefault(key, {})[job.spec.seed] = board[job]
        seeds = sorted({job.spec.seed for job in board.jobs})
        if len(rows) > MOST_ROWS or len(seeds) > MOST_ROWS:
            return Text(counts(board))
        grid = Table(box=None, pad_edge=False)
        for title in ("task", "agent"):
            grid.add_column(title)
        for seed in seeds:
            grid.add_column(f"seed {seed}", justify="right")
        for (task, agent), standings in rows.items():
            cells = [cell_of(standings[seed]) if seed in standings else "" for seed in seeds]
            grid.add_row(task, agent, *cells)
        return grid


def cell_of(standing: "Standing") -> str:
    """Say in a word where a run stands."""
    if standing.state == "running":
        return f"{min(99, int(100 * standing.part))}%"
    if standing.state == "done":
        return result_of(standing)
    return {"waiting": "·", "elsewhere": "elsewhere", "failed": "failed"}[standing.state]


def result_of(standing: "Standing") -> str:
    """Return the score of a finished run; where there is none, its return."""
    record = standing.record
    assert record is not None and record.mean_return is not None
    return one_decimal(record.mean_return if record.score is None else record.score)


def counts(board: "Board") -> str:
    """Count the runs in each state."""
    found = Counter(board[job].state for job in board.jobs)
    return ", ".join(f"{number:,} {state}" for state, number in found.items())


def summary(board: "Board") -> str:
    """Say how much is done of the whole, and how long the rest will take."""
    over = len(board.of("done", "failed"))
    left = board.seconds_left()
    waits = board.of("elsewhere") and not board.of("running", "waiting")
    told = " waiting for another launch" if waits else f" about {clock(left)} left" if left else ""
    return f"{over:,} of {counted(len(board.jobs), 'run')},{told}".rstrip(",")


class _Lines:
    """Plain lines: whenever a run begins or ends, and how far the running ones are now and then."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._last = time.monotonic()

    def __call__(self, board: "Board", job: "Job") -> None:
        standing, before = board[job], self._states.get(job.hash)
        if standing.state != before:
            self._states[job.hash] = standing.state
            self._say(board, job, standing)
        elif time.monotonic() - self._last >= PLAIN_SECONDS:
            parts = [f"{job.spec} {cell_of(board[job])}" for job in board.of("running")]
            tell(f"{'; '.join(parts[:MOST_ROWS])} ({summary(board)})")
            self._last = time.monotonic()

    def _say(self, board: "Board", job: "Job", standing: "Standing") -> None:
        said = {
            "waiting": "waits to be sent out again: its process, or its machine, is gone",
            "running": "begins",
            "elsewhere": "is being done by another launch",
        }.get(standing.state)
        if standing.state == "done":
            what = "return" if standing.record and standing.record.score is None else "score"
            said = f"done, {what} {result_of(standing)} ({summary(board)})"
        elif standing.state == "failed":
            said = f"failed: {standing.error} ({summary(board)})"
        tell(f"{job.spec}: {said}")
