"""Tokenizer: a layout fitted to data. Widths, scales and bin edges; values to tokens and back.

Plain numpy, no network. What it holds is saved with the weights: a checkpoint needs no data.

Letters: N steps in all, w signal width, K bins, S tokens a step.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqrl.episodes import Array, Episodes
from seqrl.errors import SeqrlError
from seqrl.tokens.layout import Bins, Part, TokenLayout, Vector
from seqrl.tokens.signals import Float32, checked

Edges = NDArray[np.float64]


@dataclass(frozen=True)
class Slot:
    """One token of the block or the prefix: a whole vector, or a dimension of a binned signal."""

    name: str
    """What the part's values go by."""
    part: Part
    dimension: int | None
    """Nothing for a vector."""

    @property
    def label(self) -> str:
        """What to call it to a person."""
        return self.name if self.dimension is None else f"{self.name}[{self.dimension}]"


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What an agent may know of the data it was trained on, for instance to choose its target."""

    name: str
    fingerprint: str
    episodes: int
    steps: int
    best_return: float
    mean_return: float
    horizon: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Tokenizer:
    """A layout with the numbers that data gave it. A goal counts as a signal: `goal_...`."""

    layout: TokenLayout
    data: DataFacts
    widths: Mapping[str, int]
    """Signal -> w."""
    shifts: Mapping[str, Float32]
    """Vector signal -> what is subtracted [w]."""
    scales: Mapping[str, Float32]
    """Vector signal -> what it is then divided by [w]."""
    edges: Mapping[str, Edges]
    """Binned signal -> rising bin edges [w, K + 1]."""
    action_low: Float32
    action_high: Float32

    # ---- kept with the weights ---------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """Return what is no array, as JSON holds it."""
        return {"data": asdict(self.data), "widths": dict(self.widths)}

    def arrays(self) -> dict[str, Array]:
        """Return all arrays by name."""
        kept: dict[str, Mapping[str, Array]] = {
            "shifts": self.shifts,
            "scales": self.scales,
            "edges": self.edges,
        }
        named = {f"{k}.{name}": array for k, of in kept.items() for name, array in of.items()}
        return {**named, "action_low": self.action_low, "action_high": self.action_high}

    @classmethod
    def restored(
        cls, layout: TokenLayout, plain: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> "Tokenizer":
        """Make a tokenizer of what `plain` and `arrays` gave."""
        of: dict[str, dict[str, Array]] = {"shifts": {}, "scales": {}, "edges": {}}
        for name, array in arrays.items():
            kind, _, signal = name.partition(".")
            if signal:
                of[kind][signal] = array
        return cls(
            layout=layout,
            data=DataFacts(**plain["data"]),
            widths=plain["widths"],
            action_low=arrays["action_low"],
            action_high=arrays["action_high"],
            **of,
        )

    # ---- tokens ------------------------------------------------------------------------------

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The tokens of one block, in order."""
        return tuple(slot for part in self.layout.parts for slot in self._slots_of(part.name, part))

    @cached_property
    def prefix_slots(self) -> tuple[Slot, ...]:
        """The tokens in front of the first block, in order."""
        goals = self.layout.goals.items()
        return tuple(slot for name, part in goals for slot in self._slots_of(name, part))

    def _slots_of(self, name: str, part: Part) -> list[Slot]:
        if isinstance(part.encoding, Vector):
            return [Slot(name, part, None)]
        return [Slot(name, part, dimension) for dimension in range(self.widths[name])]

    # ---- vectors -----------------------------------------------------------------------------

    def scaled(self, name: str, values: Array) -> Float32:
        """Bring a vector signal [..., w] to the network's scale."""
        return ((values - self.shifts[name]) / self.scales[name]).astype(np.float32)

    def unscaled(self, name: str, values: Array) -> Float32:
        """Bring a vector signal [..., w] back to its own scale."""
        return (values * self.scales[name] + self.shifts[name]).astype(np.float32)

    # ---- bins --------------------------------------------------------------------------------

    def encode(self, name: str, values: Array) -> NDArray[np.uint8]:
        """Return the bin of each entry of a signal [..., w]: the last whose lower edge it reaches.

        Values beyond the fitted range count as its nearest end; `beyond` says how many there are.
        """
        bins = np.empty(values.shape, np.uint8)
        for dimension, own in enumerate(self.edges[name]):
            inside = np.clip(values[..., dimension], own[0], own[-1])
            bins[..., dimension] = np.searchsorted(own[1:-1], inside, side="right")
        return bins

    def centres(self, name: str) -> NDArray[np.float32]:
        """Return the middle of each bin of a signal [w, K]."""
        edges = self.edges[name]
        middle: NDArray[np.float32] = ((edges[:, :-1] + edges[:, 1:]) / 2).astype(np.float32)
        return middle

    def decode(self, name: str, bins: Array) -> Float32:
        """Return the centre of each bin [..., w]."""
        centres = self.centres(name)
        return centres[np.arange(len(centres)), bins]

    def classes(self, name: str) -> int:
        """Count what a binned token of the block can be: its bins, and the end if there is one."""
        bins = int(self.edges[name].shape[1]) - 1
        return bins + int(self.layout.after_end == "end token")

    def filling(self, name: str) -> int:
        """Return the number that stands after an episode's end in a binned signal."""
        return self.classes(name) - 1 if self.layout.after_end == "end token" else 0

    def beyond(self, name: str, values: Array) -> NDArray[np.bool_]:
        """Say which entries of a signal [..., w] lie outside the fitted range; of a vector none."""
        if name not in self.edges:
            return np.zeros(values.shape, bool)
        edges = self.edges[name]
        outside: NDArray[np.bool_] = (values < edges[:, 0]) | (values > edges[:, -1])
        return outside


