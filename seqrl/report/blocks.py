"""Blocks: what a report says of a table's numbers, as small tables of words, each with its notes.

Every block is printed alike as Markdown, LaTeX and on the page.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from seqrl.progress import counted
from seqrl.report.bootstrap import RESAMPLINGS
from seqrl.report.coverage import Kind, coverage_of, measured_for
from seqrl.report.published import block_for
from seqrl.report.scores import Interval
from seqrl.report.tables import AGGREGATES, ENOUGH, Cell, Estimate, Sample, ScoreTable
from seqrl.runs.record import OF_DATA

NONE = "-"

FEWEST = 3
"""Seeds from which on a mean has an interval."""
MANY = 5
"""Intervals side by side, of which one may well miss the truth."""

Size = tuple[int, int]
"""Seeds of each of so many tasks."""

INTERVALS: Mapping[Kind, str] = {
    "t": "Student's t interval over seeds",
    "paired t": "Student's t interval over the seeds' differences",
}
BOOTSTRAP = f"Stratified bootstrap, {RESAMPLINGS:,} resamplings of the seeds of each task"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A small table of words."""

    title: str
    head: tuple[str, ...]
    """The first column names the rows; the others are numbers."""
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def number(value: float) -> str:
    """Write a number with one decimal and no minus before a zero."""
    return f"{value:z.1f}"


def title_of(table: ScoreTable) -> str:
    """Name a table: by the full names of its data, never by short ones."""
    return f"Scores on {', '.join(table.tasks)}"


def blocks_of(table: ScoreTable) -> list[Block]:
    """Say everything that may be said of a table."""
    found = [scores(table), intervals(table), differences(table)]
    found += [over_tasks(table), improvements(table), published(table)]
    return [block for block in found if block is not None]


# ---- scores --------------------------------------------------------------------------------------


def scores(table: ScoreTable) -> Block:
    """Return the table itself."""
    alike = {cell.n for cell in table.cells.values() if cell.n}
    rows = [
        [a, *(_cell(table.cells[a, t], len(alike) > 1) for t in table.tasks)] for a in table.agents
    ]
    data = [number(table.data[task]) if task in table.data else NONE for task in table.tasks]
    rows.append([OF_DATA, *data])
    said = "Mean ± standard deviation (n-1) over seeds, of each the mean over its episodes"
    if len(alike) > 1:
        said += "; n is in parentheses"
    elif alike:
        said += f"; n = {counted(max(alike), 'seed')} in each mean"
    notes = [f"{said}. The last row is the mean of the training data itself."]
    if table.in_returns:
        notes.append("Columns with (return) have no reference returns: they show returns.")
    return _block("Scores: 0 is a random policy, 100 an expert", _heads(table), rows, notes)


def _cell(cell: Cell, with_n: bool) -> str:
    said = []
    if cell.mean is not None:
        said.append(_spread(cell) + (f" ({cell.n})" if with_n else ""))
    seeds = cell.n + cell.failed + cell.missing
    if cell.failed:
        said.append(f"failed ({cell.failed} of {seeds})")
    if cell.missing and said:
        said.append(f"missing ({cell.missing} of {seeds})")
    return ", ".join(said) or NONE


def _spread(sample: Sample) -> str:
    assert sample.mean is not None
    spread = "" if sample.deviation is None else f" ± {number(sample.deviation)}"
    return number(sample.mean) + spread


def _heads(table: ScoreTable) -> list[str]:
    return [f"{task} (return)" if task in table.in_returns else task for task in table.tasks]


def _block(
    title: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str],
    first: str = "agent",
) -> Block:
    return Block(
        title=title, head=(first, *heads), rows=tuple(map(tuple, rows)), notes=tuple(notes)
    )


# ---- how sure that is ----------------------------------------------------------------------------


def intervals(table: ScoreTable) -> Block | None:
    """Return Student's interval of each mean; nothing if none has one."""
    rows = [
        [agent, *(_interval(table.cells[agent, task].interval) for task in table.tasks)]
        for agent in table.agents
    ]
    notes = [*held("t", _sizes(table.cells.values()))]
    return _block("95% intervals of these means", _heads(table), rows, notes) if notes else None


def _interval(found: Interval | None) -> str:
    return NONE if found is None else f"[{number(found.low)}, {number(found.high)}]"


def held(kind: Kind, sizes: Iterable[Size]) -> Iterator[str]:
    """Say how often such intervals hold the truth; and of which none is printed, and why."""
    found = {size: coverage_of(kind, *size) for size in sorted(set(sizes))}
    measured = [
        f"{_of(*size)} it held the truth in {known}" for size, known in found.items() if known
    ]
    if measured:
        yield f"{INTERVALS.get(kind, BOOTSTRAP)}. Simulated, {'; '.join(measured)}."
    if lacking := [_of(*size) for size, known in found.items() if not known]:
        yield (
            f"No interval {', '.join(lacking)}: how often it holds the truth was measured for "
            f"{measured_for(kind)}."
        )


def _of(seeds: int, tasks: int) -> str:
    return f"of {seeds} seeds" + (f" of {tasks} tasks" if tasks > 1 else "")


def _sizes(samples: Iterable[Sample]) -> set[Size]:
    return {(sample.n, sample.tasks) for sample in samples if sample.n >= FEWEST}


