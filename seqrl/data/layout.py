"""D4RL's file layout: reading and writing it, as .hdf5 or .npz. Knows no catalogue and no cache.

The layout: one entry a step under `observations`, `actions`, `rewards`, `terminals`, and if
possible `timeouts`, `next_observations`, `infos/qpos`, `infos/qvel`, `infos/action_log_probs`.
Nothing is unpickled.

Letters: N steps in all.
"""

import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np

from seqrl.data.whole import put_whole
from seqrl.episodes import Array, Episodes
from seqrl.errors import DataError, is_refusal, told_plainly
from seqrl.progress import Progress, silent
from seqrl.tasks.task import Task

_HDF5_ROOM = 1 << 16
"""Bytes that HDF5 takes beside the columns."""

CHUNK = 50_000
"""Steps read at a time."""

LAYOUT = {
    "observations": "observations",
    "actions": "actions",
    "rewards": "rewards",
    "next_observations": "next_observations",
    "log_probabilities": "infos/action_log_probs",
}
"""Our column -> D4RL's key, where they correspond one to one."""

QPOS, QVEL = "infos/qpos", "infos/qvel"


KEYS = {
    **LAYOUT,
    "terminated": "terminals",
    "timed_out": "timeouts",
    "states": f"{QPOS}, {QVEL}",
}
"""Our column -> what it is made of: how an error names it to whoever wrote the file."""

NEEDED = ("observations", "actions", "rewards", "terminals")


