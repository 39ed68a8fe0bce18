"""Tables of scores: agents x tasks, over seeds. A pure function of records, in whatever order they
were read; what does not belong together is refused, see `belonging`.

Numbers only: `blocks` says them in words, `formats` writes them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np

from seqrl.report.belonging import (
    Kind,
    alike,
    environment_of,
    in_order,
    in_returns,
    one_kind_of_data,
    refuse_mixed_cell,
    refuse_mixed_column,
    refuse_mixed_data,
)
from seqrl.report.bootstrap import improvement_interval, intervals
from seqrl.report.coverage import Coverage, coverage_of
from seqrl.report.coverage import Kind as IntervalKind
from seqrl.report.scores import (
    Interval,
    Statistic,
    Tasks,
    deviation,
    differences,
    improvement,
    iqm,
    median,
    optimality_gap,
    t_interval,
)
from seqrl.runs.record import RunRecord

Asked = tuple[str, str, int]
"""A run that was asked for: agent, task (full data name), seed."""

ENOUGH = 5
"""Seeds of every task from which on runs are summed up over tasks by more than a mean."""


AGGREGATES: dict[IntervalKind, Statistic] = {
    "IQM": iqm,
    "median": median,
    "optimality gap": optimality_gap,
}


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number, and its interval; none where nobody knows how often it would hold the truth."""

    value: float
    interval: Interval | None
    coverage: Coverage | None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One number of each of some seeds."""

    values: Mapping[int, float]
    tasks: int = 1
    """Over how many each is a mean."""

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.values)

    @property
    def mean(self) -> float | None:
        """Over seeds."""
        return fmean(self.values.values()) if self.values else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds, n-1; one seed has none."""
        return deviation(self.values.values())

    @property
    def interval(self) -> Interval | None:
        """Of the mean; nothing where nobody knows how often it would hold it."""
        return t_interval([*self.values.values()]) if self.coverage else None

    @property
    def coverage(self) -> Coverage | None:
        """How often such an interval holds the truth."""
        return coverage_of(self._kind, self.n, self.tasks)

    @property
    def _kind(self) -> IntervalKind:
        return "t"


@dataclass(frozen=True, kw_only=True)
class Cell(Sample):
    """One agent on one task: scores, each a mean over episodes."""

    failed: int
    missing: int
    """Seeds that were asked for, or else that others in the table have."""
    played: Mapping[int, tuple[Any, ...]]
    """For each seed, where it played, and the seeds of its episodes: equal ones begin alike."""


