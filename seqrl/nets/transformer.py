"""A causal transformer over embedded tokens. It does not know what the tokens stand for.

All that a user of the network needs comes from this file; the mask and the cache are explained in
`attention.py`, what can be chosen in `network.py`.

Letters: B batch, S tokens of this call, P tokens in the cache before them, K = P + S, N tokens
whose outputs are wanted, D width, I inner width.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqrl.nets.attention import Attention, Cache, Sight, Trace, causal, unset_linear
from seqrl.nets.dropout import with_dropped
from seqrl.nets.network import Network

__all__ = ["INIT_STD", "Block", "Cache", "Network", "Trace", "Transformer", "causal"]

INIT_STD = 0.02
"""Spread of every weight matrix at the start, in all the published models."""

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
    "tanh": torch.tanh,
}


class Block(nn.Module):
    """Attention, then a hidden layer; each reads the normed stream and adds to it (pre-norm)."""

    def __init__(self, network: Network, layer: int) -> None:
        """Make block number `layer`, counted from 0."""
        super().__init__()
        self.network = network
        self.attention_norm = nn.LayerNorm(network.width, eps=network.norm_eps)
        self.attention = Attention(network, layer)
        self.inner_norm = nn.LayerNorm(network.width, eps=network.norm_eps)
        self.inner_in = unset_linear(network.width, network.inner_width)
        self.inner_out = unset_linear(network.inner_width, network.width)
        self.activation = _ACTIVATIONS[network.activation]

    def forward(
        self,
        x: Tensor,
        sight: Sight,
        cache: Cache | None = None,
        only: Tensor | None = None,
        trace: Trace | None = None,
    ) -> Tensor:
        """Map [B, S, D] to [B, S, D], or to [B, N, D] for the tokens at `only`."""
        share = self.network.dropout if self.training else 0.0
        added = self.attention(self.attention_norm(x), sight, cache, only, trace)
        x = with_dropped(x if only is None else x[:, only], added, share)
        inner = self.activation(self.inner_in(self.inner_norm(x)))  # [B, S or N, I]
        return with_dropped(x, self.inner_out(inner), share)


class Transformer(nn.Module):
    """Blocks and a final LayerNorm, over tokens that the caller has embedded.

    The weights come from `generator` (on the CPU) and nothing else: one seed, one set of weights.
    Dropout draws from PyTorch's global generator; who trains reproducibly seeds that one. Nothing
    is cast here: results have the type of the input, or what the caller's autocast makes of it.
    """

    def __init__(
        self,
        network: Network,
        generator: torch.Generator,
        *,
        attention_dropout: float | None = None,
        upcast_attention: bool = False,
    ) -> None:
        """Make the blocks and draw their weights as `network.init` says.

        `attention_dropout` is a share of its own for the attention weights. `upcast_attention`:
        queries and keys are compared in float32, also where the rest is computed in less.
        """
        super().__init__()
        self.network = network
        self.blocks = nn.ModuleList(Block(network, layer) for layer in range(network.layers))
        for module in self.modules():
            if isinstance(module, Attention):
                module.upcast = upcast_attention
                if attention_dropout is not None:
                    module.dropout = attention_dropout
        self.norm = nn.LayerNorm(network.width, eps=network.norm_eps)
        into_residual = math.sqrt(2 * network.layers) if network.init == "gpt2" else 1.0
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                shrink = into_residual if name.endswith(("attention.out", "inner_out")) else 1.0
                nn.init.normal_(module.weight, std=INIT_STD / shrink, generator=generator)
                nn.init.zeros_(module.bias)

    def forward(
        self,
        x: Tensor,
        visible: Tensor,
        cache: Cache | None = None,
        *,
        only: Tensor | None = None,
        trace: Trace | None = None,
    ) -> Tensor:
        """Map embedded tokens x [B, S, D] to their outputs [B, S, D].

        `visible`: True where the token of that row may look at the token of that column, for the
        whole sequence from its first token on: [K or more, K or more], or [B, ...] with a matrix
        per row. A token that may look at nothing gets nothing from attention. `cache` holds the
        tokens before x and takes x in. `only` names the positions within x whose outputs are
        wanted: [B, N, D] comes back, and the last block works for those alone.
        """
        sight = Sight.of(visible, cache.length if cache is not None else 0, x)
        size = x.shape[1]
        for layer, block in enumerate(self.blocks):
            if trace is not None:
                trace.hidden.append(x)
            last = layer == len(self.blocks) - 1
            x = block(x, sight, cache, only if last else None, trace)
        if trace is not None:
            trace.hidden.append(x)
        if cache is not None:
            cache.length += size
        out: Tensor = self.norm(x)
        return out
