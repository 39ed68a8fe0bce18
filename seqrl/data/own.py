"""A user's own data: a file in D4RL's layout, or a Python function that gives episodes.

The name `file/<name>+<first digits of the fingerprint>` denotes one content wherever it is
imported.
"""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from seqrl.data.cache import Origin, Prepared
from seqrl.data.layout import read_layout, sha256_of, stamp_of, state_parts_of
from seqrl.episodes import Array, fingerprint_of
from seqrl.errors import DataError, UnknownName
from seqrl.progress import Progress
from seqrl.tasks.task import Task


def file_origin(file: Path, task: Task) -> Origin:
    """Describe a data set in a file of D4RL's layout."""
    stamp = stamp_of(file)
    return Origin(
        task=task,
        read=lambda scratch, progress: read_layout(file, task, progress=progress),
        stamp={**stamp, "environment": task.environment, "horizon": task.horizon},
        provenance=lambda: {"kind": "imported file", "file": file.name, "sha256": sha256_of(file)},
        accept=_named_by_content,
        state_parts=state_parts_of(file),
        bytes_needed=stamp["size"],
    )


def function_origin(source: str, task: Task) -> Origin:
    """Describe episodes that `module:function` returns: an iterable of mappings, one an episode.

    Each has `observations` [T, o], `actions` [T, a], `rewards` [T] and `terminated` (true or
    false), and may have `timed_out`, `next_observations` and `log_probabilities`.
    """
    module, _, name = source.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UnknownName(
            f"{source} is neither a file nor a function that can be imported: {error}."
        ) from error
    return Origin(
        task=task,
        read=lambda scratch, progress: _episodes_of(source, function(), progress),
        stamp={"function": source, "called": uuid4().hex},  # what it gives may change: never reused
        provenance=lambda: {"kind": "imported from a function", "function": source},
        accept=_named_by_content,
    )


def _named_by_content(prepared: Prepared) -> str:
    return f"{prepared.name}+{fingerprint_of(prepared.digests)[:8]}"


def _episodes_of(
    source: str, episodes: Iterable[Mapping[str, Any]], progress: Progress
) -> Iterator[dict[str, Array]]:
    done = 0
    for index, episode in enumerate(episodes):
        needed = ("observations", "actions", "rewards", "terminated")
        if not isinstance(episode, Mapping) or any(key not in episode for key in needed):
            raise DataError(
                f"Episode {index} of {source} is not a mapping with {', '.join(needed)}: "
                f"{sorted(episode) if isinstance(episode, Mapping) else type(episode).__name__}."
            )
        piece = {
            key: np.asarray(episode[key])
            for key in (*needed[:3], "next_observations", "log_probabilities")
            if episode.get(key) is not None
        }
        steps = len(piece["rewards"]) if piece["rewards"].ndim else 0
        if not steps:
            raise DataError(f"Episode {index} of {source} has no steps.")
        terminated, timed_out = bool(episode["terminated"]), episode.get("timed_out")
        piece["terminated"], piece["timed_out"] = np.zeros((2, steps), bool)
        piece["terminated"][-1] = terminated
        piece["timed_out"][-1] = not terminated if timed_out is None else bool(timed_out)
        yield piece
        done += steps
        progress(f"reading {source}", done, 0, "steps")
