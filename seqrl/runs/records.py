"""Many records: found below a results folder, chosen by name, as a table for notebooks.

What cannot be read stands beside the others with its sentence, so that nobody counts without it.
"""

import fnmatch
import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqrl.errors import DataError, SeqrlError, UnknownName, told_plainly
from seqrl.runs.contradiction import contradiction
from seqrl.runs.experiment import names_of
from seqrl.runs.record import RunRecord
from seqrl.runs.sound import read_sound

if TYPE_CHECKING:
    import pandas

_log = logging.getLogger(__name__)

NAME = re.compile(r"seed-\d+-([0-9a-f]{8})\.json")
LIKE_ONE = re.compile(r"(?i).*seed.*\.json(?:[^l].*)?")
"""What a copy, a backup or a download of a record may be called."""
ANY_JSON = re.compile(r"(?i).*\.json(?:[^l].*)?")
"""Among records it may be one under another name."""
ASTRAY = (
    "{} may be a record, and is not read: those are runs/EXPERIMENT/TASK/AGENT/"
    "seed-SEED-HASH.json, with eight small letters and digits of the hash."
)
DEEP = 3
"""Folders between `runs` and a record: experiment, task, agent."""
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


def records_below(results: Path) -> Records:
    """Read all records of a results folder; nothing that is wrong with one ends the others."""
    with told_plainly(results, "looking for records", None):
        try:
            is_folder = stat.S_ISDIR(results.stat().st_mode)
        except FileNotFoundError as error:
            raise UnknownName(
                f"There is no folder {results}. Name the folder that `seqrl run` writes its "
                "results to."
            ) from error
    if not is_folder:
        raise DataError(f"{results} is neither a folder nor a file that could be read twice.")
    return _records(_below(results / "runs"))


def chosen_from(places: Iterable[Path]) -> Records:
    """Read results folders and single records; a file that is named twice is there once."""
    read: dict[object, Found | Unread] = {}
    for place in places:
        if is_file(place):
            ones: list[Found | Unread] = [_read(place)]
        else:
            there = records_below(place)
            ones = [*there.found, *there.unread]
        for one in ones:
            file = _itself(one.file)
            if isinstance(one, Found) or not isinstance(read.get(file), Found):
                read[file] = one  # what counts by one name is not left out by another
    return _records(read.values())


def _records(read: Iterable[Found | Unread]) -> Records:
    """Put in order what was read."""
    all_ = [*read]
    found = [one for one in all_ if isinstance(one, Found)]
    unread = [one for one in all_ if isinstance(one, Unread)]
    return Records(
        found=tuple(sorted(found, key=_place)),
        unread=tuple(sorted(unread, key=lambda one: one.file)),
    )


def is_file(place: Path) -> bool:
    """Say whether a place that somebody named is a file."""
    with told_plainly(place, "looking for records", None):
        return place.is_file()


def _read(file: Path, *, in_its_place: bool = False) -> Found | Unread:
    """Read a record that can be counted; of another, say why not. In its place among others it has
    the name that a run gives it."""
    try:
        record = read_sound(file)
    except SeqrlError as error:
        return Unread(file=file, why=str(error))
    if in_its_place and file.name != f"seed-{record.seed}-{record.hash[:8]}.json":
        why = f"{file} is named for another run than it holds. Rename or remove it."
        return Unread(file=file, why=why, record=record)
    if why := contradiction(record):
        return Unread(file=file, why=f"{file} contradicts itself: {why}.", record=record)
    return Found(file=file, record=record)


def _itself(file: Path) -> object:
    """Return what is the same of a file by whatever name, and by whatever link."""
    try:
        known = file.stat()
    except OSError:  # it cannot be read by any
        return file
    return known.st_dev, known.st_ino


