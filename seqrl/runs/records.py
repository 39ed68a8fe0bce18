"""Many records: put in order, and chosen by name.

What cannot be read stands beside the others with its sentence, so that nobody counts without it.
"""

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqrl.errors import DataError, SeqrlError, UnknownName
from seqrl.runs.experiment import names_of
from seqrl.runs.record import RunRecord

NAME = re.compile(r"seed-\d+-([0-9a-f]{8})\.json")
SHOWN = 12
"""Records that a message lists; `seqrl runs` lists them all."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A record, and where it lies."""

    file: Path
    record: RunRecord

    def __str__(self) -> str:
        """Name it in a line."""
        record = self.record
        return (
            f"{record.hash[:8]} ({record.experiment}: {record.name} on {record.task['name']}, seed "
            f"{record.seed}, {record.status}; {self.file})"
        )


@dataclass(frozen=True, kw_only=True)
class Unread:
    """What should be a record, or a folder of some, and could not be read."""

    file: Path
    why: str
    record: RunRecord | None = None
    """What it says, if that much is known: it may be asked for by name."""


@dataclass(frozen=True, kw_only=True)
class Records:
    """All that lies below a results folder."""

    found: tuple[Found, ...]
    """Sorted by experiment, task, agent, seed."""
    unread: tuple[Unread, ...]

    @classmethod
    def of(cls, read: Iterable[Found | Unread]) -> "Records":
        """Put in order what was read."""
        all_ = [*read]
        found = [one for one in all_ if isinstance(one, Found)]
        unread = [one for one in all_ if isinstance(one, Unread)]
        return cls(
            found=tuple(sorted(found, key=_place)),
            unread=tuple(sorted(unread, key=lambda one: one.file)),
        )

    def matching(
        self,
        *,
        experiment: str | None = None,
        task: str | None = None,
        agent: str | None = None,
        changed: str | None = None,
        seed: int | None = None,
        status: str | None = None,
    ) -> "Records":
        """Choose by patterns, as in a shell; a task's fits its full or its short name. Where that
        leaves nothing, say what there is."""

        def fits(record: RunRecord) -> bool:
            asked = (
                (experiment, {record.experiment}),
                (task, names_of(record.task["name"])),
                (agent, {record.name}),
                (changed, {" ".join(record.changed)}),
                (status, {record.status}),
            )
            return (seed is None or record.seed == seed) and all(
                pattern is None or any(fnmatch.fnmatch(name, pattern) for name in names)
                for pattern, names in asked
            )

        found = tuple(one for one in self.found if fits(one.record))
        unread = tuple(one for one in self.unread if one.record is None or fits(one.record))
        if self.found and not found and not any(one.record for one in unread):
            raise UnknownName(f"No record is of that kind. There are {self._names()}.")
        return replace(self, found=found, unread=unread)

    def _names(self) -> str:
        all_ = [one.record for one in self.found]
        kinds: dict[str, set[Any]] = {
            "experiments": {record.experiment for record in all_},
            "tasks": {record.task["name"] for record in all_},
            "agents": {record.name for record in all_},
            "changes": {" ".join(record.changed) or "none" for record in all_},
            "seeds": {record.seed for record in all_},
            "statuses": {record.status for record in all_},
        }
        return "; ".join(f"{k} {', '.join(map(str, sorted(names)))}" for k, names in kinds.items())

    def with_hash(self, begun: str) -> Found:
        """Return the one whose hash begins so."""
        fitting = [one for one in self.found if one.record.hash.startswith(begun.lower())]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise SeqrlError(
                f"{len(fitting)} records have a hash that begins with {begun!r}:{_listed(fitting)}"
                "\nWrite more of it, or the record's file."
            )
        for unread in self.unread:
            named = NAME.fullmatch(unread.file.name)
            if named and begun and named[1].startswith(begun.lower()[:8]):
                raise DataError(unread.why)
        there = f"There are:{_listed(self.found)}" if self.found else "There are none."
        raise UnknownName(f"There is no file {begun}, and no record whose hash begins so. {there}")


def _listed(found: Sequence[Found]) -> str:
    more = [f"and {len(found) - SHOWN} more (`seqrl runs`)"] if len(found) > SHOWN else []
    return "".join(f"\n  {line}" for line in [*map(str, found[:SHOWN]), *more])


def _place(found: Found) -> tuple[str, str, str, int, str, str]:
    record = found.record
    kind = (record.experiment, record.task["name"], record.name)
    return *kind, record.seed, record.hash, str(found.file)