class LayoutFile:
    """An open file in D4RL's layout: which keys it has, and their arrays, which can be sliced.

    Whatever h5py, zipfile and numpy raise at damaged bytes, and they raise a dozen kinds, becomes a
    sentence here.
    """

    def __init__(self, file: Path, found: Any) -> None:
        """Take an open HDF5 or .npz file."""
        self.file = file
        self._found = found
        self._arrays: dict[str, Any] = {}  # an .npz is unpacked anew each time it is asked

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._found.close()

    def __contains__(self, key: str) -> bool:
        """Say whether the file has something under that key."""
        with self._read_plainly():
            return key in self._found

    def __getitem__(self, key: str) -> Any:
        """Return the array under a key, still on disk if it is HDF5; refuse all but numbers."""
        with self._read_plainly():
            if key not in self._arrays:
                try:
                    self._arrays[key] = self._found[key]
                except ValueError as error:
                    if "Object arrays" not in str(error):  # numpy's word for pickled content
                        raise
                    raise self._wrong(key, "holds pickled Python objects, never read") from error
            array = self._arrays[key]
            if not getattr(array, "shape", None):
                raise self._wrong(key, "is a group or a single value")
            if array.dtype.kind not in "biuf":
                raise self._wrong(key, f"is of type {array.dtype}")
            return array

    def slice(self, key: str, steps: slice) -> Array:
        """Read some steps of an array."""
        array = self[key]
        with self._read_plainly():
            return np.asarray(array[steps])

    def _wrong(self, key: str, found: str) -> DataError:
        return DataError(
            f"{self.file}: `{key}` {found}; expected are numbers, one entry a step. Put that right "
            "in the file and run the command again."
        )

    @contextmanager
    def _read_plainly(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if isinstance(error, DataError) or is_refusal(error):
                raise
            raise DataError(
                f"{self.file} breaks off or is damaged ({_first_line(error)}); expected is a whole "
                "HDF5 or .npz file. Delete it and fetch or copy it again."
            ) from error


def _first_line(error: Exception) -> str:
    said = str(error.args[0] if error.args else error)  # a KeyError's own text has quotes around
    return (said.splitlines() or [type(error).__name__])[0]


def open_layout(file: Path) -> LayoutFile:
    """Open an .hdf5 or .npz file, or say why it is neither."""
    opened = _try_to_open(file)
    if isinstance(opened, LayoutFile):
        return opened
    raise DataError(
        f"{file} {opened}. Expected is a whole HDF5 or .npz file in D4RL's layout: delete it and "
        "fetch or copy it again."
    )


def what_is_wrong(file: Path) -> str:
    """Say why a file is neither HDF5 nor .npz; empty if it is one of them."""
    opened = _try_to_open(file)
    if isinstance(opened, str):
        return opened
    with opened:
        return ""


def _try_to_open(file: Path) -> LayoutFile | str:
    with told_plainly(file, "reading"):
        with file.open("rb") as bytes_:
            start = bytes_.read(8)
        try:
            if start == b"\x89HDF\r\n\x1a\n":
                import h5py

                return LayoutFile(file, h5py.File(file, "r"))
            if start[:4] == b"PK\x03\x04":
                zipfile.ZipFile(file).close()  # numpy leaves a broken one open
                return LayoutFile(file, np.load(file, allow_pickle=False))
        except BlockingIOError as error:
            raise DataError(
                f"{file} is open for writing in another program ({error}); expected is a finished "
                "file. Wait until that program has ended."
            ) from error
        except Exception as error:
            if is_refusal(error):
                raise
            return f"cannot be opened ({_first_line(error)}): it is probably incomplete"
    looks = "is empty" if not start else f"starts with {start!r}"
    hint = " (a web page, perhaps of a login or an error)" if b"<" in start[:2] else ""
    return f"is neither HDF5 nor .npz: it {looks}{hint}"


def state_parts_of(file: Path) -> dict[str, int]:
    """Say which simulator states a file holds: name and width; empty if none."""
    with told_plainly(file, "reading"), open_layout(file) as found:
        if QPOS not in found or QVEL not in found:
            return {}
        return {"qpos": _width(found, QPOS), "qvel": _width(found, QVEL)}


def _width(found: LayoutFile, key: str) -> int:
    shape = found[key].shape
    if len(shape) != 2:
        raise DataError(
            f"{found.file}: `{key}` has the shape {shape}; expected is [steps, width]. Put that "
            "right in the file, or leave the simulator's states out of it."
        )
    return int(shape[1])


def read_layout(
    file: Path, task: Task, *, data_width: int | None = None, progress: Progress = silent
) -> Iterator[dict[str, Array]]:
    """Read a file in D4RL's layout, piece by piece. `data_width`: observation width in the file."""
    with told_plainly(file, "reading"), open_layout(file) as found:
        yield from _pieces(found, task, data_width or task.observation_width, progress)


def _pieces(
    found: LayoutFile, task: Task, data_width: int, progress: Progress
) -> Iterator[dict[str, Array]]:
    if missing := [key for key in NEEDED if key not in found]:
        raise DataError(
            f"{found.file} has no {' and no '.join(f'`{key}`' for key in missing)}. D4RL's layout "
            f"needs {', '.join(f'`{key}`' for key in NEEDED)}, one entry a step. Add what is "
            "missing, or name the right file."
        )
    keys = {ours: key for ours, key in LAYOUT.items() if key in found}
    with_states = QPOS in found and QVEL in found
    flags = [key for key in ("terminals", "timeouts") if key in found]
    steps = _equal_lengths(found, [*keys.values(), *flags, *((QPOS, QVEL) if with_states else ())])
    for key in ("observations", "next_observations"):
        if key in found:
            _expect_width(found, key, data_width)
    terminated = _flags(found, "terminals")
    if "timeouts" in found:
        timed_out = _flags(found, "timeouts")
    else:
        timed_out = timeouts_by_horizon(terminated, task.horizon)
    for first in range(0, steps, CHUNK):
        chunk = slice(first, min(first + CHUNK, steps))
        piece = {ours: found.slice(key, chunk) for ours, key in keys.items()}
        for name in ("observations", "next_observations"):
            if name in piece:
                piece[name] = piece[name][:, : task.observation_width]
        for name in ("rewards", "log_probabilities"):
            if name in piece and piece[name].ndim == 2 and piece[name].shape[1] == 1:
                piece[name] = piece[name][:, 0]
        if with_states:
            states = [found.slice(key, chunk) for key in (QPOS, QVEL)]
            piece["states"] = np.concatenate(states, axis=1)
        yield {**piece, "terminated": terminated[chunk], "timed_out": timed_out[chunk]}
        progress(f"preparing {task.name}", chunk.stop, steps, "steps")


def _flags(found: LayoutFile, key: str) -> Array:
    """Flags are [N], or [N, 1] as some files have them."""
    column = found.slice(key, slice(None))
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise DataError(
            f"{found.file}: `{key}` has the shape {column.shape}; expected is [steps]. Put that "
            "right in the file and run the command again."
        )
    return column


def _equal_lengths(found: LayoutFile, keys: Sequence[str]) -> int:
    lengths = {key: found[key].shape[0] for key in keys}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"`{key}` {length:,}" for key, length in lengths.items())
        raise DataError(
            f"{found.file}: unequal lengths: {said}. Every key needs one entry a step: put that "
            "right in the file, or copy it again."
        )
    if not (steps := next(iter(lengths.values()))):
        raise DataError(
            f"{found.file} holds no steps at all; expected is at least one finished episode. "
            "Collect data first, or name the right file."
        )
    return int(steps)


