"""Captions: all that the numbers of a table must not be told without, as a reviewer would ask.

What is the same for all runs is said once; what differs from task to task is said of each task, and
what differs otherwise of each agent, of each of its kinds.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from seqrl.progress import counted, ranges
from seqrl.report.belonging import differing, in_order
from seqrl.runs.record import RunRecord, facts_in_words, fingerprint_in_words

Said = Callable[[RunRecord], str]
FROM: Sequence[Said] = (lambda record: f"experiment {record.experiment}",)
HOW: Sequence[Said] = (
    lambda record: f"episodes of each: {record.identity['evaluation']['episodes']}",
    lambda record: f"{record.checkpoint_rule} checkpoint",
    lambda record: f"trained in {record.identity['training_precision']}",
    lambda record: f"played in {record.identity['evaluation']['precision']}",
)
WITH: Sequence[Said] = (
    lambda record: f"protocol {record.identity['protocol']}",
    lambda record: f"seqrl {record.versions['seqrl']}",
    lambda record: f"torch {record.versions['torch']}",
    lambda record: f"gymnasium {record.versions['gymnasium']}",
    lambda record: f"mujoco {record.versions['mujoco']}",
)

PUT_TOGETHER = "PUT TOGETHER AS TOLD, although records differ in {}."
LEFT_OUT = "LEFT OUT: {} that could not be counted."


def caption(records: Iterable[RunRecord], left_out: int = 0) -> str:
    """Say all that the numbers of a table must not be told without; and how many files beside those
    records could not be counted."""
    found = in_order(records)
    told = differing(found)
    data: Said = _environment if "environment" in told else _data
    of_all = [say for say in (*FROM, *HOW, *WITH) if len({*map(say, found)}) == 1]
    others = [say for say in (data, *FROM, *HOW, *WITH) if say not in of_all]
    of_task = [say for say in others if _of_task(say, found)]
    of_agent = [say for say in others if say not in of_task]
    of_data = {", ".join(say(r) for say in dict.fromkeys([data, *of_task])) for r in found}
    from_, how, with_ = ([say(found[0]) for say in of if say in of_all] for of in (FROM, HOW, WITH))
    seeds = f"seeds {ranges(record.seed for record in found)}"
    lines = [
        *([PUT_TOGETHER.format(", ".join(told))] if told else []),
        *([LEFT_OUT.format(counted(left_out, "file"))] if left_out else []),
        f"Data: {'; '.join(sorted(of_data))}.",
        f"Agents: {'; '.join(_agents(found, of_agent))}.",
        f"{'; '.join([*from_, seeds, *how])}.",
        f"{'; '.join(filter(None, [*with_[:1], ', '.join(with_[1:])]))}.",
    ]
    return "\n".join(line[0].upper() + line[1:] for line in lines if line != ".")


def each(values: Iterable[Any]) -> str:
    """List what there is, each once."""
    found = {str(value): value for value in values}
    numbers = sorted((v, k) for k, v in found.items() if isinstance(v, int | float))
    return ", ".join([k for _, k in numbers] + sorted(found.keys() - {k for _, k in numbers}))


def _of_task(say: Said, records: Sequence[RunRecord]) -> bool:
    """Say whether it is the same in all runs on a task."""
    return len({(record.task["name"], say(record)) for record in records}) == len(
        {record.task["name"] for record in records}
    )


def _data(record: RunRecord) -> str:
    content = fingerprint_in_words(record.data["fingerprint"])
    embedded = "embedded, not D4RL's; " if record.data["name"].startswith("seqrl/") else ""
    return f"{record.data['name']} ({embedded}{content}) played in {record.task['environment']}"


def _environment(record: RunRecord) -> str:
    """Say of the environment too what runs on one task share as a rule."""
    task, reference = record.task, record.task["reference"]
    said = f"{_data(record)} for {task['horizon']} steps"
    if settings := task.get("environment_settings"):
        said += f" with {dict(sorted(settings.items()))}"
    if not reference:
        return f"{said}, without reference returns"
    low, high = reference["minimum"], reference["maximum"]
    return f"{said}, with reference returns {low:,.1f} and {high:,.1f}"


def _agents(records: Sequence[RunRecord], also: Sequence[Said]) -> Iterator[str]:
    """Describe each agent; where it is not the same in all its runs, each of its kinds."""
    for name in dict.fromkeys(record.name for record in records):
        kinds: dict[str, list[RunRecord]] = {}
        for record in records:
            if record.name == name:
                said = ", ".join([_agent(record), *(say(record) for say in also)])
                kinds.setdefault(said, []).append(record)
        tasks = [{record.task["name"] for record in own} for own in kinds.values()]
        apart = len(kinds) == 1 or sum(map(len, tasks)) == len(set().union(*tasks))
        for (said, own), where in zip(kinds.items(), tasks, strict=True):
            on = f" on {', '.join(sorted(where))}" if len(kinds) > 1 else ""
            of = "" if apart else f", seed {ranges(record.seed for record in own)}"
            yield f"{name}{on}{of} ({said})"


def _agent(record: RunRecord) -> str:
    facts = dict(record.facts)
    if facts.get("target_rule") not in (None, "given"):
        facts.pop("target_return", None)  # the rule says it, on every task
    updates = f"{record.agent['training']['updates']:,} updates"
    said = [record.kind, *record.changed, updates, facts_in_words(facts)]
    return ", ".join(filter(None, said))
