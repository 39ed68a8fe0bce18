"""Episodes: the one form that every data source ends in, and History, episodes being played.

All steps of all episodes stand in flat columns, usually memory-mapped; `starts` says where each
episode begins. Numpy only; nothing here knows files, tasks or tokens.

Letters: N steps in all, E episodes, o observation width, a action width, s simulator-state width;
of a history, B rows, t steps played.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqrl.errors import DataError

Array = NDArray[Any]

COLUMNS: Mapping[str, str] = {
    "observations": "what the agent saw before the step [N, o]",
    "actions": "what it did [N, a]",
    "rewards": "what it got for it [N]",
    "terminated": "the episode ended with this step, by the task's own rule [N]",
    "timed_out": "the episode ended with this step because its time was up [N]",
    "next_observations": "what was seen after the step [N, o]",
    "states": "the simulator's state before the step [N, s]",
    "log_probabilities": "log density of the action under the behaviour policy [N]",
}
"""Every column that a data set may have; the first five it must have."""

REQUIRED = tuple(COLUMNS)[:5]
OPTIONAL = tuple(COLUMNS)[5:]


class ColumnDigest:
    """SHA-256 of one column, fed piece by piece; the pieces' sizes do not matter."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._hash = hashlib.sha256()
        self._steps = 0
        self._kind = ""

    def update(self, piece: Array) -> None:
        """Add the next steps of the column."""
        self._kind = f"{piece.dtype.str}{list(piece.shape[1:])}"
        self._steps += len(piece)
        self._hash.update(np.ascontiguousarray(piece).data)

    def copy(self) -> "ColumnDigest":
        """Return the digest so far, free to go its own way."""
        twin = ColumnDigest()
        twin._hash, twin._steps, twin._kind = self._hash.copy(), self._steps, self._kind
        return twin

    def text(self) -> str:
        """Say width, length and hash in one line."""
        return f"{self._kind} x {self._steps} {self._hash.hexdigest()}"


def digest_of(column: Array) -> str:
    """Return the digest text of one whole column."""
    digest = ColumnDigest()
    digest.update(column)
    return digest.text()