def _expect_width(found: LayoutFile, key: str, width: int) -> None:
    shape = found[key].shape
    if shape[1:] != (width,):
        raise DataError(
            f"{found.file}: `{key}` has the shape {shape}; expected is [steps, {width}]. Is this "
            "the right file for the task?"
        )


def timeouts_by_horizon(terminated: Array, horizon: int) -> Array:
    """Where a file has no timeouts: an episode also ends when it has lasted `horizon` steps."""
    timed_out = np.zeros(len(terminated), bool)
    start = 0
    for end in [*np.flatnonzero(terminated), len(terminated) - 1]:
        timed_out[start + horizon - 1 : end + 1 : horizon] = True
        start = end + 1
    unfinished: Array = timed_out & ~terminated.astype(bool)
    return unfinished


def stamp_of(file: Path) -> dict[str, Any]:
    """Identify a file without reading it: place, size, time of change."""
    with told_plainly(file, "reading"):
        about = file.stat()
    return {"file": str(file.absolute()), "size": about.st_size, "changed": about.st_mtime_ns}


def write_layout(
    episodes: Episodes, file: Path, *, states: bool, progress: Progress = silent
) -> None:
    """Write .hdf5 or .npz in D4RL's layout; with `states`, positions and velocities too."""
    if file.suffix not in (".hdf5", ".npz"):
        raise DataError(
            f"{file} ends in {file.suffix or 'nothing'!r}; expected is a file name that ends in "
            ".hdf5 or .npz. Choose another name."
        )
    columns = {LAYOUT[ours]: episodes.columns[ours] for ours in LAYOUT if ours in episodes.columns}
    columns |= {"terminals": episodes.terminated, "timeouts": episodes.timed_out}
    if states:
        columns |= dict(zip((QPOS, QVEL), positions_and_velocities(episodes), strict=True))
    with told_plainly(file, "writing"), put_whole(file) as fresh:
        if file.suffix == ".npz":
            with fresh.open("wb") as out:
                np.savez(out, allow_pickle=False, **columns)
        else:
            _write_hdf5(fresh, episodes, columns, progress)


def _write_hdf5(
    fresh: Path, episodes: Episodes, columns: Mapping[str, Array], progress: Progress
) -> None:
    import h5py

    _ask_for_room(fresh, sum(column.nbytes for column in columns.values()) + _HDF5_ROOM)
    with h5py.File(fresh, "w") as out:
        for done, (key, column) in enumerate(columns.items()):
            progress(f"writing {key}", done, len(columns), "columns")
            out.create_dataset(key, data=column)
        out.create_dataset("metadata/seqrl_name", data=episodes.name)
        out.create_dataset("metadata/seqrl_fingerprint", data=episodes.fingerprint)


def _ask_for_room(fresh: Path, size: int) -> None:
    """Let a full disk refuse here: HDF5 crashes the process when it meets one while writing."""
    with fresh.open("wb") as out:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(out.fileno(), 0, size)


def positions_and_velocities(episodes: Episodes) -> tuple[Array, Array]:
    """Cut qpos and qvel out of the simulator states."""
    if "states" not in episodes.columns:
        raise DataError(
            f"{episodes.name} holds no simulator states; expected is a column `states`. Leave "
            "--states away to export the rest."
        )
    names, widths = list(episodes.state_parts), list(episodes.state_parts.values())
    pieces = np.split(episodes.columns["states"], np.cumsum(widths)[:-1], axis=1)
    found = dict(zip(names, pieces, strict=True))
    return found["qpos"], found["qvel"]
