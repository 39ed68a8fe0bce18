"""How much work a run is, and what the time that it takes depends on. Knows no times.

Letters: N episodes that are played, B windows of an update.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqrl.agents.agent import Agent
from seqrl.planning.settings import Search
from seqrl.tasks.task import Task
from seqrl.tokens.description import unfitted

FREE = {"target", "return_scale", "fraction", "fraction_of", "action_weight", "at_termination"}
"""Settings that change what an agent learns or does, and not how long that takes it."""

SEEN_ANEW = 3.5
"""How many times the work of a search is done in a published window, where the past is seen anew at
every step: in the mean of those that were measured."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much there is to compute for an agent on a task."""

    weights: int
    update: float
    """Weights x tokens of a window x B."""
    decision: float
    """Weights x tokens of a window; where plans are searched for, weights x candidates x tokens of
    a plan."""
    together: int
    """Rows that are computed together while playing, if need be with dummies among them."""


def update_shape(
    agent: Mapping[str, Any], widths: tuple[int, int], precision: str, kind: type[Agent]
) -> Any:
    """Return what the time of an update depends on, as JSON holds it; `agent` is plain data."""
    kept = _without(agent, {*FREE, *kind.acts_by, "training"})
    batch = agent["training"]["batch"]
    return {**kept, "batch": batch, "precision": precision, "widths": list(widths)}


def decision_shape(agent: Mapping[str, Any], widths: tuple[int, int]) -> Any:
    """Return what the time of a decision depends on."""
    return {**_without(agent, {*FREE, "training"}), "widths": list(widths)}


def _without(agent: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in agent.items() if name not in names}


def widths_of(task: Task) -> tuple[int, int]:
    """Return how wide observations and actions are."""
    return task.observation_width, task.action_width


def work_of(agent: Agent, task: Task) -> Work:
    """Count the work. Makes the network, but needs no data."""
    import torch

    from seqrl.planning.live import together_on
    from seqrl.tokens.windows import ROWS

    tokenizer = unfitted(agent.layout(), task)
    model = agent.model(tokenizer, torch.Generator().manual_seed(0))
    weights = sum(weight.numel() for weight in model.parameters())
    block, goals = len(tokenizer.slots), len(tokenizer.prefix_slots)
    window = weights * (goals + tokenizer.layout.steps * block)
    search = getattr(agent, "search", None)
    together, decision = ROWS, float(window)
    if isinstance(search, Search):
        together = together_on(torch.device("cpu"), search)
        decision = weights * block * search.rows * search.horizon
        decision *= SEEN_ANEW if search.window == "published" else 1
        decision /= getattr(agent, "replan_every", 1)
    return Work(
        weights=weights,
        update=float(window * agent.training.batch),
        decision=decision,
        together=together,
    )


def rows_computed(count: int, length: float, horizon: int, together: int) -> float:
    """Return for how many rows is decided in all, dummies too, while N = `count` episodes of this
    mean length are played. Lengths are taken to be spread evenly, as widely as they can be."""
    length = min(length, horizon)
    longest = min(float(horizon), 2 * length)
    shortest = 2 * length - longest
    spread = longest - shortest
    return sum(
        together * (shortest + spread * (1 - first / count)) for first in range(0, count, together)
    )


def rows_that_were(lengths: Sequence[int], together: int) -> int:
    """Return for how many rows was decided in episodes that ended: `rows_computed`, exactly."""
    return together * sum(sorted(lengths, reverse=True)[::together])
