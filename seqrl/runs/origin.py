"""Origin: what returns that were played from a checkpoint must not be told without."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqrl.data.whole import sha256_of
from seqrl.evaluation import PRECISION
from seqrl.policy import Policy
from seqrl.runs.identity import versions
from seqrl.runs.record import facts_in_words, fingerprint_in_words


def loaded(checkpoint: Path, *, device: str = "auto", threads: int | None = None) -> Policy:
    """Read a checkpoint onto a device, to be played with so many CPU threads."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    return Policy.load(checkpoint, device)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A checkpoint, what it was trained on, and how it is played now."""

    checkpoint_sha256: str
    agent: str
    """The class's name."""
    data: str
    fingerprint: str
    environment: str
    updates: int | None
    """Nothing where the checkpoint does not say."""
    training_seed: int | None
    imported: str | None
    """From where, if it was not trained here."""
    facts: Mapping[str, Any]
    """What the agent says of itself, its target for instance."""
    seed: int
    """Of what is played now."""
    precision: str
    versions: Mapping[str, str]
    """Of now."""
    trained_with: Mapping[str, str]
    """The versions that were others when it was trained."""

    @classmethod
    def of(cls, checkpoint: Path, policy: Policy, seed: int | None = None) -> "Origin":
        """Describe playing a policy that was read from `checkpoint`, with the seed of its training
        if nothing else is said."""
        data, now = policy.model.tokenizer.data, versions()
        then: Mapping[str, str] = policy.about.get("versions", {})
        return cls(
            checkpoint_sha256=sha256_of(checkpoint),
            agent=type(policy.agent).__name__,
            data=data.name,
            fingerprint=data.fingerprint,
            environment=policy.task.environment,
            updates=policy.about.get("updates"),
            training_seed=policy.about.get("seed"),
            imported=policy.about.get("imported"),
            facts=policy.agent.facts(data),
            seed=policy.about.get("seed", 0) if seed is None else seed,
            precision=PRECISION,
            versions=now,
            trained_with={name: was for name, was in then.items() if now.get(name) != was},
        )

    def columns(self) -> dict[str, str]:
        """Return what every row of a table says; what the agent says of itself is left out."""
        named: dict[str, Any] = {
            "agent": self.agent,
            "data": self.data,
            "fingerprint": self.fingerprint,
            "environment": self.environment,
            "updates": self.updates,
            "training_seed": self.training_seed,
            "imported": self.imported,
            "checkpoint_sha256": self.checkpoint_sha256,
            "seed": self.seed,
            "precision": self.precision,
            **self.versions,
        }
        return {name: "" if value is None else str(value) for name, value in named.items()}

    def caption(self, episodes: str) -> str:
        """Say it all in a sentence; `episodes` says what was played."""
        facts = facts_in_words(self.facts)
        return (
            f"{self.agent}, trained on {self.data} ({fingerprint_in_words(self.fingerprint)})"
            + ("" if self.imported is None else f", imported from {self.imported}")
            + ("" if self.training_seed is None else f" with seed {self.training_seed}")
            + ("" if self.updates is None else f" for {self.updates:,} updates")
            + f", checkpoint {self.checkpoint_sha256[:8]}; played in {self.environment}, {episodes}"
            f", seed {self.seed}, in {self.precision}"
            + (f"; {facts}" if facts else "")
            + f"; {_listed(self.versions)}"
            + (f"; trained with {_listed(self.trained_with)}" if self.trained_with else "")
            + "."
        )


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
