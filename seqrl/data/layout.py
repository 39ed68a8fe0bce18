"""D4RL's file layout: reading and writing it, as .hdf5 or .npz. Knows no catalogue and no cache.

The layout: one entry a step under `observations`, `actions`, `rewards`, `terminals`, and if
possible `timeouts`, `next_observations`, `infos/qpos`, `infos/qvel`, `infos/action_log_probs`.
Nothing is unpickled.

Letters: N steps in all.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, cast
from uuid import uuid4

import numpy as np

from seqrl.episodes import Array, Episodes
from seqrl.errors import DataError, told_plainly
from seqrl.progress import Progress, silent
from seqrl.tasks.task import Task

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


class _Columns(Protocol):
    """What an open file offers: keys, and arrays that can be sliced."""

    def __contains__(self, key: object) -> bool: ...
    def __getitem__(self, key: str) -> Any: ...


def open_layout(file: Path) -> AbstractContextManager[_Columns]:
    """Open an .hdf5 or .npz file, or say why it is neither."""
    with told_plainly(file, "reading"):
        with file.open("rb") as bytes_:
            start = bytes_.read(8)
        if start == b"\x89HDF\r\n\x1a\n":
            return _hdf5(file)
        if start[:4] == b"PK\x03\x04":
            return _npz(file)
    looks = "is empty" if not start else f"starts with {start!r}"
    hint = " (a web page, perhaps of a login or an error)" if b"<" in start[:2] else ""
    raise DataError(
        f"{file} is neither HDF5 nor .npz: it {looks}{hint}. Expected is a file in D4RL's layout."
    )


def _hdf5(file: Path) -> AbstractContextManager[_Columns]:
    import h5py

    try:
        return cast(AbstractContextManager[_Columns], h5py.File(file, "r"))
    except OSError as error:
        raise DataError(
            f"{file} cannot be read as HDF5 ({error}). It is probably incomplete: delete it and "
            "fetch "
            "or copy it again."
        ) from error


def _npz(file: Path) -> AbstractContextManager[_Columns]:
    try:
        return cast(AbstractContextManager[_Columns], np.load(file, allow_pickle=False))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{file} cannot be read as .npz ({error}). It is probably incomplete: delete it and "
            "copy "
            "it again."
        ) from error


def state_parts_of(file: Path) -> dict[str, int]:
    """Say which simulator states a file holds: name and width; empty if none."""
    with open_layout(file) as found:
        if QPOS not in found or QVEL not in found:
            return {}
        return {"qpos": _width(found[QPOS]), "qvel": _width(found[QVEL])}


def _width(column: Any) -> int:
    return int(column.shape[1]) if len(getattr(column, "shape", ())) == 2 else 0


def read_layout(
    file: Path, task: Task, *, data_width: int | None = None, progress: Progress = silent
) -> Iterator[dict[str, Array]]:
    """Read a file in D4RL's layout, piece by piece. `data_width`: observation width in the file."""
    with told_plainly(file, "reading"), open_layout(file) as found:
        try:
            yield from _pieces(file, found, task, data_width or task.observation_width, progress)
        except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
            if isinstance(error, DataError) or (isinstance(error, OSError) and error.errno):
                raise
            raise DataError(
                f"{file} breaks off or is damaged while being read ({error}). Delete it and fetch "
                "or "
                "copy it again."
            ) from error


def _pieces(
    file: Path, found: _Columns, task: Task, data_width: int, progress: Progress
) -> Iterator[dict[str, Array]]:
    needed = ["observations", "actions", "rewards", "terminals"]
    if missing := [key for key in needed if key not in found]:
        raise DataError(
            f"{file} has no {' and no '.join(f'`{key}`' for key in missing)}. D4RL's layout needs "
            f"{', '.join(f'`{key}`' for key in needed)}, one entry a step."
        )
    if objects := [
        key for key in needed if getattr(found[key], "dtype", np.dtype(float)).kind == "O"
    ]:
        raise DataError(f"{file}: `{objects[0]}` holds Python objects, which are never read.")
    keys = {ours: key for ours, key in LAYOUT.items() if key in found}
    with_states = QPOS in found and QVEL in found
    columns: dict[str, Any] = {ours: found[key] for ours, key in keys.items()}
    if with_states:
        columns |= {QPOS: found[QPOS], QVEL: found[QVEL]}
    steps = _equal_lengths(file, {**columns, "terminals": found["terminals"]})
    _expect_width(file, columns, data_width)
    terminated = _one_dimension(file, "terminals", np.asarray(found["terminals"][:]))
    if "timeouts" in found:
        timed_out = _one_dimension(file, "timeouts", np.asarray(found["timeouts"][:]))
        _equal_lengths(file, {"terminals": terminated, "timeouts": timed_out})
    else:
        timed_out = timeouts_by_horizon(terminated, task.horizon)
    for first in range(0, steps, CHUNK):
        chunk = slice(first, min(first + CHUNK, steps))
        piece = {ours: np.asarray(column[chunk]) for ours, column in columns.items()}
        for name in ("observations", "next_observations"):
            if name in piece:
                piece[name] = piece[name][:, : task.observation_width]
        for name in ("rewards", "log_probabilities"):
            if name in piece and piece[name].ndim == 2 and piece[name].shape[1] == 1:
                piece[name] = piece[name][:, 0]
        if with_states:
            piece["states"] = np.concatenate([piece.pop(QPOS), piece.pop(QVEL)], axis=1)
        yield {**piece, "terminated": terminated[chunk], "timed_out": timed_out[chunk]}
        progress(f"preparing {task.name}", chunk.stop, steps, "steps")


