"""Looking inside: whom the tokens of a model look at, in its ordinary pass.

Letters: B windows, N tokens of each, L layers, h heads.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from seqrl.nets.token_model import TokenModel
from seqrl.nets.transformer import Trace


@torch.no_grad()
def attention(model: TokenModel, values: Mapping[str, Tensor], steps: Tensor) -> Tensor:
    """Return the attention weights, as they are applied, averaged over windows [L, h, N, N].

    Windows are as in a `TokenBatch`. A row is a token that looks, a column one that is looked at.
    """
    trace = Trace()
    model.transformer(model.embed(values, steps), model.visible, trace=trace)
    return torch.stack([weights.double().mean(0) for weights in trace.weights])