def differences(table: ScoreTable) -> Block | None:
    """Return, for each pair of agents, what the first has more, seed by seed."""
    summed = len(table.tasks) > 1 and table.can_be_summed_up
    found = {
        f"{a} - {b}": [table.paired(a, b, task) for task in table.tasks]
        + ([table.paired_over_tasks(a, b)] if summed else [])
        for a, b in combinations(table.agents, 2)
    }
    shown = {name: pairs for name, pairs in found.items() if any(pair.n > 1 for pair in pairs)}
    if not shown:
        return None
    each = [pair for pairs in shown.values() for pair in pairs]
    counts = {pair.n for pair in each if pair.n > 1}
    rows = [
        [name, *(_difference(pair, len(counts) > 1) for pair in pairs)]
        for name, pairs in shown.items()
    ]
    notes = [
        "What the first has more than the second, mean over seeds ± standard deviation, of seeds "
        "for which both played the same episodes: they began alike"
        + ("; their number is in parentheses." if len(counts) > 1 else ".")
    ]
    if brackets := [*held("paired t", _sizes(each))]:
        notes.append(f"In brackets: {' '.join(brackets)}")
    if (number := sum(pair.interval is not None for pair in each)) > MANY:
        notes.append(
            f"There are {number} intervals, each for itself: that one of so many excludes 0 says "
            "little."
        )
    heads = [*_heads(table), *(["mean over tasks"] if summed else [])]
    return _block("Differences, paired by seed", heads, rows, notes, "agents")


def _difference(pair: Sample, with_n: bool) -> str:
    if pair.n < 2:
        return NONE
    said = _spread(pair) + (f" ({pair.n})" if with_n else "")
    return said + (f" {_interval(pair.interval)}" if pair.interval else "")


# ---- over all tasks ------------------------------------------------------------------------------


def over_tasks(table: ScoreTable) -> Block | None:
    """Return what sums up all tasks; nothing of a single one with few seeds."""
    if not table.can_be_summed_up:
        return None
    samples = {agent: table.over_tasks(agent) for agent in table.agents}
    sums = {agent: table.aggregates(agent) for agent in table.agents}
    known = {agent: sample for agent, sample in samples.items() if sample.n}
    if not known or (len(table.tasks) == 1 and not any(sums.values())):
        return None
    heads = ["mean", "95% interval", "n"] + ([*AGGREGATES] if any(sums.values()) else [])
    rows = []
    for agent, sample in samples.items():
        row = (
            [_spread(sample), _interval(sample.interval), str(sample.n)] if sample.n else [NONE] * 3
        )
        given = [_estimate(sums[agent].get(kind)) for kind in AGGREGATES] if len(heads) > 3 else []
        rows.append([agent, *row, *given])
    return _block(
        f"Over {'all ' if len(table.tasks) > 1 else 'the '}{_tasks(table)}",
        heads,
        rows,
        [*_notes_over_tasks(table, known, any(sums.values()))],
    )


def _tasks(table: ScoreTable) -> str:
    return "task" if len(table.tasks) == 1 else f"{len(table.tasks)} tasks"


def _notes_over_tasks(table: ScoreTable, known: dict[str, Sample], summed: bool) -> Iterator[str]:
    yield (
        "Of the seeds that are done on every task, by one experiment; n is their number. The mean "
        "over tasks ± its standard deviation over seeds."
    )
    yield from held("t", _sizes(known.values()))
    if not summed:
        yield f"IQM, median and optimality gap need {ENOUGH} seeds of every task."
        return
    yield (
        "IQM: mean of the middle half of all runs, without parts of runs; median: of the tasks' "
        "means; optimality gap: what runs lack to 100, less is better (Agarwal et al. 2021, arXiv "
        "2108.13264)."
    )
    enough = {(sample.n, sample.tasks) for sample in known.values() if sample.n >= ENOUGH}
    for kind in AGGREGATES:
        yield f"{kind}: {' '.join(held(kind, enough))}"


def _estimate(found: Estimate | None, digits: int = 1) -> str:
    if found is None:
        return NONE
    said = f"{found.value:z.{digits}f}"
    if found.interval is None:
        return said
    low, high = found.interval.low, found.interval.high
    return f"{said} [{low:z.{digits}f}, {high:z.{digits}f}]"


def improvements(table: ScoreTable) -> Block | None:
    """Return how probable it is that one agent beats another, where there are enough seeds."""
    found = {
        f"{first} > {second}": (estimate, table.over_tasks(first))
        for first, second in combinations(table.agents, 2)
        if (estimate := table.improvement(first, second))
    }
    if not found:
        return None
    rows = [[name, _estimate(estimate, 2)] for name, (estimate, _) in found.items()]
    printed = {(of.n, of.tasks) for estimate, of in found.values() if estimate.interval}
    notes = [
        "How probable it is that a run of the first beats one of the second; a tie counts half. An "
        "interval needs equally many seeds of both.",
        *held("improvement", printed),
    ]
    if any(of.interval and of.interval.low == of.interval.high for of, _ in found.values()):
        notes.append(
            "An interval of no width says that on each task all runs of one agent beat all of the "
            "other, so that drawing these runs again shows nothing else; other seeds may."
        )
    return _block("Probability of improvement", ["probability"], rows, notes, "agents")


def about_profiles(table: ScoreTable) -> list[str]:
    """Say what the bands of performance profiles are."""
    runs = [*table.on_all.values()]
    said = held("profile", {(len(tasks[0]), len(tasks)) for tasks in runs})
    return [f"Bands, at the quartiles of scores: {line}" for line in said]


# ---- what others have printed --------------------------------------------------------------------


def published(table: ScoreTable) -> Block | None:
    """Return published numbers of the same tasks, apart from ours."""
    found = block_for(table.tasks)
    if found is None:
        return None
    return Block(title=found.title, head=found.head, rows=found.rows, notes=found.notes)
