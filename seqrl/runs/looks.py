"""Looks: how much the tokens of a window look at each other, layer by layer, and as a table.

What is summed up is where the tokens of the window's last step look: they alone have all steps of
the window to look at. Needs neither torch nor a simulator.

Letters: L layers, h heads, N tokens of a window, T steps, k steps back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqrl.runs.table import write_table

Float64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token of the window."""

    part: str
    label: str
    """Of the part and, where it is a bin, the dimension."""
    step: int | None
    """Within the window; a goal has none."""
    attended: bool
    """False: nobody may look at it."""
    known: bool
    """False: what stands there is not known while playing, so its own looks say nothing."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """How much of its attention a part of the last step gives to a part of one step."""

    layer: int
    """From 1, as heads."""
    head: int
    from_part: str
    to_part: str
    steps_back: int | None
    """Nothing for a goal."""
    share: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Looks:
    """Attention weights of one checkpoint, averaged over windows that it played."""

    about: Mapping[str, str]
    """What is the same in every row: checkpoint, data, environment, seed, versions, ..."""
    caption: str
    """The same in a sentence."""
    tokens: tuple[Token, ...]
    weights: Float64
    """How much each token (row) looks at each (column) [L, h, N, N]."""

    @property
    def steps(self) -> int:
        """Count the steps of the window."""
        return 1 + max(token.step for token in self.tokens if token.step is not None)

    @property
    def block(self) -> int:
        """Count the tokens of a step."""
        return sum(token.step == 0 for token in self.tokens)

    @property
    def heads(self) -> int:
        """Count the heads of a layer."""
        return len(self.weights[0])

    @property
    def asking(self) -> list[int]:
        """The places of the tokens whose looks are summed up."""
        last = self.steps - 1
        return [i for i, token in enumerate(self.tokens) if token.step == last and token.known]

    @property
    def asking_parts(self) -> list[str]:
        """Their parts, in order."""
        return list(dict.fromkeys(self.tokens[place].part for place in self.asking))

    def even(self) -> "Looks":
        """Return what it would be if all that a token may look at were worth the same to it."""
        attended = np.array([token.attended for token in self.tokens])
        may = np.tri(len(attended)) * attended  # [N, N]
        even = may / np.maximum(1, may.sum(1, keepdims=True))
        return replace(self, weights=even[None, None])

    def shares(self) -> list[Share]:
        """Return all shares; those of one part, in one head, add up to 1."""
        found = []
        for part in self.asking_parts:
            own = [place for place in self.asking if self.tokens[place].part == part]
            looks = self.weights[:, :, own].mean(2)  # [L, h, N]
            for (to_part, back), places in self._targets().items():
                shares = looks[..., places].sum(-1)
                for (layer, head), share in np.ndenumerate(shares):
                    found.append(
                        Share(
                            layer=layer + 1,
                            head=head + 1,
                            from_part=part,
                            to_part=to_part,
                            steps_back=back,
                            share=float(share),
                        )
                    )
        return sorted(found, key=lambda one: (one.layer, one.head))

    def by_steps_back(self) -> Float64:
        """Return how much of each head's attention goes k steps back [L, h, T], over all tokens
        that ask alike; what goes to goals is missing."""
        looks = self.weights[:, :, self.asking].mean(2)  # [L, h, N]
        shares = np.zeros((*looks.shape[:2], self.steps))
        for (_, back), places in self._targets().items():
            if back is not None:
                shares[..., back] += looks[..., places].sum(-1)
        return shares

    def earlier(self, ahead: int) -> Float64:
        """Return how much of a layer's attention goes to earlier tokens of one part and dimension
        [L]: with `ahead` 0 the asking token's own, with 1 those of the token behind it, which by
        the reading rule is what it speaks about."""
        labels = [token.label for token in self.tokens]
        found = np.zeros(len(self.weights))
        goals = len(labels) - self.block * self.steps
        for place in self.asking:
            wanted = labels[goals + (place + ahead - goals) % self.block]
            same = [i for i in range(place) if labels[i] == wanted]
            found += self.weights[:, :, place, same].sum(-1).mean(1) / len(self.asking)
        return found

    def _targets(self) -> dict[tuple[str, int | None], list[int]]:
        """Part and steps back -> the places that are looked at, hidden ones left out."""
        found: dict[tuple[str, int | None], list[int]] = {}
        for place, token in enumerate(self.tokens):
            back = None if token.step is None else self.steps - 1 - token.step
            if token.attended:
                found.setdefault((token.part, back), []).append(place)
        return found


COLUMNS = tuple(field.name for field in fields(Share))


def write_looks(file: Path, looks: Looks) -> None:
    """Put the shares in the place of `file`."""
    rows = ([getattr(share, name) for name in COLUMNS] for share in looks.shares())
    write_table(file, COLUMNS, rows, looks.about)