def fingerprint_of(digests: Mapping[str, str]) -> str:
    """Return the fingerprint of content: a hash over the columns' digests, their order aside."""
    return hashlib.sha256(json.dumps(dict(digests), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Episode:
    """One episode: views into the columns of `Episodes`, T steps long."""

    observations: Array  # [T, o]
    actions: Array  # [T, a]
    rewards: Array  # [T]
    terminated: bool
    timed_out: bool
    next_observations: Array | None = None  # [T, o]
    states: Array | None = None  # [T, s]
    log_probabilities: Array | None = None  # [T]

    def __len__(self) -> int:
        """Count the steps."""
        return len(self.rewards)

    @property
    def return_(self) -> float:
        """Sum of rewards, added in float64."""
        return float(self.rewards.sum(dtype=np.float64))

    def __repr__(self) -> str:
        """Name what a person looks for first."""
        end = "terminated" if self.terminated else "timed out" if self.timed_out else "cut off"
        return f"Episode({len(self)} steps, return {self.return_:.1f}, {end})"


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Episodes:
    """All episodes of one data set, as flat columns. `len()` counts episodes, `[i]` gives one."""

    name: str
    """Full name; denotes one fingerprint on every machine."""

    columns: Mapping[str, Array]
    """The columns listed in `COLUMNS`, each with all N steps; optional ones may be absent."""

    starts: NDArray[np.int64]
    """Where each episode starts; one entry more than episodes, the last one is N."""

    horizon: int
    """The most steps that the task lets an episode last."""

    action_low: Array  # [a]
    action_high: Array  # [a]

    digests: Mapping[str, str]
    """Digest text of each column: what the fingerprint is made of."""

    state_parts: Mapping[str, int] = field(default_factory=dict)
    """Parts of `states` in order: name and width. `qacc_warmstart` makes it whole to the bit."""

    cut_off_steps: int = 0
    """Steps of an unfinished last episode that the source had and that are not here."""

    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Where this came from, as plain data: file, simulator, policies, notes."""

    def __post_init__(self) -> None:
        """Check what every user of the type relies on."""
        steps = int(self.starts[-1])
        assert self.starts[0] == 0 and (np.diff(self.starts) > 0).all(), "starts must rise from 0"
        assert all(len(column) == steps for column in self.columns.values()), "unequal columns"
        assert set(REQUIRED) <= set(self.columns) <= set(COLUMNS), "unknown or missing columns"

    @property
    def observations(self) -> Array:
        """[N, o] float32."""
        return self.columns["observations"]

    @property
    def actions(self) -> Array:
        """[N, a] float32."""
        return self.columns["actions"]

    @property
    def rewards(self) -> Array:
        """[N] float32."""
        return self.columns["rewards"]

    @property
    def terminated(self) -> Array:
        """[N] bool."""
        return self.columns["terminated"]

    @property
    def timed_out(self) -> Array:
        """[N] bool."""
        return self.columns["timed_out"]

    @property
    def steps(self) -> int:
        """Count the steps of all episodes."""
        return int(self.starts[-1])

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each episode [E]."""
        return np.diff(self.starts)

    @cached_property
    def returns(self) -> NDArray[np.float64]:
        """Return of each episode [E], added in float64."""
        return np.add.reduceat(self.rewards.astype(np.float64), self.starts[:-1])

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content of all columns."""
        return fingerprint_of(self.digests)

    def __repr__(self) -> str:
        """Name what a person looks for first."""
        return (
            f"Episodes({self.name!r}, {len(self):,} episodes, {self.steps:,} steps, "
            f"mean return {self.returns.mean():,.1f})"
        )

    def __len__(self) -> int:
        """Count the episodes."""
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Episode:
        """Give episode `index`, counted from the end if negative."""
        if not isinstance(index, int | np.integer):
            raise TypeError(
                f"episodes are taken one by one, as episodes[3], not by {index!r}; several are "
                "[episodes[i] for i in range(3)]"
            )
        if not -len(self) <= index < len(self):
            raise IndexError(f"episode {index} of {len(self)}")
        first, end = self.starts[index % len(self)], self.starts[index % len(self) + 1]
        pieces = {name: column[first:end] for name, column in self.columns.items()}
        terminated, timed_out = pieces.pop("terminated"), pieces.pop("timed_out")
        return Episode(**pieces, terminated=bool(terminated[-1]), timed_out=bool(timed_out[-1]))

    def __iter__(self) -> Iterator[Episode]:
        """Go through the episodes in order."""
        return (self[index] for index in range(len(self)))

    def delayed(self) -> "Episodes":
        """Move all reward to the end of its episode: the delayed setting of DT's authors."""
        rewards = np.zeros_like(self.rewards)
        rewards[self.starts[1:] - 1] = self.returns
        return replace(
            self,
            name=f"{self.name}+delayed",
            columns={**self.columns, "rewards": rewards},
            digests={**self.digests, "rewards": digest_of(rewards)},
        )


class History:
    """Episodes while they are played, in lockstep: what all rows have seen, done and got so far.

    Rows that have finished leave all of it with `keep`; what belongs to a row stays in its place in
    every column.
    """

    def __init__(
        self,
        first: NDArray[np.float32],
        *,
        action_width: int,
        horizon: int,
        generators: Sequence[np.random.Generator],
    ) -> None:
        """Begin with the first observations [B, o], and a generator of its own for each row."""
        rows, width = first.shape
        assert len(generators) == rows, "one generator a row"
        self._observations = np.zeros((rows, horizon + 1, width), np.float32)
        self._observations[:, 0] = first
        self._actions = np.zeros((rows, horizon, action_width), np.float32)
        self._rewards = np.zeros((rows, horizon), np.float64)
        self._before = np.zeros((rows, horizon + 1), np.float64)
        self.generators = list(generators)
        self.memory: dict[str, Array] = {}
        """What an agent wants to remember of each row, e.g. the rest of a plan: arrays [B, ...]."""
        self.step = 0
        """Steps played so far, the same in all rows."""

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._observations)

    @property
    def observations(self) -> NDArray[np.float32]:
        """All observations, the present one last [B, t + 1, o]."""
        return self._observations[:, : self.step + 1]

    @property
    def actions(self) -> NDArray[np.float32]:
        """All actions taken [B, t, a]."""
        return self._actions[:, : self.step]

    @property
    def rewards(self) -> NDArray[np.float64]:
        """All rewards received [B, t]."""
        return self._rewards[:, : self.step]

    @property
    def reward_before(self) -> NDArray[np.float64]:
        """Sum of the rewards before each step, the present one last [B, t + 1]."""
        return self._before[:, : self.step + 1]

    def add(self, actions: Array, rewards: Array, observations: Array) -> None:
        """Take in one step of every row: what was done [B, a], got [B], and seen next [B, o]."""
        self._actions[:, self.step] = actions
        self._rewards[:, self.step] = rewards
        self._before[:, self.step + 1] = self._before[:, self.step] + rewards
        self.step += 1
        self._observations[:, self.step] = observations

    def episode(self, row: int, *, terminated: bool) -> Episode:
        """Return a row as an episode that has just ended, free of the others."""
        seen = self.observations[row].copy()
        return Episode(
            observations=seen[:-1],
            actions=self.actions[row].copy(),
            rewards=self.rewards[row].astype(np.float32),
            terminated=terminated,
            timed_out=not terminated,
            next_observations=seen[1:],
        )

    def keep(self, rows: Array) -> None:
        """Keep the rows named by a mask or by their numbers; the others have finished."""
        chosen = np.arange(len(self))[rows]
        for name in ("_observations", "_actions", "_rewards", "_before"):
            setattr(self, name, getattr(self, name)[chosen])
        self.generators = [self.generators[row] for row in chosen]
        self.memory = {name: kept[chosen] for name, kept in self.memory.items()}


def starts_of(
    terminated: Array, timed_out: Array, source: str = "the data"
) -> tuple[NDArray[np.int64], int]:
    """Find where episodes start, and how many steps follow the last finished one."""
    ends = np.flatnonzero(terminated | timed_out) + 1
    if not len(ends):
        raise DataError(
            f"No finished episode in {len(terminated):,} steps of {source}: neither `terminals` "
            "nor `timeouts` is true anywhere. Mark the last step of each episode."
        )
    return np.concatenate([[0], ends]).astype(np.int64), len(terminated) - int(ends[-1])
