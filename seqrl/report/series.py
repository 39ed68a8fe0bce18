"""Series: what figures show, as plain rows. Pure functions of records that are done, in a fixed
order; numbers are rounded, so that equal records give equal bytes on every machine.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seqrl.report.belonging import in_order, in_returns
from seqrl.report.bootstrap import profile_intervals
from seqrl.report.coverage import Coverage, coverage_of
from seqrl.report.scores import Interval, profile
from seqrl.report.tables import ScoreTable
from seqrl.runs.record import RunRecord

DIGITS = 4
THRESHOLDS = tuple(range(0, 121, 4))
"""Scores at which a profile is read."""
NONE_DONE = "no run is done"

Number = int | float | None
Score = Callable[[RunRecord, Any], float]
"""Of an evaluation of a run."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a figure, and whose it is."""

    agent: str
    task: str
    seed: int
    x: Number
    y: float
    hash: str


@dataclass(frozen=True, kw_only=True)
class ProfilePoint:
    """How many of an agent's runs are above a score."""

    agent: str
    above: int
    share: float
    interval: Interval | None
    coverage: Coverage | None


@dataclass(frozen=True, kw_only=True)
class Series:
    """What one figure shows."""

    name: str
    """Of its files."""
    title: str
    x: str
    """What x is, with its unit; empty where there is none."""
    y: str
    why_empty: str
    """What is to be done to have it."""
    points: tuple[Point, ...]
    all_checkpoints: bool = False
    """Else of the last one of each run."""

    def unit(self, task: str, table: ScoreTable) -> str:
        """Return what y is on a task: returns, where there are no scores."""
        return table.unit(task) if self.y == "score" else self.y


def all_series(records: Iterable[RunRecord]) -> list[Series]:
    """Return what every figure of runs shows."""
    all_ = in_order(records)
    found = [record for record in all_ if record.status == "done"]
    score = _score_in(in_returns(all_))
    shown = [
        scores(found, score),
        learning(found, score),
        budget(found, score),
        following(found),
        seconds(found),
    ]
    return shown if found else [replace(one, why_empty=NONE_DONE) for one in shown]


def _score_in(tasks: Collection[str]) -> Score:
    """Return what gives an evaluation's score; on these tasks, its return."""

    def score(record: RunRecord, evaluation: Any) -> float:
        value: float = evaluation["return" if record.task["name"] in tasks else "score"]
        return value

    return score


def scores(records: Sequence[RunRecord], score: Score) -> Series:
    """Return the score of each run."""
    return Series(
        name="scores",
        title="Scores: bars are means over seeds, ± standard deviation; points are seeds",
        x="",
        y="score",
        why_empty=NONE_DONE,
        points=_points(records, lambda record: [(None, score(record, record.evaluations[-1]))]),
    )


def learning(records: Sequence[RunRecord], score: Score) -> Series:
    """Return how scores grew, of runs that were evaluated more than once."""
    return Series(
        name="learning-curves",
        title="Learning curves, every evaluation: thin lines are seeds, thick ones their mean",
        all_checkpoints=True,
        x="updates",
        y="score",
        why_empty="every run was evaluated once; --times 5 of `seqrl bench` gives more",
        points=_points(
            (record for record in records if len(record.evaluations) > 1),
            lambda record: [(e["update"], score(record, e)) for e in record.evaluations],
        ),
    )


def budget(records: Sequence[RunRecord], score: Score) -> Series:
    """Return the score after so many seconds of training."""

    def values(record: RunRecord) -> list[tuple[Number, float]]:
        each = record.training["seconds"] / record.training["updates"]
        return [(each * e["update"], score(record, e)) for e in record.evaluations]

    return Series(
        name="score-by-budget",
        title="Score against budget, every evaluation: seconds of training, on each run's machine",
        all_checkpoints=True,
        x="seconds of training",
        y="score",
        why_empty="no run says how long it trained",
        points=_points((r for r in records if r.training.get("seconds")), values),
    )


def following(records: Sequence[RunRecord]) -> Series:
    """Return asked and achieved returns, of agents that ask for one."""
    return Series(
        name="asked-achieved",
        title="Asked against achieved return: one point a run",
        x="return asked for",
        y="return achieved",
        why_empty="no agent asks for a return; `seqrl targets CHECKPOINT` plays one at many",
        points=_points(
            (r for r in records if r.facts.get("target_return") is not None),
            lambda r: [(r.facts["target_return"], r.evaluations[-1]["return"])],
        ),
    )


def seconds(records: Sequence[RunRecord]) -> Series:
    """Return how long a decision took."""

    def values(record: RunRecord) -> list[tuple[Number, float]]:
        last = record.evaluations[-1]
        lengths = record.columns[-1]["length"]
        known = last["seconds"] and None not in lengths
        return [(None, last["seconds"] / sum(lengths))] if known else []

    return Series(
        name="seconds-per-decision",
        title="Seconds per decision: playing, simulator included, up to 25 episodes together",
        x="",
        y="seconds per decision",
        why_empty="of no run it is known how long it played, uninterrupted, and how many steps",
        points=_points(records, values),
    )


def _points(
    records: Iterable[RunRecord], values: Callable[[RunRecord], list[tuple[Number, float]]]
) -> tuple[Point, ...]:
    return tuple(
        Point(
            agent=record.name,
            task=record.task["name"],
            seed=record.seed,
            x=None if x is None else _rounded(x),
            y=_rounded(y),
            hash=record.hash[:8],
        )
        for record in records
        for x, y in values(record)
    )


def _rounded(value: float) -> float:
    """Keep so many digits, the same on every machine; seconds may be small."""
    return float(f"{value:.{DIGITS}g}") if abs(value) < 1 else round(value, DIGITS)


def profiles(table: ScoreTable) -> list[ProfilePoint]:
    """Return performance profiles, of agents with enough seeds of every task."""
    found = []
    for agent, runs in table.on_all.items():
        intervals: Sequence[Interval | None] = [None] * len(THRESHOLDS)
        if known := coverage_of("profile", len(runs[0]), len(runs)):
            intervals = profile_intervals(runs, THRESHOLDS)
        found += [
            ProfilePoint(
                agent=agent,
                above=above,
                share=round(float(share), DIGITS),
                interval=interval,
                coverage=known,
            )
            for above, share, interval in zip(
                THRESHOLDS, profile(runs, THRESHOLDS), intervals, strict=True
            )
        ]
    return found
