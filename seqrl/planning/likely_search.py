"""Likely search: the beam search of language models, for the most probable plan.

The plan grows by single tokens: of all continuations of all beams, the most probable become the
beams. Nothing is drawn.

Letters: E episodes, W beams, R = E W rows, K bins.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from seqrl.nets.token_model import TokenModel
from seqrl.planning.beam_search import Plans
from seqrl.planning.beams import Beams, Tokens
from seqrl.planning.settings import MostLikely


@torch.no_grad()
def likely_search(
    model: TokenModel,
    how: MostLikely,
    past: Tokens,
    now: Tokens,
    goals: Mapping[str, Tensor] | None = None,
) -> Plans:
    """Plan from past steps [E, C, S] and the present observation's tokens [E, o]; `goals` are the
    prefix's values, as the model takes them [E, w]."""
    beams = Beams(model, how, past, now, goals or {})
    scores = beams.looked()
    likely = scores.new_zeros(beams.episodes, 1)  # [E, W]
    for step in range(how.horizon):
        for slot in range(beams.acted.start, beams.size):
            likely, tokens = _chosen(beams, scores, likely)
            if slot < beams.value:
                scores = beams.grown(tokens)
            else:
                beams.added(tokens)
        if step == how.horizon - 1:
            break
        scores = beams.onward()
        for _ in range(beams.observed.start, beams.observed.stop):
            likely, tokens = _chosen(beams, scores, likely)
            scores = beams.grown(tokens)
    beams.closed()
    return Plans(beams.plan, likely[:, 0].double().cpu().numpy())


def _chosen(beams: Beams, scores: Tensor, likely: Tensor) -> tuple[Tensor, Tensor]:
    """Let the most probable continuations be the beams: the logarithm of each one's probability
    [E, W], and its new token [R, 1].

    An episode's end is none of them: nothing is played after it.
    """
    slot = beams.decoder.slots[beams.present.shape[2]]
    bins = beams.decoder.model.tokenizer.edges[slot.name].shape[1] - 1
    each = scores.log_softmax(-1)[:, :bins].view(beams.episodes, -1, bins)  # [E, W, K]
    longer = (likely[..., None] + each).flatten(1)
    likely, best = longer.topk(min(beams.how.beam_width, longer.shape[1]), dim=1)
    beams.chosen(torch.div(best, bins, rounding_mode="floor"))
    return likely, (best % bins).view(-1, 1)
