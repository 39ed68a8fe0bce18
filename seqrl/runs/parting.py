"""Which episodes a run trains on, and which it holds out."""

import math

import numpy as np

from seqrl.agents.agent import Agent
from seqrl.episodes import Array, Episodes
from seqrl.errors import SeqrlError


def parted(agent: Agent, episodes: Episodes) -> tuple[Array, Array]:
    """Part the episodes that an agent learns from: those to train on, and those held out."""
    chosen = agent.learns_from(episodes)
    numbers = np.arange(len(episodes)) if chosen is None else _numbers(agent, chosen, episodes)
    count = math.ceil(agent.training.held_out * len(numbers))
    if count == 0:
        return numbers, numbers[:0]
    if count >= len(numbers):
        raise SeqrlError(
            f"Of {len(numbers)} episodes none can be held out and some be left to train on: set "
            "training.held_out=0."
        )
    held = np.zeros(len(numbers), bool)
    held[((np.arange(count) + 0.5) * len(numbers) / count).astype(int)] = True
    return numbers[~held], numbers[held]


def _numbers(agent: Agent, chosen: Array, episodes: Episodes) -> Array:
    """Return the chosen episodes' numbers in rising order; a mask will do too."""
    found = np.asarray(chosen)
    found = np.flatnonzero(found) if found.dtype == bool else np.unique(found)
    whole = np.issubdtype(found.dtype, np.integer) and len(found) > 0
    if not whole or found[0] < 0 or found[-1] >= len(episodes):
        raise SeqrlError(
            f"{type(agent).__name__}.learns_from() must return numbers of episodes from 0 to "
            f"{len(episodes) - 1}, at least one, or a mask of {len(episodes)}; not {chosen!r}."
        )
    return found
