"""A user's own data: a file in D4RL's layout, or a Python function that gives episodes.

The name `file/<name>+<first digits of the fingerprint>` denotes one content wherever it is
imported.
"""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from seqrl.data.cache import Origin, Prepared, look_up
from seqrl.data.layout import KEYS, read_layout, stamp_of, state_parts_of
from seqrl.data.whole import sha256_of
from seqrl.episodes import Array, fingerprint_of
from seqrl.errors import DataError, UnknownName
from seqrl.progress import Progress
from seqrl.tasks.task import Task


def file_origin(file: Path, task: Task, *, replacing: bool = False) -> Origin:
    """Describe a data set in a file of D4RL's layout; `replacing` what has its name already."""
    stamp = stamp_of(file)
    return Origin(
        task=task,
        read=lambda scratch, progress: read_layout(file, task, progress=progress),
        stamp={**stamp, "task": asdict(task)},
        provenance=lambda: {"kind": "imported file", "file": file.name, "sha256": sha256_of(file)},
        accept=lambda prepared: _named_by_content(prepared, replacing),
        state_parts=state_parts_of(file),
        bytes_needed=stamp["size"],
        source=str(file),
        keys=KEYS,
    )


def function_origin(source: str, task: Task, *, replacing: bool = False) -> Origin:
    """Describe episodes that `module:function` returns: an iterable of mappings, one an episode.

    Each has `observations` [T, o], `actions` [T, a], `rewards` [T] and `terminated` (true or
    false), and may have `timed_out`, `next_observations` and `log_probabilities`.
    """
    module, _, name = source.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise UnknownName(
            f"{source} is neither a file nor a function that can be imported: {error}. Expected is "
            "an .hdf5 or .npz file, or module:function of a module that Python finds."
        ) from error
    if not callable(function):
        raise UnknownName(
            f"{source} is a {type(function).__name__}; expected is a function that returns "
            "episodes. Name one, as module:function."
        )
    return Origin(
        task=task,
        read=lambda scratch, progress: _episodes_of(source, function(), progress),
        stamp={"function": source, "called": uuid4().hex},  # what it gives may change: never reused
        provenance=lambda: {"kind": "imported from a function", "function": source},
        accept=lambda prepared: _named_by_content(prepared, replacing),
        source=source,
    )


def _named_by_content(prepared: Prepared, replacing: bool) -> str:
    """End the name in the content's fingerprint; refuse to push aside what has the name already."""
    name = f"{prepared.name}+{fingerprint_of(prepared.digests)[:8]}"
    old = None
    if not replacing:
        with suppress(DataError):  # what is damaged may be replaced
            old = look_up(prepared.name)
    if old is not None:
        if old.name != name:
            differs = "other content"
        elif replace(old.task, name="") != replace(prepared.task, name=""):
            differs = "another environment, horizon or reference"
        else:
            return name
        raise DataError(
            f"{old.name} is on this machine already, with {differs} than what is imported now. "
            "Choose another --name, or say --replace to put the new data in its place."
        )
    return name


NEEDED = ("observations", "actions", "rewards", "terminated")
"""What every episode of a function must have."""


def _episodes_of(source: str, episodes: Any, progress: Progress) -> Iterator[dict[str, Array]]:
    if not isinstance(episodes, Iterable):
        raise DataError(
            f"{source} returned {type(episodes).__name__}; expected is an iterable of episodes, "
            f"mappings with {', '.join(NEEDED)}. Return a list of them, or yield each."
        )
    done, unfinished = 0, False
    for index, episode in enumerate(episodes):
        if unfinished:
            raise DataError(
                f"Episode {index - 1} of {source} is neither terminated nor timed out, yet another "
                "follows it. Only the last one may be unfinished; leave `timed_out` away, and what "
                "does not terminate has timed out."
            )
        piece = _piece(f"Episode {index} of {source}", episode)
        unfinished = not (piece["terminated"][-1] or piece["timed_out"][-1])
        yield piece
        done += len(piece["rewards"])
        progress(f"reading {source}", done, 0, "steps")


def _piece(which: str, episode: Any) -> dict[str, Array]:
    """Turn one episode of a function into columns."""
    if not isinstance(episode, Mapping) or any(key not in episode for key in NEEDED):
        found = ", ".join(map(str, episode)) if isinstance(episode, Mapping) else repr(episode)
        raise DataError(
            f"{which} is not a mapping with {', '.join(NEEDED)}, but has: {found[:80]}. Put that "
            "right in the function and run the command again."
        )
    piece = {
        key: _array(which, key, episode[key])
        for key in (*NEEDED[:3], "next_observations", "log_probabilities")
        if episode.get(key) is not None
    }
    steps = len(piece["rewards"]) if piece["rewards"].ndim else 0
    if not steps:
        raise DataError(
            f"{which} has no steps; expected is at least one entry in `rewards`. Leave such "
            "episodes out."
        )
    if uneven := {
        key: column.shape for key, column in piece.items() if column.shape[:1] != (steps,)
    }:
        said = ", ".join(f"`{key}` has the shape {shape}" for key, shape in uneven.items())
        raise DataError(
            f"{which}: `rewards` has {steps:,} entries, but {said}. Expected is one entry a step "
            "in each; the last observation goes into `next_observations`."
        )
    terminated = _flag(which, "terminated", episode["terminated"])
    timed_out = episode.get("timed_out")
    piece["terminated"], piece["timed_out"] = np.zeros((2, steps), bool)
    piece["terminated"][-1] = terminated
    piece["timed_out"][-1] = (
        not terminated if timed_out is None else _flag(which, "timed_out", timed_out)
    )
    return piece


def _array(which: str, key: str, column: Any) -> Array:
    try:
        return np.asarray(column)
    except ValueError as error:
        raise DataError(
            f"{which}: `{key}` is no array ({error}). Expected are rows of equal width, one a step."
        ) from error


def _flag(which: str, key: str, value: Any) -> bool:
    flag = np.asarray(value)
    if flag.ndim or flag.dtype.kind not in "biuf" or flag not in (0, 1):
        raise DataError(
            f"{which}: `{key}` is {str(value)[:80]}; expected is true or false, once for the whole "
            "episode: how it ended."
        )
    return bool(flag)
