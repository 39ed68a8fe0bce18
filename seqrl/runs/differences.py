"""Differences: what two records differ in, and an agent from the defaults of its class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqrl.agents.agent import Agent
from seqrl.plain import class_at, to_plain
from seqrl.runs.record import RunRecord

NOT_THERE = "(not there)"

HASHED = ("agent", "seed", "identity")
"""What the hash of a run is over; see `hash_of`."""
COMPARED = (*HASHED, "experiment", "name", "changed", "task", "data", "versions", "machine")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One field that is not the same twice."""

    field: str
    """Inner ones by dots."""
    first: Any
    second: Any

    @property
    def in_hash(self) -> bool:
        """Say whether it alone makes two runs of them."""
        return self.field.partition(".")[0] in HASHED


def between(first: RunRecord, second: RunRecord) -> list[Difference]:
    """Compare two records field by field: how they were made, not what came of it."""
    plain = [{name: getattr(record, name) for name in COMPARED} for record in (first, second)]
    return differences(*plain)


def from_defaults(agent: Mapping[str, Any]) -> list[Difference]:
    """Compare an agent's fields, second, with the defaults of its class, first.

    Raises whatever importing or making the class does: it may be anybody's.
    """
    kind: type[Agent] = class_at(agent["is"], Agent)  # type: ignore[type-abstract]
    return differences(to_plain(kind()), agent)


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Compare plain data, in the order of the first."""
    if first == second:
        return []
    before, after = flat(first), flat(second)
    return [
        Difference(field=name, first=was, second=now)
        for name in dict.fromkeys([*before, *after])
        if (was := before.get(name, NOT_THERE)) != (now := after.get(name, NOT_THERE))
    ]


def flat(plain: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return nested plain data as one mapping: inner names by dots."""
    found: dict[str, Any] = {}
    for name, value in plain.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{path}{name}.")
        else:
            found[f"{path}{name}"] = value
    return found
