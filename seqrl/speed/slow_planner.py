"""The planner in its most obvious form, which the real one is measured by and tested against.

For every token the whole network over the whole window, all beams of one episode in one batch,
nothing kept. It shares no code with the real one but the model, the drawing of a token and the
numbers it is drawn with.

Letters: R rows, n tokens, C past steps, H steps of a plan, S tokens a step, o tokens of an
observation, c classes.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from seqrl.nets.token_model import BinsOut, TokenModel
from seqrl.planning.beams import Tokens
from seqrl.planning.sampling import draw
from seqrl.planning.settings import BeamSearch, Sampling, Search


def scores_of(model: TokenModel, how: Search, tokens: Tensor, goals: dict[str, Tensor]) -> Tensor:
    """Return the scores of the token that follows tokens [R, n]: [R, c]."""
    size = model.tokens_a_step
    if how.window == "published":
        limit = how.context_steps * size - 1
        while tokens.shape[1] > limit:
            tokens = tokens[:, size:]
    rows, count = tokens.shape
    steps = count // size + 1
    filled = torch.cat([tokens, tokens.new_zeros(rows, steps * size - count)], 1)
    blocks = filled.view(rows, steps, size)
    values = {name: blocks[..., place] for name, place in model.places.items()}
    values |= {name: value.expand(rows, -1) for name, value in goals.items()}
    if steps > model.tokenizer.layout.steps:  # the filling would have positions that are not there
        values = {n: v[:, :-1] if v.ndim == 3 else v for n, v in values.items()}
        steps -= 1
    x = model.embed(values, torch.zeros(rows, steps, dtype=torch.long))
    x = x[:, : model.prefix_tokens + count]
    out = model.transformer(x, model.visible)[:, -1]
    slot = model.tokenizer.slots[count % size]
    head = model.head(slot.name)
    assert isinstance(head, BinsOut) and slot.dimension is not None
    scores: Tensor = out @ head.weight[slot.dimension].T
    return scores


def worth(how: BeamSearch, centres: Tensor, chances: Tensor) -> Tensor:
    """Return what a reward or value is worth in each row."""
    chances = chances[:, : len(centres)]
    if how.percentile is None:
        mean: Tensor = chances @ centres
        return mean
    reached = [
        next((index for index in range(len(row)) if row[: index + 1].sum() > how.percentile), -1)
        for row in chances
    ]
    return centres[reached]


@torch.no_grad()
def slow_plan(
    model: TokenModel,
    how: BeamSearch,
    past: Tokens,  # [C, S]
    now: Tokens,  # [o]
    generator: np.random.Generator,
    goals: dict[str, Tensor] | None = None,
    told: Callable[[int], None] = lambda step: None,
) -> tuple[Tokens, float]:
    """Plan one episode: the tokens [H, S] of the best plan, and its value. `told` hears of every
    step of the plan before it begins."""
    size, places = model.tokens_a_step, model.places
    start = torch.from_numpy(np.concatenate([past.flatten(), now]))
    x = start.repeat(how.beam_width, 1)
    gains = torch.zeros(how.beam_width, how.horizon + 1, dtype=model.positions.dtype)
    discounts = how.discount ** torch.arange(how.horizon + 1)

    def sampled(x: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
        scores = scores_of(model, how, x, goals or {})
        numbers = torch.from_numpy(generator.random(len(x))) if sampling.needs_chance else None
        drawn = draw(sampling, scores, numbers)
        return torch.cat([x, drawn[:, None]], 1), scores.softmax(-1)

    for step in range(how.horizon):
        told(step)
        x, gains = (of.repeat_interleave(how.expansion, 0) for of in (x, gains))
        for _ in range(places["action"].start, places["action"].stop):
            x, _ = sampled(x, how.action)
        for at, name in enumerate(("reward", "value")):
            x, likely = sampled(x, how.reward)
            edges = torch.from_numpy(model.tokenizer.edges[name][0])
            centres = ((edges[:-1] + edges[1:]) / 2).float().to(likely.dtype)
            gains[:, step + at] = worth(how, centres, likely)
        values = (gains * discounts).sum(-1)
        best = values.float().sort(descending=True, stable=True).indices[: how.beam_width]
        x, gains, values = x[best], gains[best], values[best]
        if step < how.horizon - 1:
            for _ in range(places["observation"].start, places["observation"].stop):
                x, _ = sampled(x, how.observation)
    plan = x[0].view(-1, size)[-how.horizon :]
    return plan.numpy(), float(values[0])
