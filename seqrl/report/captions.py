"""Captions: all that the numbers of a table must not be told without, as a reviewer would ask."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from seqrl.progress import ranges
from seqrl.report.belonging import differing, in_order
from seqrl.runs.record import RunRecord, facts_in_words, fingerprint_in_words

Said = Callable[[RunRecord], str]
SAME: Sequence[Said] = (
    lambda record: f"episodes of each: {record.identity['evaluation']['episodes']}",
    lambda record: f"{record.checkpoint_rule} checkpoint",
    lambda record: f"trained in {record.identity['training_precision']}",
    lambda record: f"played in {record.identity['evaluation']['precision']}",
)
"""What is said once where it is the same for all; else of each task, or of each agent."""

PUT_TOGETHER = "PUT TOGETHER AS TOLD, although records differ in {}."


def caption(records: Iterable[RunRecord]) -> str:
    """Say all that the numbers of a table must not be told without."""
    found = in_order(records)
    told = differing(found)
    same = [say for say in SAME if len({*map(say, found)}) == 1]
    differ = [say for say in SAME if say not in same]
    of_task = [say for say in differ if _of_task(say, found)]
    of_agent = [say for say in differ if say not in of_task]
    shared = [say(found[0]) for say in same]
    versions = [
        f"{name} {each(record.versions[name] for record in found)}"
        for name in ("seqrl", "torch", "gymnasium", "mujoco")
    ]
    with_environment = "environment" in told
    data = {_data(record, of_task, with_environment=with_environment) for record in found}
    return "\n".join(
        [
            *([PUT_TOGETHER.format(", ".join(told))] if told else []),
            f"Data: {'; '.join(sorted(data))}.",
            f"Agents: {'; '.join(_agents(found, of_agent))}.",
            f"Experiment {each(r.experiment for r in found)}; "
            f"{'; '.join([f'seeds {ranges(record.seed for record in found)}', *shared])}.",
            f"Protocol {each(record.identity['protocol'] for record in found)}; "
            f"{', '.join(versions)}.",
        ]
    )


def each(values: Iterable[Any]) -> str:
    """List what there is, each once."""
    found = {str(value): value for value in values}
    numbers = sorted((v, k) for k, v in found.items() if isinstance(v, int | float))
    return ", ".join([k for _, k in numbers] + sorted(found.keys() - {k for _, k in numbers}))


def _of_task(say: Said, records: Sequence[RunRecord]) -> bool:
    """Say whether it differs from task to task only."""
    return len({(record.task["name"], say(record)) for record in records}) == len(
        {record.task["name"] for record in records}
    )


def _data(record: RunRecord, also: Sequence[Said], *, with_environment: bool) -> str:
    content = fingerprint_in_words(record.data["fingerprint"])
    embedded = "embedded, not D4RL's; " if record.data["name"].startswith("seqrl/") else ""
    said = f"{record.data['name']} ({embedded}{content}) played in {record.task['environment']}"
    if with_environment:
        said += f" for {record.task.get('horizon')} steps, {_reference(record)}"
    return ", ".join([said, *(say(record) for say in also)])


def _reference(record: RunRecord) -> str:
    known = record.task["reference"]
    if not known:
        return "without reference returns"
    return f"with reference returns {known['minimum']:,.1f} and {known['maximum']:,.1f}"


def _agents(records: Sequence[RunRecord], also: Sequence[Said]) -> Iterator[str]:
    """Describe each agent; where it is not the same on all tasks, each of its kinds."""
    kinds: dict[str, dict[str, set[str]]] = {}
    for record in records:
        said = ", ".join([_agent(record), *(say(record) for say in also)])
        kinds.setdefault(record.name, {}).setdefault(said, set()).add(record.task["name"])
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
