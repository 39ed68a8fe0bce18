"""Windows of tokens: slices of episodes for training, and the last steps of episodes being played.

A window starts at a uniformly drawn step of the data, is cut at its episode's end, and what is
missing is filled *after* it. So causality alone keeps filling from being seen, and no padding mask
is needed. (DT's authors fill before; with positions that count the episode's steps the two are
equal.)

The data is not copied: vectors are gathered in a few operations on the device, from the
memory-mapped columns themselves; bins from one byte an entry.

Letters: N steps in all, B windows, T steps of a window, w signal width, E episodes.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seqrl.episodes import Array, Episodes, History
from seqrl.errors import SeqrlError
from seqrl.tokens.layout import Bins
from seqrl.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Values of all signals of B windows, T steps each."""

    values: Mapping[str, Tensor]
    """Signal -> [B, T, w], goal -> [B, w]: the network's scale for vectors, bin numbers (int64) for
    bins. Filling is 0, or the end token's number where the layout has one; a goal has none."""

    steps: Tensor
    """Which step of its episode each is [B, T], counted on after the end."""

    is_real: Tensor
    """False for filling [B, T]."""

    has_loss: Tensor
    """Whether predicting a step's parts counts [B, T]: not for filling, but for end tokens, up to
    the task's horizon (TT's authors)."""


class Windows:
    """All windows of a data set, ready to be drawn."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        episodes: Episodes,
        device: torch.device | str = "cpu",
        chosen: Array | None = None,
    ) -> None:
        """Lay out the columns on the device; on the CPU that is a view of the files.

        `chosen` are the numbers of the episodes to draw from, by default all.
        """
        self._tokenizer = tokenizer
        self._layout = tokenizer.layout
        self._columns: dict[str, Tensor] = {}
        for part in self._layout.parts:
            values: Array = part.signal.offline(episodes)
            if isinstance(part.encoding, Bins):
                values = tokenizer.encode(part.name, values)
            self._columns[part.name] = _tensor(values, device)
        self._goals: dict[str, Tensor] = {}  # one row an episode [E, w]
        for name, part in self._layout.goals.items():
            at_end = part.signal.offline(episodes)[episodes.starts[1:] - 1]
            self._goals[name] = ready(tokenizer, name, at_end, device)
        self._shifts = {n: _tensor(v, device) for n, v in tokenizer.shifts.items()}
        self._scales = {n: _tensor(v, device) for n, v in tokenizer.scales.items()}
        self._starts = torch.as_tensor(episodes.starts, device=device)  # [E + 1]
        self._ahead = torch.arange(self._layout.steps, device=device)  # [T]
        self._horizon = episodes.horizon
        self.device = torch.device(device)
        numbers = np.arange(len(episodes)) if chosen is None else np.asarray(chosen)
        before = np.concatenate([[0], np.cumsum(episodes.lengths[numbers])])
        self.steps = int(before[-1])
        """Steps of the episodes that are drawn from."""
        self._before = torch.as_tensor(before)  # of each of them, the steps before it
        self._first = torch.as_tensor(episodes.starts[:-1][numbers])  # and where it starts

    def draw(self, count: int, generator: torch.Generator) -> TokenBatch:
        """Draw windows that start at uniformly drawn steps; `generator` lives on the CPU."""
        number = torch.randint(self.steps, (count,), generator=generator)
        return self.at(self._row(number))

    def spread(self, count: int) -> TokenBatch:
        """Return windows that start at evenly spaced steps: always the same ones."""
        return self.at(self._row(torch.arange(count) * self.steps // count))

    def _row(self, number: Tensor) -> Tensor:
        """Return where the steps with these numbers, among those drawn from, stand in the data."""
        episode = torch.searchsorted(self._before, number, right=True) - 1
        return (self._first[episode] + number - self._before[episode]).to(self.device)

    def at(self, first: Tensor) -> TokenBatch:
        """Return the windows that start at the given steps of the data [B]."""
        episode = torch.searchsorted(self._starts, first, right=True) - 1  # [B]
        rows = first[:, None] + self._ahead  # [B, T]
        is_real = rows < self._starts[episode + 1][:, None]
        steps = rows - self._starts[episode][:, None]
        rows = torch.where(is_real, rows, first[:, None])
        values = {name: goal[episode] for name, goal in self._goals.items()}
        values |= {name: self._gather(name, rows, is_real) for name in self._columns}
        ends_count = self._layout.after_end == "end token"
        has_loss = steps < self._horizon if ends_count else is_real
        return TokenBatch(values, steps, is_real, has_loss)

    def _gather(self, name: str, rows: Tensor, is_real: Tensor) -> Tensor:
        """Return the values of a signal at rows of the data [B, T, w], the filling put in."""
        found = self._columns[name][rows]
        if name in self._scales:
            scaled = (found - self._shifts[name]) / self._scales[name]
            return torch.where(is_real[..., None], scaled, 0.0)
        return torch.where(is_real[..., None], found.long(), self._tokenizer.filling(name))


ROWS = 25
"""Rows that are computed together while playing, whoever they are: with other numbers of rows a
matrix product adds in another order, and an episode's return would depend on who plays beside it.
25 because evaluations are of 50 or 100 episodes: then no row is a dummy's before episodes end."""