def fit(layout: TokenLayout, episodes: Episodes) -> Tokenizer:
    """Fit a layout to all real steps of the data.

    Goals too, as TT's authors do: what is wanted while playing may be anything that was ever seen,
    and the ends of a few long episodes are too few to fit to.
    """
    widths, shifts, scales, edges = {}, {}, {}, {}
    for name, part in layout.named.items():
        values = checked(part.signal, part.signal.offline(episodes), episodes)
        widths[name] = values.shape[1]
        if isinstance(part.encoding, Bins):
            edges[name] = bin_edges(values, part.encoding)
        else:
            shifts[name], scales[name] = scale_of(part.encoding, values)
    if layout.positions == "episode step" and episodes.lengths.max() > episodes.horizon:
        raise SeqrlError(
            f"{episodes.name} has an episode of {episodes.lengths.max():,} steps, beyond the "
            f"task's horizon of {episodes.horizon:,}, for which there are positions. Import the "
            f"data with --horizon {episodes.lengths.max()}, or let positions count tokens."
        )
    return Tokenizer(
        layout=layout,
        data=facts_of(episodes),
        widths=widths,
        shifts=shifts,
        scales=scales,
        edges=edges,
        action_low=episodes.action_low,
        action_high=episodes.action_high,
    )


def facts_of(episodes: Episodes) -> DataFacts:
    """Return what an agent may know of data."""
    return DataFacts(
        name=episodes.name,
        fingerprint=episodes.fingerprint,
        episodes=len(episodes),
        steps=episodes.steps,
        best_return=float(episodes.returns.max()),
        mean_return=float(episodes.returns.mean()),
        horizon=episodes.horizon,
    )


def scale_of(encoding: Vector, values: Float32) -> tuple[Float32, Float32]:
    """Return what is subtracted from values [N, w], and what they are then divided by [w]."""
    width = values.shape[1]
    if not encoding.standardise:
        return np.zeros(width, np.float32), np.full(width, encoding.divide_by, np.float32)
    # 1e-6 as DT's authors add it: a dimension that never changes must not become infinite.
    mean = values.mean(axis=0, dtype=np.float64)
    deviation = values.std(axis=0, dtype=np.float64) + 1e-6
    return mean.astype(np.float32), deviation.astype(np.float32)


def bin_edges(values: Float32, encoding: Bins) -> Edges:
    """Return the rising edges of the bins of each dimension [w, K + 1].

    Quantile edges of a dimension with few distinct values repeat; encoding then uses the last of
    the bins that share an edge, and the others stay empty.
    """
    count = encoding.count
    if encoding.spacing == "uniform":
        low, high = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
        return np.linspace(low, high, count + 1, axis=1)
    ordered = np.sort(np.ascontiguousarray(values.T), axis=1)  # [w, N]
    # TT's authors: every so-manieth value starts a bin, and the largest value ends the last.
    every = -(-ordered.shape[1] // count)
    lower = ordered[:, ::every]
    missing = count - lower.shape[1]  # fewer values than bins: the rest is empty, at the top
    top = np.repeat(ordered[:, -1:], missing + 1, axis=1)
    return np.concatenate([lower, top], axis=1).astype(np.float64)
