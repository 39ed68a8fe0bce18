"""Attention: who may look at whom, the memory of what was seen, and the looking itself.

Who may look at whom is one boolean matrix that the caller makes once. Every pass takes its rows and
columns from that matrix, with or without a cache, so that decoding token by token cannot apply
another mask than training did.

Letters: B batch, S tokens of this call, P tokens in the cache before them, K = P + S, N tokens
whose outputs are wanted, D width, h heads, e width of a head, L layers.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqrl.nets.dropout import dropped
from seqrl.nets.network import Network


def causal(size: int, hidden: Tensor | None = None) -> Tensor:
    """Say who may look at whom [size, size]: no token at a later one, nobody at a hidden one.

    `hidden` marks the columns that nobody sees, themselves included (the Trajectory Transformer's
    values); with a leading batch dimension it gives a matrix per row of the batch.
    """
    device = None if hidden is None else hidden.device
    earlier = torch.ones(size, size, dtype=torch.bool, device=device).tril()
    return earlier if hidden is None else earlier & ~hidden[..., None, :]


@dataclass
class Cache:
    """Keys and values of the tokens so far, for all layers, in memory set aside beforehand.

    They are constants: gradients reach the tokens of the present call and none before it.
    """

    keys: Tensor  # [L, B, h, capacity, e]
    values: Tensor  # [L, B, h, capacity, e]
    length: int = 0
    """Tokens that it holds; what stands behind them means nothing."""

    @classmethod
    def empty(
        cls,
        network: Network,
        rows: int,
        capacity: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> "Cache":
        """Set aside room for `capacity` tokens in each of `rows` sequences."""
        shape = (network.layers, rows, network.heads, capacity, network.head_width)
        keys, values = (torch.empty(shape, dtype=dtype, device=device) for _ in range(2))
        return cls(keys, values)

    @classmethod
    def beside(cls, network: Network, x: Tensor, capacity: int) -> "Cache":
        """Set aside room for the rows of embedded tokens x [B, S, D], of the type that they are
        computed in: autocast's, if there is one."""
        kind = x.device.type
        cast = torch.is_autocast_enabled(kind)
        dtype = torch.get_autocast_dtype(kind) if cast else x.dtype
        return cls.empty(network, len(x), capacity, dtype=dtype, device=x.device)

    @property
    def capacity(self) -> int:
        """The most tokens it can hold."""
        return self.keys.shape[3]

    def make_room(self, tokens: int) -> None:
        """Be able to take in so many tokens more; when memory has to move, twice as much is had."""
        needed = self.length + tokens
        if needed <= self.capacity:
            return
        shape = (*self.keys.shape[:3], max(needed, 2 * self.length), self.keys.shape[4])
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = old.new_empty(shape)
            new[:, :, :, : self.length] = old[:, :, :, : self.length]
            setattr(self, name, new)

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store this call's [B, h, S, e] and give all [B, h, K, e]. `length` stays for the other
        layers; the transformer moves it at the end of the pass."""
        end = self.length + keys.shape[2]
        assert end <= self.capacity, f"{end} tokens in a cache for {self.capacity}"
        assert keys.shape[0] == self.keys.shape[1], "another number of rows than the cache has"
        self.keys[layer, :, :, self.length : end] = keys.detach()
        self.values[layer, :, :, self.length : end] = values.detach()
        if not keys.requires_grad:  # in the type of this call: autocast may have come or gone
            kept = self.keys[layer, :, :, :end], self.values[layer, :, :, :end]
            return kept[0].to(keys.dtype), kept[1].to(values.dtype)
        past_keys = self.keys[layer, :, :, : self.length].to(keys.dtype)
        past_values = self.values[layer, :, :, : self.length].to(values.dtype)
        return torch.cat([past_keys, keys], 2), torch.cat([past_values, values], 2)

    def select(self, rows: Tensor) -> "Cache":
        """Give a cache of the named rows in that order, repeats allowed; this one stays."""
        room = [self.keys.shape[0], len(rows), *self.keys.shape[2:]]
        chosen = Cache(self.keys.new_empty(room), self.values.new_empty(room), self.length)
        for ours, theirs in ((self.keys, chosen.keys), (self.values, chosen.values)):
            filled = ours[:, :, :, : self.length]
            theirs[:, :, :, : self.length] = filled.index_select(1, rows)
        return chosen

    def crop(self, length: int) -> None:
        """Forget all tokens after the first `length`."""
        assert 0 <= length <= self.length, f"cannot crop {self.length} tokens to {length}"
        self.length = length


@dataclass
class Trace:
    """What a pass leaves behind for those who want to look inside; an empty one is handed in."""

    hidden: list[Tensor] = field(default_factory=list)
    """What enters each block and what leaves the last one, before the final LayerNorm [B, S, D]."""

    weights: list[Tensor] = field(default_factory=list)
    """Attention weights of each layer, as they were applied [B, h, S, K]."""


@dataclass(frozen=True)
class Sight:
    """The rows and columns of the caller's matrix that this call needs, ready for attention."""

    bias: Tensor  # [1 or B, 1, S, K]: 0 where a query may look, else minus infinity
    blind: Tensor | None  # [1 or B, S, 1]: queries that may look at nothing; None if there are none

    @classmethod
    def of(cls, visible: Tensor, past: int, x: Tensor) -> "Sight":
        """Take them for tokens x [B, S, D] that stand behind `past` others."""
        end = past + x.shape[1]
        assert visible.dtype == torch.bool, f"the mask is {visible.dtype}, not boolean"
        assert min(visible.shape[-2:]) >= end, f"a mask of {visible.shape} for {end} tokens"
        looks = visible[..., past:end, :end]
        looks = looks if looks.ndim == 3 else looks[None]  # [1 or B, S, K]
        blind = ~looks.any(-1, keepdim=True)
        # A softmax over nothing is NaN, so who sees nothing is let see all, and then given zero.
        bias = x.new_zeros(looks.shape).masked_fill_(~(looks | blind), -math.inf)
        # On a GPU the question would make the host wait, and break the capture of a graph.
        needless = blind.device.type == "cpu" and not blind.any()
        return cls(bias[:, None], None if needless else blind)

    def at(self, only: Tensor) -> "Sight":
        """Keep the queries at the positions `only`."""
        blind = None if self.blind is None else self.blind[:, only]
        return Sight(self.bias[:, :, only], blind)