def live(
    tokenizer: Tokenizer,
    history: History,
    given: Mapping[str, Array],
    device: torch.device | str = "cpu",
) -> Iterator[TokenBatch]:
    """Make the last windows of a history, `ROWS` at a time; the last rows may be dummies.

    `given` are the signals that only the agent knows while it plays, for all steps up to the
    present [B, t + 1], e.g. the return still wanted, and the goals, one a row [B, w]. What is not
    known yet stands as zero.
    """
    goals = tokenizer.layout.goals
    known: dict[str, Array] = {
        "observation": history.observations,
        "action": history.actions,
        "reward": history.rewards[..., None],
        **{name: value if name in goals else value[..., None] for name, value in given.items()},
    }
    first = max(0, history.step + 1 - tokenizer.layout.steps)
    size = history.step + 1 - first
    rows = -(-len(history) // ROWS) * ROWS
    values = {}
    for name, width in tokenizer.widths.items():
        if name not in known:
            raise SeqrlError(
                f"While playing, {name!r} is not known by itself: the agent must give it, as "
                f"model.read(history, ..., {name}=...)."
            )
        if name in goals:
            if np.shape(known[name]) != (len(history), width):
                raise SeqrlError(
                    f"{name!r} was given in the shape {list(np.shape(known[name]))}; expected is "
                    f"{[len(history), width]}: one goal a row, the same at all steps."
                )
            window = np.zeros((rows, width), np.float32)
            window[: len(history)] = known[name]
        else:
            window = np.zeros((rows, size, width), np.float32)
            part = known[name][:, first:]
            window[: len(history), : part.shape[1]] = part
        values[name] = ready(tokenizer, name, window, device)
    steps = torch.arange(first, history.step + 1, device=device).expand(ROWS, -1)
    known_now = torch.ones_like(steps, dtype=torch.bool)
    for row in range(0, rows, ROWS):
        chunk = {name: value[row : row + ROWS] for name, value in values.items()}
        yield TokenBatch(chunk, steps, known_now, known_now)


def ready(tokenizer: Tokenizer, name: str, values: Array, device: torch.device | str) -> Tensor:
    """Return values as the network takes them: bin numbers, or vectors on its scale."""
    if name in tokenizer.edges:
        return torch.from_numpy(tokenizer.encode(name, values)).to(device).long()
    return torch.from_numpy(tokenizer.scaled(name, values)).to(device)


def _tensor(values: Array, device: torch.device | str) -> Tensor:
    """Return a tensor over the array's own memory where the device allows it."""
    with warnings.catch_warnings():
        # A memory-mapped column is read-only, and a tensor cannot say so. Nobody writes to it.
        warnings.filterwarnings("ignore", message=".*not writable.*")
        return torch.from_numpy(np.asarray(values)).to(device)
