"""Copies: prepared data on its way to another machine, and there.

What another machine already has under a name is its own. A copy never takes its place: it lies in a
home of its own, named by fingerprint, beside the rest.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from seqrl.data.alone import alone
from seqrl.data.cache import Prepared, entry_folder, home, look_up, open_prepared
from seqrl.data.whole import replace_file, to_disk
from seqrl.episodes import Array, digest_of, fingerprint_of
from seqrl.errors import DataError, told_plainly
from seqrl.progress import silent
from seqrl.tasks.task import task_from

STARTS = "starts"


@dataclass(frozen=True, eq=False)
class Parcel:
    """A prepared data set in memory: what is known of it, and its columns."""

    known: Mapping[str, Any]
    columns: Mapping[str, Array]
    fingerprint: str


def packed(known: Prepared) -> Parcel:
    """Pack a prepared data set; the columns stay mapped until they are sent."""
    folder = entry_folder(known.name) / known.folder
    columns = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in [*known.columns, STARTS]
    }
    return Parcel(asdict(known), columns, fingerprint_of(known.digests))


def home_of(fingerprint: str) -> Path:
    """Return the home of the copy with this fingerprint."""
    return home() / "copies" / fingerprint[:16]


@contextmanager
def at_home(place: Path | None) -> Iterator[None]:
    """Look for data in this home for a while; in the usual one, if none is said."""
    before = os.environ.get("SEQRL_HOME")
    if place is not None:
        os.environ["SEQRL_HOME"] = str(place)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("SEQRL_HOME", None)
        else:
            os.environ["SEQRL_HOME"] = before


def found(name: str, fingerprint: str) -> Prepared | None:
    """Return what is prepared under a name here, if it is whole and has this content."""
    try:
        known = look_up(name)
        if known is None or fingerprint_of(known.digests) != fingerprint:
            return None
        open_prepared(known)
        return known
    except DataError:
        return None


def unpack(parcel: Parcel) -> Path:
    """Put a copy on this machine's disk, once; the home in which it lies."""
    place = home_of(parcel.fingerprint)
    name = parcel.known["name"]
    with at_home(place):
        folder = entry_folder(name)
        with told_plainly(folder, "copying data"):
            folder.mkdir(parents=True, exist_ok=True)
            with alone(folder / ".lock", f"copying {name}", silent):
                if found(name, parcel.fingerprint) is None:
                    _write(parcel, folder)
    return place


def _write(parcel: Parcel, folder: Path) -> None:
    fresh = folder / f"columns-{uuid4().hex[:12]}"
    fresh.mkdir()
    for name, column in parcel.columns.items():
        np.save(fresh / f"{name}.npy", column)
        to_disk(fresh / f"{name}.npy")
    known = Prepared(
        **{**parcel.known, "folder": fresh.name, "task": task_from(parcel.known["task"])}
    )
    steps = known.steps
    for name, digest in known.digests.items():
        if digest_of(parcel.columns[name][:steps]) != digest:
            raise DataError(f"The column {name} of {known.name} did not arrive as it was sent.")
    replace_file(folder / "episodes.json", json.dumps(asdict(known), indent=1))