def _below(runs: Path) -> Iterator[Found | Unread]:
    """Read the records; what looks like one, and is called or lies otherwise, is told."""
    folders, depth = [runs] if runs.is_dir() else [], 0
    while folders:
        inside: list[tuple[Path, bool]] = []
        for folder in folders:
            try:
                inside += _inside(folder)
            except DataError as error:
                yield Unread(file=folder, why=str(error))
        for file, is_folder in inside:
            if depth == DEEP and NAME.fullmatch(file.name):
                yield _read(file, in_its_place=True)
            elif not is_folder and (LIKE_ONE if depth < DEEP else ANY_JSON).fullmatch(file.name):
                yield Unread(file=file, why=ASTRAY.format(file))
        folders = [file for file, is_folder in inside if is_folder]
        if depth >= DEEP:  # nothing is read there: links might lead back
            folders = [folder for folder in folders if not folder.is_symlink()]
        depth += 1


def _inside(folder: Path) -> list[tuple[Path, bool]]:
    """List a folder: what is there and not hidden, and whether it is a folder too."""
    with told_plainly(folder, "listing records", None), os.scandir(folder) as inside:
        seen = [one for one in inside if not one.name.startswith(".")]
        return sorted((Path(one), _is_folder(one)) for one in seen)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that we may not enter
        return False


def _place(found: Found) -> tuple[str, str, str, int, str, str]:
    record = found.record
    kind = (record.experiment, record.task["name"], record.name)
    return *kind, record.seed, record.hash, str(found.file)


def record_at(text: str, records: Records | None) -> Found:
    """Return the record of a file, or the one of `records` whose hash begins so."""
    file = Path(text)
    if is_file(file) or records is None:
        return Found(file=file, record=read_sound(file))
    return records.with_hash(text)


# ---- for notebooks -------------------------------------------------------------------------------

COLUMNS = (
    "experiment", "task", "agent", "kind", "seed", "status", "score", "return", "return_sd",
    "episodes", "updates", "environment", "fingerprint", "protocol", "target_rule",
    "target_return", "training_seconds", "evaluation_seconds", "updates_per_second", "processor",
    "device", "threads", "changed", "hash", "written", "error", "file",
)  # fmt: skip
"""What `read_records` says of every run, besides a column for each package's version."""


def read_records(*places: Path | str) -> "pandas.DataFrame":
    """Return one row a run, of results folders or single records; by default of `results`.

    What could not be read is a warning, and no row.
    """
    import pandas

    there = chosen_from(map(Path, places or ("results",)))
    for one in there.unread:
        _log.warning("%s", one.why)
    if not there.found:
        _log.warning("There is no record that could be read.")
    rows = [_row(one) for one in there.found]
    versions = [name for row in rows for name in row if name not in COLUMNS]
    return pandas.DataFrame(rows, columns=[*COLUMNS, *dict.fromkeys(versions)])


def _row(found: Found) -> dict[str, Any]:
    record, nan = found.record, float("nan")
    return {
        "experiment": record.experiment,
        "task": record.task["name"],
        "agent": record.name,
        "kind": record.kind,
        "seed": record.seed,
        "status": record.status,
        "score": nan if record.score is None else record.score,
        "return": nan if record.mean_return is None else record.mean_return,
        "return_sd": nan if record.deviation is None else record.deviation,
        "episodes": len(record.returns),
        "updates": record.training.get("updates", nan),
        "environment": record.task["environment"],
        "fingerprint": record.data["fingerprint"],
        "protocol": record.identity["protocol"],
        "target_rule": record.facts.get("target_rule"),
        "target_return": record.facts.get("target_return", nan),
        "training_seconds": record.training.get("seconds", nan),
        "evaluation_seconds": nan if record.playing_seconds is None else record.playing_seconds,
        "updates_per_second": record.training.get("updates_per_second", nan),
        "processor": record.machine.get("processor"),
        "device": record.machine.get("device"),
        "threads": record.machine.get("threads"),
        "changed": " ".join(record.changed),
        "hash": record.hash,
        "written": record.written,
        "error": record.error,
        "file": str(found.file),
        **record.versions,
    }
