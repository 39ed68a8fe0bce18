"""Captions: all that the numbers of a table must not be told without, as a reviewer would ask."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from seqrl.progress import ranges
from seqrl.report.belonging import differing, in_order
from seqrl.runs.record import RunRecord, facts_in_words, fingerprint_in_words


def caption(records: Iterable[RunRecord]) -> str:
    """Say all that the numbers of a table must not be told without."""
    found = in_order(records)
    identities = [record.identity for record in found]
    seeds = ranges(record.seed for record in found)
    episodes = each(identity["evaluation"]["episodes"] for identity in identities)
    versions = [
        f"{name} {each(record.versions[name] for record in found)}"
        for name in ("seqrl", "torch", "gymnasium", "mujoco")
    ]
    told = ", ".join(differing(found))
    return "\n".join(
        [
            *([f"PUT TOGETHER AS TOLD, although records differ in {told}."] if told else []),
            f"Data: {each(map(_data, found))}.",
            f"Agents: {'; '.join(_agents(found))}.",
            f"Experiment {each(r.experiment for r in found)}; seeds {seeds}; episodes of "
            f"each: {episodes}; {each(r.checkpoint_rule for r in found)} checkpoint; trained in "
            f"{each(identity['training_precision'] for identity in identities)}, played in "
            f"{each(identity['evaluation']['precision'] for identity in identities)}.",
            f"Protocol {each(identity['protocol'] for identity in identities)}; "
            f"{', '.join(versions)}.",
        ]
    )


def each(values: Iterable[Any]) -> str:
    """List what there is, each once."""
    return ", ".join(map(str, sorted(set(values), key=lambda one: (isinstance(one, str), one))))


def _data(record: RunRecord) -> str:
    content = fingerprint_in_words(record.data["fingerprint"])
    embedded = "embedded, not D4RL's; " if record.data["name"].startswith("seqrl/") else ""
    return f"{record.data['name']} ({embedded}{content}) played in {record.task['environment']}"


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