def _one_dimension(file: Path, key: str, column: Array) -> Array:
    """Flags are [N], or [N, 1] as some files have them."""
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise DataError(f"{file}: `{key}` has the shape {column.shape}; expected is [steps].")
    return column


def _equal_lengths(file: Path, columns: Mapping[str, Any]) -> int:
    shapes: dict[str, tuple[int, ...]] = {
        name: getattr(column, "shape", ()) for name, column in columns.items()
    }
    if scalars := [name for name, shape in shapes.items() if not shape]:
        raise DataError(
            f"{file}: `{scalars[0]}` is a single value or a group; expected is one entry a step."
        )
    lengths = {name: shape[0] for name, shape in shapes.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"`{name}` {length:,}" for name, length in lengths.items())
        raise DataError(f"{file}: unequal lengths: {said}. Every key needs one entry a step.")
    if not (steps := next(iter(lengths.values()))):
        raise DataError(f"{file} holds no steps at all.")
    return int(steps)


def _expect_width(file: Path, columns: Mapping[str, Any], width: int) -> None:
    for name in ("observations", "next_observations"):
        if name in columns and tuple(columns[name].shape[1:]) != (width,):
            raise DataError(
                f"{file}: `{name}` has the shape {tuple(columns[name].shape)}; expected is "
                f"[steps, {width}]. Is this the right file for the task?"
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


def sha256_of(file: Path) -> str:
    """Hash a file, in pieces."""
    with told_plainly(file, "reading"), file.open("rb") as bytes_:
        return hashlib.file_digest(bytes_, "sha256").hexdigest()


def stamp_of(file: Path) -> dict[str, Any]:
    """Identify a file without reading it: place, size, time of change."""
    with told_plainly(file, "reading"):
        about = file.stat()
    return {"file": str(file.absolute()), "size": about.st_size, "changed": about.st_mtime_ns}


def write_layout(
    episodes: Episodes, file: Path, *, states: bool, progress: Progress = silent
) -> None:
    """Write episodes as .hdf5 or .npz in D4RL's layout; with `states`, positions and velocities
    too."""
    if file.suffix not in (".hdf5", ".npz"):
        raise DataError(f"{file}: the name of the file must end in .hdf5 or .npz.")
    columns = {LAYOUT[ours]: episodes.columns[ours] for ours in LAYOUT if ours in episodes.columns}
    columns |= {"terminals": episodes.terminated, "timeouts": episodes.timed_out}
    if states:
        columns |= dict(zip((QPOS, QVEL), positions_and_velocities(episodes), strict=True))
    fresh = file.with_name(f".{file.name}.{uuid4().hex[:12]}")
    with told_plainly(file, "writing"):
        try:
            if file.suffix == ".npz":
                with fresh.open("wb") as out:
                    np.savez(out, allow_pickle=False, **columns)
            else:
                _write_hdf5(fresh, episodes, columns, progress)
            fresh.replace(file)
        finally:
            fresh.unlink(missing_ok=True)


def _write_hdf5(
    fresh: Path, episodes: Episodes, columns: Mapping[str, Array], progress: Progress
) -> None:
    import h5py

    with h5py.File(fresh, "w") as out:
        for done, (key, column) in enumerate(columns.items()):
            progress(f"writing {key}", done, len(columns), "columns")
            out.create_dataset(key, data=column)
        out.create_dataset("metadata/seqrl_name", data=episodes.name)
        out.create_dataset("metadata/seqrl_fingerprint", data=episodes.fingerprint)


def positions_and_velocities(episodes: Episodes) -> tuple[Array, Array]:
    """Cut qpos and qvel out of the simulator states."""
    if "states" not in episodes.columns:
        raise DataError(f"{episodes.name} holds no simulator states.")
    names, widths = list(episodes.state_parts), list(episodes.state_parts.values())
    pieces = np.split(episodes.columns["states"], np.cumsum(widths)[:-1], axis=1)
    found = dict(zip(names, pieces, strict=True))
    return found["qpos"], found["qvel"]
