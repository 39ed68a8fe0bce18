"""Tables of scores: agents x tasks, over seeds. A pure function of records, in whatever order they
were read; what does not belong into one cell is refused.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from seqrl.errors import SeqrlError
from seqrl.progress import ranges
from seqrl.runs.differences import between, differences
from seqrl.runs.record import RunRecord, facts_in_words, fingerprint_in_words

Asked = tuple[str, str, int]
"""A run that was asked for: agent, task (full data name), seed."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One agent on one task, over its seeds."""

    mean: float | None
    """Of the seeds' scores, each of them a mean over episodes."""
    deviation: float | None
    """Standard deviation over seeds, n-1; one seed has none."""
    n: int
    """Seeds that are done."""
    failed: int
    missing: int
    """Seeds that were asked for, or else that others in the table have."""

    def __str__(self) -> str:
        """Write it as it stands in a table."""
        said = []
        if self.mean is not None:
            spread = "" if self.deviation is None else f" ± {_number(self.deviation)}"
            said.append(_number(self.mean) + spread)
        seeds = self.n + self.failed + self.missing
        if self.failed:
            said.append(f"failed ({self.failed} of {seeds})")
        if self.missing and said:
            said.append(f"missing ({self.missing} of {seeds})")
        return ", ".join(said) or "-"


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """Mean scores of agents on tasks."""

    agents: tuple[str, ...]
    tasks: tuple[str, ...]
    """Full data names."""
    cells: Mapping[tuple[str, str], Cell]
    """By agent and task; none is left out."""
    data: Mapping[str, float]
    """By task, the mean score of the data itself; not of tasks without records."""
    in_returns: frozenset[str]
    """Tasks without reference returns: everything of them is a return, not a score."""

    def as_markdown(self) -> str:
        """Write it as Markdown."""
        heads = [f"{task} (return)" if task in self.in_returns else task for task in self.tasks]
        rows = [[agent, *(str(self.cells[agent, t]) for t in self.tasks)] for agent in self.agents]
        rows.append(
            ["data", *(_number(self.data[t]) if t in self.data else "-" for t in self.tasks)]
        )
        lines = [["score", *heads], ["---", *("---:" for _ in heads)], *rows]
        text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        if self.in_returns:
            text += "\nColumns with (return) have no reference returns: they show returns.\n"
        return text


def score_table(records: Iterable[RunRecord], asked: Sequence[Asked] = ()) -> ScoreTable:
    """Sum up records. Rows and columns stand as first met: in what was asked for, then by name."""
    found = in_order(records)
    agents = tuple(dict.fromkeys([a for a, _, _ in asked] + sorted({r.name for r in found})))
    tasks = tuple(dict.fromkeys([t for _, t, _ in asked] + sorted({r.task["name"] for r in found})))
    in_table = {record.seed for record in found}
    cells, data, in_returns = {}, {}, set()
    for task in tasks:
        column = [record for record in found if record.task["name"] == task]
        _refuse_mixed(column, _column, "column")
        for about in column[:1]:
            scored = about.task["reference"] is not None
            in_returns |= set() if scored else {task}
            data[task] = about.data["mean_score" if scored else "mean_return"]
        for agent in agents:
            own = [record for record in column if record.name == agent]
            _refuse_mixed(own, _cell_of, "cell")
            _refuse_twice(own)
            seeds = {seed for a, t, seed in asked if (a, t) == (agent, task)}
            cells[agent, task] = _cell(own, seeds if asked else in_table, task in in_returns)
    return ScoreTable(
        agents=agents, tasks=tasks, cells=cells, data=data, in_returns=frozenset(in_returns)
    )