@dataclass(frozen=True, kw_only=True)
class Paired(Sample):
    """What one agent has more than another, seed by seed."""

    @property
    def _kind(self) -> IntervalKind:
        return "paired t"


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """Scores of agents on tasks."""

    agents: tuple[str, ...]
    tasks: tuple[str, ...]
    """Full data names."""
    cells: Mapping[tuple[str, str], Cell]
    """By agent and task; none is left out."""
    data: Mapping[str, float]
    """By task, the mean score of the data itself; not of tasks without records, or of different
    data put together."""
    in_returns: frozenset[str]
    """Tasks without reference returns: everything of them is a return, not a score."""
    experiments: Mapping[str, frozenset[str]]
    """By agent, those that its records come from."""

    def unit(self, task: str) -> str:
        """Say what the numbers of a column are."""
        return "return" if task in self.in_returns else "score"

    @property
    def can_be_summed_up(self) -> bool:
        """Say whether a number over all tasks means anything."""
        return not self.in_returns and one_kind_of_data(self.tasks)

    def paired(self, first: str, second: str, task: str) -> Paired:
        """Return what the first has more than the second, of the seeds whose episodes began alike
        for both."""
        a, b = self.cells[first, task], self.cells[second, task]
        alike = {s for s in a.values.keys() & b.values.keys() if a.played[s] == b.played[s]}
        return Paired(values=differences(_only(a.values, alike), _only(b.values, alike)))

    def paired_over_tasks(self, first: str, second: str) -> Paired:
        """Return the same of the mean over tasks."""
        each = [self.paired(first, second, task).values for task in self.tasks]
        alike = self._of_one_experiment(first) and self._of_one_experiment(second)
        return Paired(values=_seedwise(each) if alike else {}, tasks=len(each))

    def over_tasks(self, agent: str) -> Sample:
        """Return, of each seed that is done on every task, the mean over tasks; nothing of an agent
        that was run in other experiments on other tasks."""
        each = [self.cells[agent, task].values for task in self.tasks]
        alike = self._of_one_experiment(agent)
        return Sample(values=_seedwise(each) if alike else {}, tasks=len(each))

    def _of_one_experiment(self, agent: str) -> bool:
        return len(self.experiments[agent]) == 1

    def aggregates(self, agent: str) -> dict[IntervalKind, Estimate]:
        """Sum up an agent's runs on all tasks, if it has enough of them."""
        if agent not in self.on_all:
            return {}
        runs = self.on_all[agent]
        known = {kind: coverage_of(kind, len(runs[0]), len(runs)) for kind in AGGREGATES}
        ends = intervals({kind: of for kind, of in AGGREGATES.items() if known[kind]}, runs)
        return {
            kind: Estimate(value=float(of(runs)), interval=ends.get(kind), coverage=known[kind])
            for kind, of in AGGREGATES.items()
        }

    def improvement(self, first: str, second: str) -> Estimate | None:
        """Return how probable it is that a run of the first beats one of the second, if both have
        enough of them."""
        if first not in self.on_all or second not in self.on_all:
            return None
        a, b = self.on_all[first], self.on_all[second]
        alike = len(a[0]) == len(b[0])
        known = coverage_of("improvement", len(a[0]), len(a)) if alike else None
        return Estimate(
            value=float(improvement(a, b)),
            interval=improvement_interval(a, b) if known else None,
            coverage=known,
        )

    @cached_property
    def on_all(self) -> Mapping[str, Tasks]:
        """By agent, the scores of the seeds that are done on every task, where there are enough."""
        seeds = {agent: [*self.over_tasks(agent).values] for agent in self.agents}
        return {
            agent: [
                np.array([self.cells[agent, task].values[seed] for seed in own])
                for task in self.tasks
            ]
            for agent, own in seeds.items()
            if len(own) >= ENOUGH and self.can_be_summed_up
        }


def _only(values: Mapping[int, float], seeds: Collection[int]) -> dict[int, float]:
    return {seed: value for seed, value in values.items() if seed in seeds}


def _seedwise(each: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Return the mean of each seed that all have."""
    common = set.intersection(*({*values} for values in each))
    return {seed: fmean(values[seed] for values in each) for seed in sorted(common)}


def score_table(
    records: Iterable[RunRecord], asked: Sequence[Asked] = (), mixed: Collection[Kind] = ()
) -> ScoreTable:
    """Sum up records. Rows and columns stand as first met: in what was asked for, then by name.
    `mixed` is what records of a column may differ in, because somebody said so."""
    found = in_order(records)
    refuse_mixed_data(found, mixed)
    agents = tuple(dict.fromkeys([a for a, _, _ in asked] + sorted({r.name for r in found})))
    tasks = tuple(dict.fromkeys([t for _, t, _ in asked] + sorted({r.task["name"] for r in found})))
    in_table = {record.seed for record in found}
    cells: dict[tuple[str, str], Cell] = {}
    data: dict[str, float] = {}
    returns = in_returns(found)
    for task in tasks:
        column = [record for record in found if record.task["name"] == task]
        refuse_mixed_column(column, mixed)
        what = "mean_return" if task in returns else "mean_score"
        means = {record.data[what] for record in column}
        if means and alike(min(means), max(means)):
            data[task] = min(means)
        for agent in agents:
            own = [record for record in column if record.name == agent]
            refuse_mixed_cell(own)
            seeds = {seed for a, t, seed in asked if (a, t) == (agent, task)}
            cells[agent, task] = _cell(own, seeds if asked else in_table, task in returns)
    return ScoreTable(
        agents=agents,
        tasks=tasks,
        cells=cells,
        data=data,
        in_returns=returns,
        experiments={a: frozenset(r.experiment for r in found if r.name == a) for a in agents},
    )


def _cell(records: Sequence[RunRecord], seeds: set[int], in_returns: bool) -> Cell:
    done = {record.seed: record.evaluations[-1] for record in records if record.status == "done"}
    return Cell(
        values={seed: last["return" if in_returns else "score"] for seed, last in done.items()},
        failed=len(records) - len(done),
        missing=len(seeds - {record.seed for record in records}),
        played={
            record.seed: (environment_of(record), *record.columns[-1]["seed"])
            for record in records
            if record.status == "done"
        },
    )
