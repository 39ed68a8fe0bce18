"""Agreement: does a run that was run again come to the same, and if not, what was not as it was?

Compares two records and their checkpoints; runs nothing.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from seqrl.errors import DataError
from seqrl.runs.differences import Difference, differences
from seqrl.runs.explained import checkpoint_beside
from seqrl.runs.identity import hash_in
from seqrl.runs.record import RunRecord
from seqrl.runs.records import Found

if TYPE_CHECKING:
    from torch import Tensor

CONDITIONS = ("agent", "identity", "task", "machine", "versions")
"""What a record says of how it was made, those that its hash covers first."""

LAST_BITS = "the last bits of sums; a training makes them grow"
MOVES: Mapping[str, str] = {
    "agent": "everything: it is a setting of the agent",
    "identity.code": "everything: it is the agent's own code",
    "identity.data": "everything: it is other data, and other seeds",
    "identity.fingerprint": "everything: it is other data",
    "identity.environment": "every return",
    "identity.environment_settings": "every return",
    "identity.horizon": "every return",
    "identity.reference": "the score of a return",
    "identity.evaluation": "which episodes are played, and their returns",
    "identity.training_precision": "all weights",
    "identity.versions.torch": LAST_BITS,
    "identity.versions": "how episodes go, in a new version",
    "identity.protocol": "everything: it is raised whenever numbers move",
    "task": "every return, or the score of a return",
    "machine": LAST_BITS,
    "versions.torch": f"as another build of one version, {LAST_BITS}",
    "versions.numpy": LAST_BITS,
    "versions.seqrl": "nothing, if its protocol number is the same",
    "versions": "nothing that is known",
}
"""What a condition that is not as it was can move; inner ones like what they are part of."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The arrays of two checkpoints: weights, and the tokenizer's numbers."""

    tensors: int
    differing: int
    """Not equal bit for bit, or in one of them alone."""
    largest: float
    """Largest difference of a number."""


@dataclass(frozen=True, kw_only=True)
class Condition(Difference):
    """What was not the same when it was run again; first as it was then."""

    moves: str
    """What it can move."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """A record, and that of the same run again."""

    then: Found
    now: Found
    episodes: int
    """Of all evaluations; what only one of the two has counts too."""
    differing: int
    """Whose return or length is another."""
    largest: float
    """Largest difference of an episode's return."""
    same_means: bool
    """Of returns and scores, as the records say them."""
    weights: Weights | None
    without_weights: str
    """Why they were not compared."""
    conditions: tuple[Condition, ...]
    """What was not the same, what the hash covers first."""
    whole: bool
    """The older record's hash is that of what stands in it: nobody has changed that by hand."""

    @property
    def equal(self) -> bool:
        """Say whether all that could be compared is equal, or both failed alike."""
        then, now = self.then.record, self.now.record
        if then.status != now.status:
            return False
        if then.status == "failed":
            return reason(then) == reason(now)
        return (
            not self.differing
            and self.same_means
            and (self.weights is None or not self.weights.differing)
        )


def agreement(then: Found, now: Found) -> Agreement:
    """Compare a record with that of the same run again."""
    pairs = [*_episodes(then.record, now.record)]
    gaps = [abs(one["return"] - other["return"]) for one, other in pairs if one and other]
    weights, without = _weights(then, now)
    return Agreement(
        then=then,
        now=now,
        episodes=len(pairs),
        differing=sum(not _alike(one, other) for one, other in pairs),
        largest=max(gaps, default=0.0),
        same_means=_same_means(then.record, now.record),
        weights=weights,
        without_weights=without,
        conditions=conditions(then.record, now.record),
        whole=is_whole(then.record),
    )


def is_whole(record: RunRecord) -> bool:
    """Say whether its hash is that of what stands in it."""
    return hash_in(record) == record.hash


def reason(record: RunRecord) -> str:
    """Return the last line of a failed run's traceback."""
    return (record.error or "").strip().rpartition("\n")[2]


# ---- what came of it -----------------------------------------------------------------------------


def _episodes(
    then: RunRecord, now: RunRecord
) -> Iterator[tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]]:
    nothing: Mapping[str, Any] = {"episodes": []}
    for one, other in zip_longest(then.evaluations, now.evaluations, fillvalue=nothing):
        yield from zip_longest(one["episodes"], other["episodes"])


def _alike(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    if one is None or other is None:
        return False
    return all(one[name] == other[name] for name in ("return", "length") if name in one)


def _same_means(then: RunRecord, now: RunRecord) -> bool:
    """Compare what stands above the episodes: somebody may have changed that alone. (Another numpy
    may take the mean of equal numbers in another order.)"""
    for one, other in zip(then.evaluations, now.evaluations, strict=False):
        for name in ("return", "score"):
            was, is_ = one[name], other[name]
            if was is None or is_ is None:
                if was is not is_:
                    return False
            elif not math.isclose(was, is_, rel_tol=1e-9, abs_tol=1e-9):
                return False
    return True


def _weights(then: Found, now: Found) -> tuple[Weights | None, str]:
    """Compare two checkpoints; nothing, and why, if there are no two."""
    from seqrl.training.checkpoint import read_checkpoint

    for name, found in (("old", then), ("new", now)):
        beside = checkpoint_beside(found.record, found.file)
        if beside is None or beside["state"] != "there":
            return None, f"the {name} checkpoint is {beside['state'] if beside else 'missing'}"
    try:
        first, second = (
            read_checkpoint(found.file.with_suffix(".safetensors"))[0] for found in (then, now)
        )
    except DataError as error:
        return None, f"{error}".rstrip(".")
    names = first.keys() | second.keys()
    both = [(first[name], second[name]) for name in first.keys() & second.keys()]
    same = sum(_bits(one) == _bits(other) for one, other in both)
    gaps = [_gap(one, other) for one, other in both if one.shape == other.shape]
    largest = max(filter(math.isfinite, gaps), default=0.0)
    return Weights(tensors=len(names), differing=len(names) - same, largest=largest), ""


def _bits(tensor: "Tensor") -> tuple[Any, ...]:
    return tensor.dtype, tensor.shape, tensor.numpy().tobytes()


def _gap(one: "Tensor", other: "Tensor") -> float:
    return float((one.double() - other.double()).abs().max()) if one.numel() else 0.0


# ---- what it was made under ----------------------------------------------------------------------


def conditions(then: RunRecord, now: RunRecord) -> tuple[Condition, ...]:
    """Return what was not the same, each thing once, what the hash covers first."""
    plain = [{name: getattr(record, name) for name in CONDITIONS} for record in (then, now)]
    found = differences(*plain)
    fields = {one.field for one in found}
    kept = [one for one in found if not _said(one.field, fields)]
    kept.sort(key=lambda one: not one.in_hash)
    return tuple(Condition(**asdict(one), moves=_moves(one.field)) for one in kept)


def _said(field: str, fields: set[str]) -> bool:
    """Say whether a field tells nothing that another one does not."""
    if field == "agent.training.precision":
        return True  # what `auto` came to counts, and stands in the identity
    if field == "task.name":
        return "identity.data" in fields
    outer = field.split(".")[1] if field.startswith("task.") else field
    return f"identity.{outer}" in fields


def _moves(field: str) -> str:
    """Return what is said of a field, or of what it is part of."""
    parts = field.split(".")
    places = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next(MOVES[place] for place in places if place in MOVES)
