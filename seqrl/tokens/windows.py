"""Training windows: slices of episodes, drawn and gathered on the device in a few operations.

A window starts at a uniformly drawn step of the data, is cut at its episode's end, and what is
missing is filled *after* it. So causality alone keeps filling from being seen, and no padding mask
is needed. (DT's authors fill before; with positions that count the episode's steps the two are
equal.)

The data is not copied: vectors are gathered from the memory-mapped columns themselves, bins from
one byte an entry.

Letters: N steps in all, B windows, T steps of a window, w signal width, E episodes.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seqrl.episodes import Array, Episodes
from seqrl.tokens.layout import Bins
from seqrl.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Values of all signals of B windows, T steps each."""

    values: Mapping[str, Tensor]
    """Signal -> [B, T, w]: the network's scale for vectors, bin numbers (int64) for bins. Filling
    is 0, or the end token's number where the layout has one."""

    steps: Tensor
    """Which step of its episode each is [B, T], counted on after the end."""

    is_real: Tensor
    """False for filling [B, T]."""

    has_loss: Tensor
    """Whether predicting a step's parts counts [B, T]: not for filling, but for end tokens."""


class Windows:
    """All windows of a data set, ready to be drawn."""

    def __init__(
        self, tokenizer: Tokenizer, episodes: Episodes, device: torch.device | str = "cpu"
    ) -> None:
        """Lay out the columns on the device; on the CPU that is a view of the files."""
        self._tokenizer = tokenizer
        self._layout = tokenizer.layout
        self._columns: dict[str, Tensor] = {}
        for part in self._layout.parts:
            values: Array = part.signal.offline(episodes)
            if isinstance(part.encoding, Bins):
                values = tokenizer.encode(part.name, values)
            self._columns[part.name] = _tensor(values, device)
        self._shifts = {n: _tensor(v, device) for n, v in tokenizer.shifts.items()}
        self._scales = {n: _tensor(v, device) for n, v in tokenizer.scales.items()}
        self._starts = torch.as_tensor(episodes.starts, device=device)  # [E + 1]
        self._ahead = torch.arange(self._layout.steps, device=device)  # [T]
        self.device = torch.device(device)
        self.steps = episodes.steps

    def draw(self, count: int, generator: torch.Generator) -> TokenBatch:
        """Draw windows that start at uniformly drawn steps."""
        first = torch.randint(
            self.steps, (count,), generator=generator, device=generator.device
        ).to(self.device)
        return self.at(first)

    def at(self, first: Tensor) -> TokenBatch:
        """Return the windows that start at the given steps of the data [B]."""
        episode = torch.searchsorted(self._starts, first, right=True) - 1  # [B]
        rows = first[:, None] + self._ahead  # [B, T]
        is_real = rows < self._starts[episode + 1][:, None]
        steps = rows - self._starts[episode][:, None]
        rows = torch.where(is_real, rows, first[:, None])
        values = {name: self._gather(name, rows, is_real) for name in self._columns}
        ends_count = self._layout.after_end == "end token"
        has_loss = torch.ones_like(is_real) if ends_count else is_real
        return TokenBatch(values, steps, is_real, has_loss)

    def _gather(self, name: str, rows: Tensor, is_real: Tensor) -> Tensor:
        """Return the values of a signal at rows of the data [B, T, w], the filling put in."""
        found = self._columns[name][rows]
        if name in self._scales:
            scaled = (found - self._shifts[name]) / self._scales[name]
            return torch.where(is_real[..., None], scaled, 0.0)
        return torch.where(is_real[..., None], found.long(), self._tokenizer.filling(name))


def _tensor(values: Array, device: torch.device | str) -> Tensor:
    """Return a tensor over the array's own memory where the device allows it."""
    with warnings.catch_warnings():
        # A memory-mapped column is read-only, and a tensor cannot say so. Nobody writes to it.
        warnings.filterwarnings("ignore", message=".*not writable.*")
        return torch.from_numpy(np.asarray(values)).to(device)
