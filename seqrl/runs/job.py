"""Job: a run that is ready to be done: what it is, its data, and what its numbers depend on.

Making one refuses now what would otherwise fail after hours.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from seqrl.agents.agent import Agent
from seqrl.episodes import Episodes
from seqrl.errors import SeqrlError
from seqrl.plain import to_plain
from seqrl.runs.checking import refuse_unbounded
from seqrl.runs.experiment import RunSpec
from seqrl.runs.identity import hash_of, identity_of, machine, versions
from seqrl.runs.place import Place
from seqrl.runs.record import RunRecord
from seqrl.runs.source import Source
from seqrl.tasks.environment import Environments
from seqrl.tasks.task import Task
from seqrl.tokens.tokenizer import facts_of


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run, before it is begun or while it is under way."""

    spec: RunSpec
    source: Source
    episodes: Episodes
    facts: Mapping[str, Any]
    """What the agent says of itself on this data."""
    identity: Mapping[str, Any]
    hash: str

    @classmethod
    def of(cls, spec: RunSpec, source: Source, precision: str) -> "Job":
        """Make it ready; `precision` is what its training would be computed in."""
        episodes = source.episodes
        facts = _before_anything(spec.agent, source.task, episodes)
        identity = identity_of(spec, episodes.fingerprint, source.task, precision)
        return cls(
            spec=spec,
            source=source,
            episodes=episodes,
            facts=facts,
            identity=identity,
            hash=hash_of(spec, identity),
        )

    @property
    def task(self) -> Task:
        """What it plays."""
        return self.source.task

    def place(self, results: Path) -> Place:
        """Return where its files lie within a results folder."""
        return Place.of(results, self.spec, self.task.name, self.hash)

    def record(
        self,
        status: Literal["done", "failed"],
        device: str,
        *,
        training: Mapping[str, Any] | None = None,
        evaluations: list[dict[str, Any]] | None = None,
        checkpoint: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> RunRecord:
        """Describe it, and what came of it."""
        spec, episodes = self.spec, self.episodes
        returns = episodes.returns
        mean = float(returns.mean())
        return RunRecord(
            status=status,
            hash=self.hash,
            experiment=Path(spec.experiment).stem,
            changed=list(spec.changed),
            name=spec.name,
            agent=to_plain(spec.agent),
            seed=spec.seed,
            identity=self.identity,
            task=asdict(self.task),
            data={
                "name": episodes.name,
                "fingerprint": episodes.fingerprint,
                "chosen_because": self.source.choice.reason,
                "episodes": len(episodes),
                "steps": episodes.steps,
                "best_return": float(returns.max()),
                "mean_return": mean,
                "mean_score": self.task.scored(mean),
            },
            facts=self.facts,
            training=training or {},
            checkpoint_rule="last",
            evaluations=evaluations or [],
            checkpoint=checkpoint,
            versions=versions(),
            machine=machine(device),
            written=datetime.now(UTC).isoformat(timespec="seconds"),
            error=error,
        )


def _before_anything(agent: Agent, task: Task, episodes: Episodes) -> dict[str, Any]:
    """Refuse now what would fail after hours; what the agent says of itself on this data."""
    refuse_unbounded(task)
    Environments(task, 1).close()
    facts = agent.facts(facts_of(episodes))
    try:
        json.dumps(facts, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SeqrlError(
            f"{type(agent).__name__}.facts() must return plain numbers and texts for the record, "
            f"not {facts!r}: {error}."
        ) from error
    asked = facts.get("target_return")
    if asked is not None and type(asked) not in (int, float):
        raise SeqrlError(
            f"{type(agent).__name__}.facts() must return a number as its target_return, not "
            f"{asked!r}."
        )
    return facts
