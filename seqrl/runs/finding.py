"""Finding: all records below a results folder, and what looks like one and is not counted."""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from seqrl.errors import DataError, SeqrlError, UnknownName, told_plainly
from seqrl.runs.contradiction import contradiction
from seqrl.runs.records import NAME, Found, Records, Unread
from seqrl.runs.sound import read_sound

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
    return Records.of(_below(results / "runs"))


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
    return Records.of(read.values())


def record_at(text: str, records: Records | None) -> Found:
    """Return the record of a file, or the one of `records` whose hash begins so."""
    file = Path(text)
    if is_file(file) or records is None:
        return Found(file=file, record=read_sound(file))
    return records.with_hash(text)


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
