"""Planning from what is being played: histories in, plans out.

Letters: B rows, C past steps, H steps of a plan, S tokens a step.
"""

import numpy as np
import torch

from seqrl.episodes import History
from seqrl.nets.model import one_thread
from seqrl.nets.token_model import TokenModel
from seqrl.planning.beam_search import Tokens, search
from seqrl.planning.settings import BeamSearch

ENOUGH = 512
"""Candidates with which a CPU has its hands full: more at once are no faster."""


def together_on(device: torch.device, how: BeamSearch) -> int:
    """Say how many rows are planned together, whoever they are: with other numbers of rows a matrix
    product adds in another order. In a published window the others decide how many ancestors there
    are to be seen anew, so on a CPU each is planned by itself then."""
    if device.type == "cuda":
        return 16
    if how.window == "published":
        return 1
    return max(1, ENOUGH // (how.beam_width * how.expansion))


def planned(model: TokenModel, how: BeamSearch, history: History) -> Tokens:
    """Plan for every row from its past and its present observation [B, H, S]."""
    past, now = seen(model, how, history)
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
            found = search(model, how, past[rows], now[rows], [*generators, *others])
            plans.append(found.tokens[: len(real)])
    return np.concatenate(plans)


def seen(model: TokenModel, how: BeamSearch, history: History) -> tuple[Tokens, Tokens]:
    """Return the tokens of the past steps [B, C, S] and of the present observation [B, o]."""
    tokenizer, places = model.tokenizer, model.places
    first = max(0, history.step - how.context_steps)
    columns = {
        "observation": history.observations[:, first:],
        "action": history.actions[:, first:],
        "reward": history.rewards[:, first:, None].astype(np.float32),
    }
    bins = {n: tokenizer.encode(n, values).astype(np.int64) for n, values in columns.items()}
    past = np.zeros((len(history), history.step - first, model.tokens_a_step), np.int64)
    for name, found in bins.items():  # the value is not known, and nobody looks at it
        past[:, :, places[name]] = found[:, : past.shape[1]]
    return past, bins["observation"][:, -1]
