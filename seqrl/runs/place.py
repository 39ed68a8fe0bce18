"""Place: where a run's files lie within a results folder."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seqrl.data.whole import sha256_of
from seqrl.errors import DataError
from seqrl.runs.contradiction import contradiction
from seqrl.runs.experiment import RunSpec
from seqrl.runs.record import RunRecord
from seqrl.runs.sound import read_sound

WORK = ".work"
"""The folder, within a results folder, of runs that are not finished."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a run's files lie."""

    record: Path
    work: Path
    """What is needed to go on with an unfinished run; removed in the end."""

    @classmethod
    def of(cls, results: Path, spec: RunSpec, task: str, hash_: str) -> "Place":
        """Return the places within a results folder."""
        folders = [part.replace("/", "-").replace(":", "-") for part in (task, spec.name)]
        folder = results.joinpath("runs", Path(spec.experiment).stem, *folders)
        record = folder / f"seed-{spec.seed}-{hash_[:8]}.json"
        return cls(record, results / WORK / hash_[:16])

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint."""
        return self.record.with_suffix(".safetensors")

    @property
    def metrics(self) -> Path:
        """How the training went."""
        return self.record.with_suffix(".metrics.jsonl")

    @property
    def lock(self) -> Path:
        """Held by whoever is at work on the run."""
        return self.work.with_suffix(".lock")


def places_by_name(results: Path) -> dict[str, list[Path]]:
    """Return all records that a results folder holds, by the name of their file: one run has one
    name, whatever experiment it was done for."""
    found: dict[str, list[Path]] = {}
    for file in sorted(results.glob("runs/*/*/*/seed-*.json")):
        found.setdefault(file.name, []).append(file)
    return found


def done_already(
    place: Place, hash_: str, by_name: Mapping[str, list[Path]]
) -> tuple[RunRecord, Place] | None:
    """Return the record of a run that is done, and where it lies: it may have been done for
    another experiment, if nothing of it was another."""
    others = [file for file in by_name.get(place.record.name, []) if file != place.record]
    for one in (place, *(Place(file, place.work) for file in others)):
        if record := finished(one, hash_):
            return record, one
    return None


def finished(place: Place, hash_: str) -> RunRecord | None:
    """Return the record of a run that is done already, if it and its checkpoint are whole."""
    if not place.record.exists():
        return None
    try:
        record = read_sound(place.record)
        if record.status != "done" or not place.checkpoint.exists():
            return None
        if not (why := contradiction(record)):
            if record.hash == hash_ and record.is_of(sha256_of(place.checkpoint)):
                return record
            why = "it and its checkpoint do not belong together"
    except DataError as error:
        why = str(error)
    _log.warning("%s is not taken for done, so it is run again: %s.", place.record, why.rstrip("."))
    return None