def _written_out(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    bias: Tensor,
    scale: float,
    dropout: float,
    upcast: bool,
) -> tuple[Tensor, Tensor]:
    rows, heads, size, width = queries.shape
    flat_bias = bias[0] if len(bias) == 1 else bias.expand(-1, heads, -1, -1).flatten(0, 1)
    if upcast:
        with torch.autocast(queries.device.type, enabled=False):
            weights = _weights(flat_bias.float(), queries.float(), keys.float(), scale)
        weights = dropped(weights.to(values.dtype), dropout)
    else:
        weights = dropped(_weights(flat_bias.to(queries.dtype), queries, keys, scale), dropout)
    mixed = torch.bmm(weights, values.flatten(0, 1))  # [B h, S, e]
    return mixed.view(rows, heads, size, width), weights.view(rows, heads, size, -1)


def _weights(flat_bias: Tensor, queries: Tensor, keys: Tensor, scale: float) -> Tensor:
    queries, keys = queries.flatten(0, 1), keys.flatten(0, 1)
    return torch.baddbmm(flat_bias, queries, keys.mT, alpha=scale).softmax(-1)  # [B h, S, K]


def _attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    bias: Tensor,
    scale: float,
    dropout: float,
    trace: Trace | None = None,
    upcast: bool = False,
) -> Tensor:
    """Mix the values [B, h, K, e] by softmax(scale x queries keys' + bias) into [B, h, S, e].

    Written out on a CPU in half precision: where the processor computes in bf16, the fused kernel's
    forward and backward take four to five times as long. Written out on a CPU with dropout: the
    fused kernel has none, what PyTorch does instead is slower. Fused on a CPU in float32 without
    dropout: decoding one token in 128 rows takes two thirds of the time. Fused on a GPU, without a
    measurement. The two differ in the last bits; in half precision, written out also rounds the
    weights.
    """
    half = queries.dtype in (torch.bfloat16, torch.float16)
    slow_if_fused = queries.device.type == "cpu" and (half or dropout > 0)
    if trace is not None or upcast or slow_if_fused:
        mixed, weights = _written_out(queries, keys, values, bias, scale, dropout, upcast)
        if trace is not None:
            trace.weights.append(weights)
        return mixed
    return F.scaled_dot_product_attention(
        queries, keys, values, attn_mask=bias.to(queries.dtype), dropout_p=dropout, scale=scale
    )


def unset_linear(inputs: int, outputs: int) -> nn.Linear:
    """Make a linear map with unset weights: PyTorch's own would draw from the global generator.

    Within `torch.device("meta")` it has no memory either: who has weights already brings his own.
    """
    unset = nn.Linear(inputs, outputs, device="meta")
    return unset if torch.get_default_device().type == "meta" else unset.to_empty(device="cpu")


class Attention(nn.Module):
    """Every token asks those that it may look at."""

    def __init__(self, network: Network, layer: int) -> None:
        """Make the attention of the block number `layer`, counted from 0."""
        super().__init__()
        self.network, self.layer = network, layer
        self.qkv = unset_linear(network.width, 3 * network.width)  # rows: queries, keys, values
        self.out = unset_linear(network.width, network.width)
        self.dropout = network.dropout
        self.upcast = False
        """Compare queries and keys in float32, whatever else is computed in."""
        self.scale = 1.0
        if network.attention_scale in ("head", "head and layer"):
            self.scale /= math.sqrt(network.head_width)
        if network.attention_scale in ("layer", "head and layer"):
            self.scale /= layer + 1

    def forward(
        self,
        x: Tensor,
        sight: Sight,
        cache: Cache | None = None,
        only: Tensor | None = None,
        trace: Trace | None = None,
    ) -> Tensor:
        """Map [B, S, D] to [B, S, D], or to [B, N, D] for the tokens at `only`."""
        if only is None:
            queries, keys, values = map(self._heads, self.qkv(x).chunk(3, -1))  # [B, h, S, e]
        else:
            width = self.network.width
            weight, bias = self.qkv.weight, self.qkv.bias
            queries = self._heads(F.linear(x[:, only], weight[:width], bias[:width]))
            pair = F.linear(x, weight[width:], bias[width:])  # [B, S, 2 D]
            keys, values = map(self._heads, pair.chunk(2, -1))
            sight = sight.at(only)
        if cache is not None:
            keys, values = cache.append(self.layer, keys, values)  # [B, h, K, e]
        dropout = self.dropout if self.training else 0.0
        mixed = _attend(queries, keys, values, sight.bias, self.scale, dropout, trace, self.upcast)
        together = mixed.transpose(1, 2).flatten(2)  # [B, S or N, D]
        if sight.blind is not None:
            together = together.masked_fill(sight.blind, 0.0)
            if trace is not None:
                trace.weights[-1] = trace.weights[-1].masked_fill(sight.blind[:, None], 0.0)
        out: Tensor = self.out(together)
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """[B, S, D] -> [B, h, S, e]."""
        rows, size = x.shape[:2]
        return x.view(rows, size, self.network.heads, self.network.head_width).transpose(1, 2)
