"""Writing columns piece by piece: every value is looked at once, on its way to disk. No
memory-mapping here,
so that preparing a data set needs little memory however long it is.

Letters: N steps in all, n steps of a piece.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.lib import format as npy

from seqrl.episodes import COLUMNS, REQUIRED, Array
from seqrl.errors import DataError, told_plainly
from seqrl.tasks.task import Task

_HEADER_ROOM = 128
"""Bytes kept for the .npy header, which needs the final length and is therefore written last."""


class ColumnWriter:
    """Takes pieces of columns in order, checks them, and writes one .npy a column."""

    def __init__(
        self, folder: Path, task: Task, *, source: str = "", keys: Mapping[str, str] | None = None
    ) -> None:
        """Write into `folder`. Errors name the `source`, and its columns by the source's `keys`."""
        self._folder = folder
        self._task = task
        self._source = source or task.name
        self._keys = keys or {}
        self._files: dict[str, BinaryIO] = {}
        self._kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
        self._steps = 0
        self._both = 0
        self._largest_beyond = 0.0
        self._beyond = 0
        self._narrowed: set[str] = set()

    @property
    def names(self) -> list[str]:
        """The columns written, in the order of `COLUMNS`."""
        return [name for name in COLUMNS if name in self._files]

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the headers, unless something went wrong; close the files in any case."""
        try:
            if kind is None:
                if not self._steps:
                    raise DataError(
                        f"{self._source} holds no steps at all; expected is at least one finished "
                        "episode. Put that right there and run the command again."
                    )
                for name in self.names:
                    self._complete(name)
        finally:
            for file in self._files.values():
                file.close()

    def add(self, piece: Mapping[str, Array]) -> None:
        """Check and append n steps of every column."""
        missing = [name for name in REQUIRED if name not in piece]
        assert not missing and set(piece) <= set(COLUMNS), f"columns {sorted(piece)}"
        count = len(piece["rewards"])
        if uneven := {name: len(column) for name, column in piece.items() if len(column) != count}:
            raise DataError(
                f"{self._source}: the columns have unequal lengths: `rewards` {count:,}, "
                + ", ".join(f"`{self._key(name)}` {length:,}" for name, length in uneven.items())
                + ". Every column needs one entry a step."
            )
        checked = {name: self._checked(name, column) for name, column in piece.items()}
        self._settle_ends(checked)
        self._note_bounds(checked["actions"])
        if self._files and set(checked) != set(self._files):
            odd = ", ".join(f"`{self._key(name)}`" for name in sorted({*checked} ^ {*self._files}))
            raise DataError(
                f"{self._source}: {odd} is present in some episodes only. Give it in every episode "
                "or in none."
            )
        for name, column in checked.items():
            self._append(name, column)
        self._steps += count

    def notes(self) -> list[str]:
        """Say what was noticed or changed on the way."""
        said = []
        if self._both:
            said.append(
                f"{self._both:,} steps are marked as terminal and as timeout: they count as "
                "terminal"
            )
        if self._beyond:
            said.append(
                f"{self._beyond:,} action entries lie beyond the bounds of "
                f"{self._task.environment}, by at most {self._largest_beyond:.3g}"
            )
        if self._narrowed:
            said.append("stored as float32: " + ", ".join(sorted(self._narrowed)))
        return said

    def _settle_ends(self, checked: dict[str, Array]) -> None:
        both = checked["terminated"] & checked["timed_out"]
        self._both += int(both.sum())
        checked["timed_out"] = checked["timed_out"] & ~both

    def _note_bounds(self, actions: Array) -> None:
        low, high = (
            np.array(self._task.action_low, np.float32),
            np.array(self._task.action_high, np.float32),
        )
        excess = np.maximum(actions - high, low - actions)
        if (beyond := excess > 0).any():
            self._beyond += int(beyond.sum())
            self._largest_beyond = max(self._largest_beyond, float(excess.max()))

    def _checked(self, name: str, column: Array) -> Array:
        """Return the column in the form in which it is kept, or say what is wrong with it."""
        if name in ("terminated", "timed_out"):
            return self._flags(name, column)
        if not np.issubdtype(column.dtype, np.floating) and not np.issubdtype(
            column.dtype, np.integer
        ):
            raise self._wrong(name, f"are of type {column.dtype}", "numbers")
        wide = {
            "observations": self._task.observation_width,
            "next_observations": self._task.observation_width,
            "actions": self._task.action_width,
        }
        if name in wide:
            if column.ndim != 2 or column.shape[1] != wide[name]:
                raise self._wrong(
                    name,
                    f"have the shape {column.shape}",
                    f"[steps, {wide[name]}], as {self._task.environment} has them",
                )
        elif name == "states":
            if column.ndim != 2:
                raise self._wrong(name, f"have the shape {column.shape}", "[steps, width]")
        elif column.ndim != 1:
            raise self._wrong(name, f"have the shape {column.shape}", "[steps]")
        if not (finite := np.isfinite(column)).all():
            where = int(np.argmin(finite.reshape(len(column), -1).all(axis=1)))
            bad = column.reshape(len(column), -1)[where]
            raise self._wrong(
                name,
                f"hold {bad[~np.isfinite(bad)][0]} at step {self._steps + where:,}",
                "finite numbers only",
            )
        return column if name == "states" else self._narrow(name, column)

    def _narrow(self, name: str, column: Array) -> Array:
        kept = column.dtype if column.dtype == np.float32 else np.dtype(np.float32)
        with np.errstate(over="ignore"):
            narrow = column.astype(kept, copy=False)
        if narrow is not column:
            self._narrowed.add(f"{name} (from {column.dtype})")
            if not np.isfinite(narrow).all():
                raise self._wrong(name, f"reach {np.abs(column).max():.3g}", "float32 numbers")
        return narrow

    def _flags(self, name: str, column: Array) -> Array:
        if column.ndim != 1:
            raise self._wrong(name, f"have the shape {column.shape}", "[steps]")
        if column.dtype.kind not in "biuf":
            raise self._wrong(name, f"are of type {column.dtype}", "true or false")
        if column.dtype != np.bool_ and not np.isin(column, (0, 1)).all():
            raise self._wrong(name, "hold other values than 0 and 1", "true or false")
        return column.astype(np.bool_)

    def _wrong(self, name: str, found: str, expected: str) -> DataError:
        return DataError(
            f"{self._source}: `{self._key(name)}` {found}; expected are {expected}. Put that right "
            "there and run the command again."
        )

    def _key(self, name: str) -> str:
        return self._keys.get(name, name)

    def _append(self, name: str, column: Array) -> None:
        target = self._folder / f"{name}.npy"
        with told_plainly(target, "writing"):
            if name not in self._files:
                self._files[name] = target.open("wb")
                self._files[name].write(b"\0" * _HEADER_ROOM)
                self._kinds[name] = (column.dtype, column.shape[1:])
            if self._kinds[name] != (column.dtype, column.shape[1:]):
                raise self._wrong(
                    name, f"change to {column.dtype} {column.shape[1:]}", f"{self._kinds[name]}"
                )
            self._files[name].write(np.ascontiguousarray(column).data)

    def _complete(self, name: str) -> None:
        """Write the header into the room that was kept for it."""
        dtype, width = self._kinds[name]
        header = {
            "descr": npy.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": (self._steps, *width),
        }
        with told_plainly(self._folder / f"{name}.npy", "writing"):
            self._files[name].seek(0)
            npy.write_array_header_1_0(self._files[name], header)
            assert self._files[name].tell() == _HEADER_ROOM, "the .npy header outgrew its room"
            self._files[name].flush()
