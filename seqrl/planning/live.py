"""Planning from what is being played: histories in, plans out.

Letters: B rows, C past steps, H steps of a plan, S tokens a step.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from seqrl.episodes import Array, History
from seqrl.errors import SeqrlError
from seqrl.nets.model import one_thread
from seqrl.nets.token_model import TokenModel
from seqrl.planning.beam_search import beam_search
from seqrl.planning.beams import Tokens
from seqrl.planning.likely_search import likely_search
from seqrl.planning.settings import BeamSearch, MostLikely, Search
from seqrl.tokens.windows import ready

ENOUGH = 200
"""Rows with which a CPU has its hands full: more at once are little faster, and mean more dummies
when few episodes are left."""

TOGETHER = (25, 10, 5, 2, 1)
"""Numbers of episodes that may be planned at once: evaluations are of 50 or 100, and then none of
them is a dummy before episodes end."""


def together_on(device: torch.device, how: Search) -> int:
    """Say how many rows are planned together, whoever they are: with other numbers of rows a matrix
    product adds in another order. In a published window the others decide how many ancestors there
    are to be seen anew, so on a CPU each is planned by itself then."""
    if device.type == "cuda":
        return 16
    if how.window == "published":
        return 1
    return next((count for count in TOGETHER if count * how.rows <= ENOUGH), 1)


def planned(
    model: TokenModel, how: Search, history: History, goals: Mapping[str, Array] | None = None
) -> Tokens:
    """Plan for every row from its past and its present observation [B, H, S]. `goals` are one a row
    [B, w], by the names that they have in the layout."""
    past, now = seen(model, how, history)
    wanted = wanted_of(model, goals or {}, len(history))
    together = together_on(model.positions.device, how)
    plans = []
    with one_thread():
        for first in range(0, len(history), together):
            rows = np.arange(first, first + together)
            real = rows[rows < len(history)]
            generators = [history.generators[row] for row in real]
            # The last rows may be dummies, who draw for themselves.
            others = [np.random.default_rng(0) for _ in range(together - len(real))]
            rows = np.minimum(rows, len(history) - 1)
            for_these = {name: values[rows] for name, values in wanted.items()}
            if isinstance(how, MostLikely):
                found = likely_search(model, how, past[rows], now[rows], for_these)
            else:
                assert isinstance(how, BeamSearch)
                everyone = [*generators, *others]
                found = beam_search(model, how, past[rows], now[rows], everyone, for_these)
            plans.append(found.tokens[: len(real)])
    return np.concatenate(plans)


def wanted_of(model: TokenModel, goals: Mapping[str, Array], rows: int) -> dict[str, Tensor]:
    """Return goals as the network takes them, all that the layout has [B, w]."""
    tokenizer, found = model.tokenizer, {}
    for name in tokenizer.layout.goals:
        goal = np.asarray(goals.get(name, ()), np.float32)
        expected = (rows, tokenizer.widths[name])
        if goal.shape != expected:
            raise SeqrlError(
                f"{name!r} was given in the shape {list(goal.shape)}; expected is "
                f"{list(expected)}: one goal a row."
            )
        edges = tokenizer.edges.get(name)
        if edges is not None and (beyond := tokenizer.beyond(name, goal)).any():
            row, number = np.argwhere(beyond)[0]
            raise SeqrlError(
                f"{name}[{number}] is to be {goal[row, number]:g}, and {tokenizer.data.name} has "
                f"it from {edges[number, 0]:g} to {edges[number, -1]:g}: there is no bin for more "
                "or less."
            )
        found[name] = ready(tokenizer, name, goal, model.positions.device)
    return found


def seen(model: TokenModel, how: Search, history: History) -> tuple[Tokens, Tokens]:
    """Return the tokens of the past steps [B, C, S] and of the present observation [B, o]."""
    first = max(0, history.step - how.context_steps)
    past = tokens_of(
        model,
        observation=history.observations[:, first:-1],
        action=history.actions[:, first:],
        reward=history.rewards[:, first:, None].astype(np.float32),
    )
    return past, bins_of(model, "observation", history.observations[:, -1])


def tokens_of(model: TokenModel, **columns: Array) -> Tokens:
    """Return the tokens of whole steps [B, T, S] from what is known of them [B, T, w]: the value is
    not, and nobody looks at it."""
    rows, steps = columns["observation"].shape[:2]
    tokens = np.zeros((rows, steps, model.tokens_a_step), np.int64)
    for name, values in columns.items():
        tokens[:, :, model.places[name]] = bins_of(model, name, values)
    return tokens


def bins_of(model: TokenModel, name: str, values: Array) -> Tokens:
    """Return the tokens of a part's values [..., w]."""
    return model.tokenizer.encode(name, values).astype(np.int64)
