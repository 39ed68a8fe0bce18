"""Prepared episodes: columns written once as .npy, then memory-mapped by whoever needs them.

One entry is a folder under `$SEQRL_HOME/data/<full name>`: `episodes.json` points to a folder of
columns. It is replaced in one go after everything else is on disk, so a reader sees a whole data
set or none, and a kill leaves the one before. A file lock lets one process prepare while the others
wait.

Knows nothing of where episodes come from: an `Origin` brings its own reader.
"""

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from platformdirs import user_cache_path

from seqrl.data.alone import alone
from seqrl.data.whole import replace_file, to_disk
from seqrl.data.writer import ColumnWriter
from seqrl.episodes import Array, ColumnDigest, Episodes, digest_of, starts_of
from seqrl.errors import DataError, told_plainly
from seqrl.progress import Progress, silent
from seqrl.tasks.task import Task, task_from

FORMAT = 1
"""Of `episodes.json`; another number is prepared again."""

_log = logging.getLogger(__name__)


def home() -> Path:
    """Return the folder of all that seqrl keeps: `$SEQRL_HOME`, else the platform's for caches."""
    named = Path(os.environ.get("SEQRL_HOME") or user_cache_path("seqrl"))
    try:
        return named.expanduser().absolute()
    except RuntimeError as error:  # ~somebody
        raise DataError(f"SEQRL_HOME={named}: there is no such home folder.") from error


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where one data set comes from, and how to read it."""

    task: Task
    """`task.name` is the full name under which the episodes are kept."""

    read: Callable[[Path, Progress], Iterable[Mapping[str, Array]]]
    """Given a scratch folder that survives a kill: all steps, in order, as pieces of columns."""

    stamp: Mapping[str, Any]
    """What the prepared copy depends on. An entry with an equal stamp is not prepared again."""

    provenance: Callable[[], Mapping[str, Any]] = dict
    """Plain data about the source, asked for after reading."""

    accept: Callable[["Prepared"], str] = field(default=lambda prepared: prepared.task.name)
    """Looks at the result before it is published: its name, or a `DataError`."""

    state_parts: Mapping[str, int] = field(default_factory=dict)
    """What stands in the column `states`: name and width, in order."""

    bytes_needed: int = 0
    """Room to ask for before starting; 0 if not known."""

    source: str = ""
    """What a person calls the source, in errors: a file, a function. The task's name, if empty."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """What the source calls a column, where it has another name for it."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What is known of a prepared data set: the content of `episodes.json`."""

    name: str
    task: Task
    folder: str
    columns: list[str]
    digests: dict[str, str]
    """Of the finished episodes."""
    tail_digests: dict[str, str]
    """Of these and the cut-off one without its last transition; empty if there is none."""
    episodes: int
    steps: int
    cut_off_steps: int
    state_parts: dict[str, int]
    stamp: dict[str, Any]
    provenance: dict[str, Any]
    format: int = FORMAT


def entry_folder(name: str) -> Path:
    """Return the folder of a data set; what follows a + in its name says which content is there."""
    parts = name.partition("+")[0].split("/")
    if not all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", part) for part in parts):
        raise DataError(
            f"{name!r} is no data name: letters, digits, and . _ - between slashes are allowed."
        )
    return home().joinpath("data", *parts)


def look_up(name: str) -> Prepared | None:
    """Return what is known of a prepared data set, or nothing if it is not prepared here."""
    index = entry_folder(name) / "episodes.json"
    with told_plainly(index, "reading"):
        if not index.is_file():
            return None
        text = index.read_bytes()
    try:
        known = json.loads(text)
        if known["format"] != FORMAT:
            return None
        return Prepared(**{**known, "task": task_from(known["task"])})
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise DataError(
            f"{index} is damaged ({error}). Remove the prepared copy with `seqrl data remove "
            f"{name}` and prepare it again."
        ) from error


def everything() -> list[Prepared]:
    """Return all prepared data sets, by name; of a damaged one only a warning tells."""
    found = []
    for name in _entries("episodes.json"):
        try:
            if known := look_up(name):
                found.append(known)
        except DataError as error:
            _log.warning("%s", error)
    return found


def unfinished() -> dict[str, int]:
    """Return what killed or running preparations have left so far: entry -> bytes."""
    left = {}
    for name in sorted({*_entries("unfinished"), *_entries("columns-*")}):
        folder = entry_folder(name)
        used = _folder_in_use(folder)
        files = [f for f in folder.rglob("*") if f.is_file() and used not in f.parts]
        size = sum(file.stat().st_size for file in files if file.parent != folder)
        if size:
            left[name] = size
    return left


def _entries(holding: str) -> list[str]:
    top = home() / "data"
    return sorted(found.parent.relative_to(top).as_posix() for found in top.rglob(holding))


def open_prepared(known: Prepared, *, tail: bool = False) -> Episodes:
    """Map the columns of a prepared data set; with `tail`, the cut-off last episode too.

    The cut-off episode comes without its last transition, as the Trajectory Transformer's authors
    keep it.
    """
    folder = entry_folder(known.name) / known.folder
    try:
        columns = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in known.columns
        }
        starts = np.load(folder / "starts.npy", allow_pickle=False)
        if len(starts) - 1 != known.episodes or starts[-1] != known.steps:
            raise ValueError(f"starts.npy holds {len(starts) - 1:,} of {known.episodes:,} episodes")
        digests = known.digests
        if tail and known.tail_digests:
            starts = np.append(starts, known.steps + known.cut_off_steps - 1)
            digests = known.tail_digests
        return Episodes(
            name=known.name + ("+tail" if tail else ""),
            columns={name: column[: starts[-1]] for name, column in columns.items()},
            starts=starts,
            horizon=known.task.horizon,
            action_low=np.array(known.task.action_low, np.float32),
            action_high=np.array(known.task.action_high, np.float32),
            digests=digests,
            state_parts=known.state_parts,
            cut_off_steps=known.cut_off_steps,
            provenance=known.provenance,
        )
    except (OSError, ValueError, TypeError, IndexError, EOFError, AssertionError) as error:
        if isinstance(error, PermissionError):  # it may be whole: removing it is no advice
            with told_plainly(folder, "reading"):
                raise
        raise DataError(
            f"The prepared copy of {known.name} in {folder} is damaged ({error}). Remove it with "
            f"`seqrl data remove {known.name}` and prepare it again."
        ) from error


