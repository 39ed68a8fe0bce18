"""Blocks: what a report says of a table's numbers, as small tables of words, each with its notes.

Every block is printed alike as Markdown, LaTeX and on the page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from seqrl.report.coverage import Kind, coverage_of
from seqrl.report.published import block_for
from seqrl.report.scores import RESAMPLINGS, Interval
from seqrl.report.tables import AGGREGATES, ENOUGH, Cell, Estimate, Sample, ScoreTable

NONE = "-"


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
    rows.append(["data", *data])
    seeds = f"n = {alike.pop()} seeds in each" if len(alike) == 1 else "n is in parentheses"
    notes = [
        f"Mean ± standard deviation (n-1) over seeds, of each the mean over its episodes; {seeds}. "
        "The last row is the mean of the training data itself."
    ]
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
    counts = {cell.n for cell in table.cells.values() if cell.interval}
    if not counts:
        return None
    title = "95% intervals of these means"
    return _block(title, _heads(table), rows, [_held("t", counts)])


def _interval(found: Interval | None) -> str:
    return NONE if found is None else f"[{number(found.low)}, {number(found.high)}]"


def _held(kind: Kind, seeds: set[int], tasks: int = 1) -> str:
    """Say how often such intervals were found to hold the truth."""
    what = {
        "t": "Student's t interval over seeds",
        "paired t": "Student's t interval over the seeds' differences",
    }.get(kind, f"Stratified bootstrap, {RESAMPLINGS:,} resamplings of the seeds of each task")
    measured = "; ".join(
        f"of {n} seeds{f' of {tasks} tasks' if tasks > 1 else ''} it held the truth in {known}"
        for n in sorted(seeds)
        if (known := coverage_of(kind, n, tasks))
    )
    return f"{what}. Simulated, {measured}."


def differences(table: ScoreTable) -> Block | None:
    """Return, for each pair of agents, what the first has more, seed by seed."""
    rows, counts = [], set()
    for first, second in combinations(table.agents, 2):
        pairs = [table.paired(first, second, task) for task in table.tasks]
        if len(table.tasks) > 1 and table.can_be_summed_up:
            pairs.append(table.paired_over_tasks(first, second))
        if any(pair.n > 1 for pair in pairs):
            rows.append([f"{first} - {second}", *map(_difference, pairs)])
            counts |= {pair.n for pair in pairs if pair.interval}
    if not rows:
        return None
    notes = [
        "The mean over seeds of the first's score minus the second's ± the standard deviation of "
        "these differences. Both played the same episodes: they began alike."
    ]
    if counts:
        notes.append(f"In brackets: {_held('paired t', counts)}")
    over = ["mean over tasks"] if len(rows[0]) > len(table.tasks) + 1 else []
    return _block("Differences, paired by seed", [*_heads(table), *over], rows, notes, "agents")


def _difference(pair: Sample) -> str:
    if pair.n < 2:
        return NONE
    return _spread(pair) + (f" {_interval(pair.interval)}" if pair.interval else "")


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
        "Of the seeds that are done on every task; n is their number. The mean over tasks ± its "
        "standard deviation over seeds."
    )
    if counts := {sample.n for sample in known.values() if sample.interval}:
        yield _held("t", counts)
    if not summed:
        yield f"IQM, median and optimality gap need {ENOUGH} seeds of every task."
        return
    yield (
        "IQM: mean of the middle half of all runs; median: of the tasks' means; optimality gap: "
        "what runs lack to 100, less is better (Agarwal et al. 2021, arXiv 2108.13264)."
    )
    enough = {sample.n for sample in known.values() if sample.n >= ENOUGH}
    for kind in AGGREGATES:
        if any(coverage_of(kind, n, len(table.tasks)) for n in enough):
            yield f"{kind}: {_held(kind, enough, len(table.tasks))}"


def _estimate(found: Estimate | None, digits: int = 1) -> str:
    if found is None:
        return NONE
    said = f"{found.value:z.{digits}f}"
    if found.interval is None:
        return said
    low, high = found.interval.low, found.interval.high
    return f"{said} [{low:.{digits}f}, {high:.{digits}f}]"


def improvements(table: ScoreTable) -> Block | None:
    """Return how probable it is that one agent beats another, where there are enough seeds."""
    rows = [
        [f"{first} > {second}", _estimate(found, 2)]
        for first, second in combinations(table.agents, 2)
        if (found := table.improvement(first, second))
    ]
    if not rows:
        return None
    counts = {table.over_tasks(agent).n for agent in table.agents}
    notes = [
        "How probable it is that a run of the first beats one of the second; a tie counts half."
    ]
    if any(coverage_of("improvement", n, len(table.tasks)) for n in counts):
        notes.append(_held("improvement", counts, len(table.tasks)))
    return _block("Probability of improvement", ["probability"], rows, notes, "agents")


# ---- what others have printed --------------------------------------------------------------------


def published(table: ScoreTable) -> Block | None:
    """Return published numbers of the same tasks, apart from ours."""
    found = block_for(table.tasks)
    if found is None:
        return None
    return Block(title=found.title, head=found.head, rows=found.rows, notes=found.notes)