def in_order(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Sort records, so that the order in which they were read changes nothing."""
    found = sorted(records, key=lambda r: (r.name, r.task["name"], r.seed, r.experiment, r.hash))
    if not found:
        raise SeqrlError("There are no records to make a table of. Make some with `seqrl run`.")
    return found


def _cell(records: Sequence[RunRecord], seeds: set[int], in_returns: bool) -> Cell:
    done = [record for record in records if record.status == "done"]
    values = [record.evaluations[-1]["return" if in_returns else "score"] for record in done]
    return Cell(
        mean=fmean(values) if values else None,
        deviation=stdev(values) if len(values) > 1 else None,
        n=len(values),
        failed=len(records) - len(done),
        missing=len(seeds - {record.seed for record in records}),
    )


def _column(record: RunRecord) -> dict[str, Any]:
    """Return what all records of a column must share."""
    return {
        "fingerprint": record.data["fingerprint"],
        "environment": record.task["environment"],
        "horizon": record.task.get("horizon"),
        "reference": record.task["reference"],
        "protocol": record.identity["protocol"],
    }


def _cell_of(record: RunRecord) -> dict[str, Any]:
    """Return what all records of a cell must share besides: they may differ in the seed."""
    return {
        "target_rule": record.facts.get("target_rule"),
        "agent": record.agent,
        "code": record.identity.get("code"),
        "evaluation": record.identity["evaluation"],
        "training_precision": record.identity["training_precision"],
    }


def _refuse_mixed(
    records: Sequence[RunRecord], shared: Callable[[RunRecord], dict[str, Any]], where: str
) -> None:
    for record in records[1:]:
        for one in differences(shared(records[0]), shared(record)):
            raise SeqrlError(
                f"{_named(records[0])} and {_named(record)} do not belong into one {where}: they "
                f"differ in {one.field}, {one.first} and {one.second}. Choose one kind of them, by "
                "experiment for instance; `seqrl runs HASH HASH` shows all differences."
            )


def _refuse_twice(records: Sequence[RunRecord]) -> None:
    seen: dict[int, RunRecord] = {}
    for record in records:
        if (other := seen.setdefault(record.seed, record)) is not record:
            differ = ", ".join(
                f"{one.field} {one.first} and {one.second}" for one in between(other, record)
            )
            raise SeqrlError(
                f"{_named(other)} and {_named(record)} have one seed, and would count twice in one "
                f"cell; they differ in {differ or 'nothing'}. Choose one of them, by experiment "
                "for instance, or remove the other's file."
            )


def _named(record: RunRecord) -> str:
    return (
        f"{record.name} on {record.task['name']}, seed {record.seed} (experiment "
        f"{record.experiment}, {record.hash[:8]})"
    )


def _number(value: float) -> str:
    return f"{round(value, 1) + 0.0:.1f}"


# ---- what a reviewer asks ------------------------------------------------------------------------


def caption(records: Iterable[RunRecord]) -> str:
    """Say all that the numbers of a table must not be told without."""
    found = in_order(records)
    identities = [record.identity for record in found]
    seeds = ranges(record.seed for record in found)
    episodes = _each(identity["evaluation"]["episodes"] for identity in identities)
    versions = [
        f"{name} {_each(record.versions[name] for record in found)}"
        for name in ("seqrl", "torch", "gymnasium", "mujoco")
    ]
    return "\n".join(
        [
            f"Data: {_each(map(_data, found))}.",
            f"Agents: {'; '.join(_agents(found))}.",
            f"Experiment {_each(r.experiment for r in found)}; seeds {seeds}; episodes of "
            f"each: {episodes}; {_each(r.checkpoint_rule for r in found)} checkpoint; trained in "
            f"{_each(identity['training_precision'] for identity in identities)}, played in "
            f"{_each(identity['evaluation']['precision'] for identity in identities)}.",
            f"Protocol {_each(identity['protocol'] for identity in identities)}; "
            f"{', '.join(versions)}.",
            "Each number is the mean over seeds of the mean over episodes; ± is the standard "
            "deviation over seeds (n-1); data is the mean of the training data itself.",
        ]
    )


def _each(values: Iterable[Any]) -> str:
    """List what there is, each once."""
    return ", ".join(map(str, sorted(set(values))))


def _data(record: RunRecord) -> str:
    content = fingerprint_in_words(record.data["fingerprint"])
    return f"{record.data['name']} ({content}) played in {record.task['environment']}"


def _agents(records: Sequence[RunRecord]) -> Iterator[str]:
    """Describe each agent; where it is not the same on all tasks, each of its kinds."""
    kinds: dict[str, dict[str, set[str]]] = {}
    for record in records:
        kinds.setdefault(record.name, {}).setdefault(_agent(record), set()).add(record.task["name"])
    for name, found in kinds.items():
        for said, tasks in found.items():
            where = f" on {', '.join(sorted(tasks))}" if len(found) > 1 else ""
            yield f"{name}{where} ({said})"


def _agent(record: RunRecord) -> str:
    facts = dict(record.facts)
    if facts.get("target_rule") not in (None, "given"):
        facts.pop("target_return", None)  # the rule says it, on every task
    updates = f"{record.agent['training']['updates']:,} updates"
    said = [record.kind, *record.changed, updates, facts_in_words(facts)]
    return ", ".join(filter(None, said))