def prepare(origin: Origin, progress: Progress = silent) -> Prepared:
    """Return the prepared data set of `origin`, reading it first if that has not been done yet."""
    folder = entry_folder(origin.task.name)
    stamp = json.loads(json.dumps(origin.stamp))
    if ready := current(origin.task.name, stamp):
        return ready
    with told_plainly(folder, "preparing"):
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder / ".lock", f"preparing {folder.name}", progress):
            # While we waited, somebody else may have done it.
            if ready := current(origin.task.name, stamp):
                return ready
            return _write(origin, folder, stamp, progress)


def current(name: str, stamp: Mapping[str, Any]) -> Prepared | None:
    """Return what is prepared under a name if it is whole and was made from the same source."""
    try:
        known = look_up(name)
        if known is not None and known.stamp == stamp:
            open_prepared(known)
            return known
    except DataError as error:
        _log.warning("%s It is being prepared again now.", error)
    return None


def size_of(known: Prepared) -> int:
    """Count the bytes of a prepared data set."""
    folder = entry_folder(known.name) / known.folder
    return sum(file.stat().st_size for file in folder.glob("*"))  # none where it is damaged


def remove(name: str) -> int:
    """Delete the prepared copy; the number of bytes that are free again."""
    folder = entry_folder(name)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    with (
        told_plainly(folder, "removing"),
        alone(folder / ".lock", f"preparing {folder.name}", silent),
    ):
        # First the index: without it, nothing refers to the rest.
        (folder / "episodes.json").unlink(missing_ok=True)
        shutil.rmtree(folder)
    return size


def _write(origin: Origin, folder: Path, stamp: dict[str, Any], progress: Progress) -> Prepared:
    """Write columns into a new folder, then let the index point to it."""
    for leftover in folder.glob("columns-*"):
        if not (known := _folder_in_use(folder)) or leftover.name != known:
            _delete(leftover)
    _check_room(origin, folder)
    scratch, fresh = folder / "unfinished", folder / f"columns-{uuid4().hex[:12]}"
    scratch.mkdir(exist_ok=True)
    fresh.mkdir()
    try:
        with ColumnWriter(fresh, origin.task, source=origin.source, keys=origin.keys) as writer:
            for piece in origin.read(scratch, progress):
                writer.add(piece)
        prepared = _finish(origin, fresh, writer, stamp)
        replace_file(folder / "episodes.json", json.dumps(asdict(prepared), indent=1))
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    shutil.rmtree(scratch)
    for old in folder.glob("columns-*"):
        if old != fresh:  # readers that have it mapped keep their pages
            _delete(old)
    return prepared


def _delete(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()


def _folder_in_use(folder: Path) -> str:
    try:
        return str(json.loads((folder / "episodes.json").read_text())["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _check_room(origin: Origin, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < origin.bytes_needed:
        raise DataError(
            f"No room left: {origin.task.name} needs about {origin.bytes_needed / 1e6:,.0f} MB, "
            f"and {folder} has {free / 1e6:,.0f} MB free. Free some space, or set SEQRL_HOME to a "
            "folder on a larger disk."
        )


def _finish(origin: Origin, fresh: Path, writer: ColumnWriter, stamp: dict[str, Any]) -> Prepared:
    """Find the episodes in what was written, take its fingerprint, and let the origin judge it."""
    columns = {
        name: np.load(fresh / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in writer.names
    }
    starts, cut_off = starts_of(
        columns["terminated"], columns["timed_out"], origin.source or origin.task.name
    )
    np.save(fresh / "starts.npy", starts)
    steps = int(starts[-1])
    tail = steps + cut_off - 1 if cut_off > 1 else 0
    digests, tail_digests = {}, {}
    for name, column in columns.items():
        digest = ColumnDigest()
        digest.update(column[:steps])
        digests[name] = digest.text()
        if tail:
            digest.update(column[steps:tail])
            tail_digests[name] = digest.text()
    prepared = Prepared(
        name=origin.task.name,
        task=origin.task,
        folder=fresh.name,
        columns=list(columns),
        digests=digests,
        tail_digests=tail_digests,
        episodes=len(starts) - 1,
        steps=steps,
        cut_off_steps=cut_off,
        state_parts=dict(origin.state_parts),
        stamp=stamp,
        provenance={**origin.provenance(), "notes": writer.notes()},
    )
    for file in fresh.iterdir():
        to_disk(file)
    name = origin.accept(prepared)
    return replace(prepared, name=name, task=replace(prepared.task, name=name))


def verify(known: Prepared) -> list[str]:
    """Hash everything again; the names of the columns that are not what was prepared."""
    views = [(open_prepared(known), known.digests)]
    if known.tail_digests:
        views.append((open_prepared(known, tail=True), known.tail_digests))
    changed = {
        name
        for episodes, digests in views
        for name, column in episodes.columns.items()
        if digest_of(column) != digests[name]
    }
    episodes, _ = views[0]
    starts, _ = starts_of(episodes.terminated, episodes.timed_out)
    if not np.array_equal(starts, episodes.starts):
        changed.add("starts")
    return sorted(changed)
