"""What is said of time and progress: against closed forms."""

import pytest

from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.evaluation import Evaluation
from seqrl.runs.board import Board
from tests.runs.launching import jobs_of
from tests.runs.making import small, toy_source


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands until it is set."""
    now = [0.0]
    monkeypatch.setattr("seqrl.runs.board.time.monotonic", lambda: now[0])
    return now


def board_of(count: int, times: int = 1, workers: int = 2) -> Board:
    """Runs that take 80 seconds of training and 20 of playing."""
    evaluation = Evaluation(episodes=2, times=times)
    jobs = jobs_of([small(BehaviourCloning)], toy_source(), count, evaluation=evaluation)
    board = Board(tuple(jobs), workers=workers)
    board.seconds = {job.hash: (80.0, 20.0) for job in jobs}
    board.begin()
    return board


def test_how_far_a_run_is() -> None:
    """A bar that stands at the end for half of the time lies."""
    board = board_of(1)
    (job,) = board.jobs
    for doing, done, expected in (
        ("training", 0, 0.0),
        ("training", 15, 0.4),
        ("training", 30, 0.8),
        ("playing 2 episodes after 30 updates", 6, 0.9),
        ("playing 2 episodes after 30 updates", 12, 1.0),
    ):
        board.going(job, doing, done, 30 if doing == "training" else 12, "")
        assert board[job].part == pytest.approx(expected)
        assert board[job].state == "running" and board[job].doing == doing


def test_how_far_a_run_is_with_several_evaluations() -> None:
    """Each evaluation is a part of the way, not the end of it."""
    board = board_of(1, times=2)
    (job,) = board.jobs
    parts = []
    for doing, done, total in (
        ("training", 15, 30),
        ("playing", 12, 12),
        ("training", 30, 30),
        ("playing", 6, 12),
    ):
        board.going(job, doing, done, total, "")
        parts.append(board[job].part)
    assert parts == pytest.approx([0.4, 0.5, 0.9, 0.95])


def test_one_that_is_taken_up_while_playing_is_not_at_its_beginning() -> None:
    """After a kill nothing is heard of the training, which is done."""
    board = board_of(1)
    board.going(board.jobs[0], "playing", 6, 12, "")
    assert board[board.jobs[0]].part == pytest.approx(0.9)


def test_time_left(clock: list[float]) -> None:
    """At first by what was expected of so many workers, then by the pace that is seen."""
    board = board_of(4)
    assert board.seconds_left() == pytest.approx(200.0)
    for job in board.jobs[:2]:
        board.set(job, "done")
    clock[0] = 200.0  # at half of the expected pace
    expected = 200.0 / ((200.0 + 20.0) / (200.0 + 20.0 / 2))
    assert board.seconds_left() == pytest.approx(expected) and 180 < expected < 200
    for job in board.jobs[2:]:
        board.set(job, "done")
    assert board.seconds_left() == 0.0


def test_what_was_done_before_says_nothing_of_the_pace(clock: list[float]) -> None:
    """Else everything would seem to be over in a moment."""
    board = board_of(4, workers=1)
    for job in board.jobs[:3]:
        board.set(job, "done")
    board.begin()
    clock[0] = 50.0
    board.going(board.jobs[3], "training", 15, 30, "")
    left = board.seconds_left()
    assert 60 < left < 80, "40 of 100 seconds' work took 50: 60 are left, and take 75"
