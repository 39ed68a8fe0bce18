"""Decoder: the network of a binned layout, token by token, for many plans with a common past.

Tokens that nobody may look at (TT's values) leave no keys. What several rows have seen in common is
kept once: a row attends to some `Memory`s, each of them its own or shared with its neighbours, and
what the parts give is put together by their log-sum-exp, which is exact.

Letters: R rows, m tokens of each row, G groups of rows that share a memory, k tokens in a memory, h
heads, e width of a head, D width, L layers, c classes, S tokens a step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from seqrl.nets.token_model import BinsIn, BinsOut, TokenModel
from seqrl.nets.transformer import Block
from seqrl.tokens.tokenizer import Slot

Layered = list[Tensor]
"""One tensor a layer."""


@dataclass
class Memory:
    """Keys and values of tokens, for groups of rows that stand next to each other."""

    keys: Layered  # L x [G, h, k or more, e]
    values: Layered
    length: int = 0
    """Tokens that it holds: k."""

    @classmethod
    def room(cls, like: "Decoder", groups: int, tokens: int) -> "Memory":
        """Set aside room for tokens of `groups` groups."""
        network = like.model.network
        shape = (groups, network.heads, tokens, network.head_width)
        weights, layers = like.model.positions, range(network.layers)
        keys, values = ([weights.new_empty(shape) for _ in layers] for _ in range(2))
        return cls(keys, values)

    def seen(self, layer: int, more: int = 0) -> tuple[Tensor, Tensor]:
        """Return a layer's keys and values [G, h, k, e], and those of so many tokens more."""
        end = self.length + more
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def put(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Store tokens [G, h, m, e]. `length` stays for the other layers; see `Decoder.passed`."""
        end = self.length + keys.shape[2]
        self.keys[layer][:, :, self.length : end] = keys
        self.values[layer][:, :, self.length : end] = values

    def of(self, groups: Tensor, room: int = 0) -> "Memory":
        """Return the memories of some groups, repeats allowed, with room for more tokens."""
        return joined([(self, groups)], room)

    def behind(self, other: "Memory") -> "Memory":
        """Return one of this one's tokens and another's after them."""
        return joined([(self, None), (other, None)])


def joined(pieces: Sequence[tuple[Memory, Tensor | None]], room: int = 0) -> Memory:
    """Put memories, or some groups of each, one behind the other, with room for more tokens."""
    length = sum(memory.length for memory, _ in pieces)
    first, chosen = pieces[0]
    groups = len(first.keys[0]) if chosen is None else len(chosen)

    def laid_out(kept: Sequence[Tensor]) -> Tensor:
        like = kept[0]
        new = like.new_empty(groups, like.shape[1], length + room, like.shape[3])
        begin = 0
        for (memory, rows), tensor in zip(pieces, kept, strict=True):
            known = tensor[:, :, : memory.length]
            end = begin + memory.length
            new[:, :, begin:end] = known if rows is None else known[rows]
            begin = end
        return new

    keys = zip(*(memory.keys for memory, _ in pieces), strict=True)
    values = zip(*(memory.values for memory, _ in pieces), strict=True)
    return Memory([*map(laid_out, keys)], [*map(laid_out, values)], length)


class Decoder:
    """What planning needs of a token model whose parts are all bins."""

    def __init__(self, model: TokenModel) -> None:
        """Look at a model; its weights are used as they are."""
        self.model = model
        self.slots = model.tokenizer.slots
        self.hidden = [not slot.part.attended for slot in self.slots]
        self.tables = [self._table(slot) for slot in self.slots]
        """For each slot, the embeddings of its classes [c, D]."""

    def _table(self, slot: Slot) -> Tensor:
        into = self.model.inputs[slot.name]
        assert isinstance(into, BinsIn) and slot.dimension is not None
        own = into.table[slot.dimension * into.bins : (slot.dimension + 1) * into.bins]
        # The class behind the last bin is the end, if there is one.
        return own if self.model.end is None else torch.cat([own, self.model.end[None]])

    def embedded(self, tokens: Tensor, slots: Sequence[int], positions: Tensor) -> Tensor:
        """Embed tokens [R, m] that stand in the block at `slots` and in the window at `positions`;
        [R, m, D]."""
        pieces = [F.embedding(tokens[:, at], self.tables[slot]) for at, slot in enumerate(slots)]
        x: Tensor = self.model.norm(torch.stack(pieces, 1) + self.model.positions[positions])
        return x

    def passed(
        self, x: Tensor, memories: Sequence[Memory], own: Memory, *, stored: bool = True
    ) -> Tensor:
        """Run embedded tokens [R, m, D] through the blocks; they see the memories, `own`, and those
        of themselves before them. `own` takes them in, unless they are not to be stored: then there
        is one token a row, and it does not see itself either. The last token's output [R, D]."""
        rows, size = x.shape[:2]
        for layer, block in enumerate(self.model.transformer.blocks):
            assert isinstance(block, Block)
            attention = block.attention
            normed = block.attention_norm(x)
            queries, keys, values = (
                part.view(rows, size, attention.network.heads, -1)
                for part in attention.qkv(normed).chunk(3, -1)
            )  # [R, m, h, e]
            keys, values = keys.transpose(1, 2), values.transpose(1, 2)  # [R, h, m, e]
            seen = [(*memory.seen(layer), False) for memory in memories if memory.length]
            if stored:
                own.put(layer, keys, values)
            if stored and size == 1:
                seen.append((*own.seen(layer, 1), False))  # in one piece with those before it
            else:
                if own.length:
                    seen.append((*own.seen(layer), False))
                if stored:
                    seen.append((keys, values, True))
            mixed = attended(queries, seen, attention.scale)  # [R, m, h, e]
            x = x + attention.out(mixed.flatten(2))
            x = x + block.inner_out(block.activation(block.inner_in(block.inner_norm(x))))
        if stored:
            own.length += size
        out: Tensor = self.model.transformer.norm(x[:, -1])
        return out

    def scores(self, out: Tensor, slot: int) -> Tensor:
        """Read the scores of the token at `slot` from the output in front of it: [R, c]."""
        name, dimension = self.slots[slot].name, self.slots[slot].dimension
        head = self.model.head(name)
        assert isinstance(head, BinsOut) and dimension is not None
        return out @ head.weight[dimension].T


Seen = tuple[Tensor, Tensor, bool]
"""Keys and values [G, h, k, e] that groups of rows see, and whether each token only sees those up
to its own place."""


def attended(queries: Tensor, seen: Sequence[Seen], scale: float) -> Tensor:
    """Mix what queries [R, m, h, e] see in all the parts into [R, m, h, e]."""
    rows, size, heads, width = queries.shape
    mixed, weights = [], []
    for keys, values, causal in seen:
        groups = len(keys)
        asking = queries.view(groups, -1, heads, width).transpose(1, 2)  # [G, h, R/G m, e]
        out, log_sum = _one_part(asking, keys, values, causal, scale)
        if len(seen) == 1:
            return out.transpose(1, 2).reshape(rows, size, heads, width)
        mixed.append(out.transpose(1, 2).reshape(rows, size, heads, width))
        weights.append(log_sum.transpose(1, 2).reshape(rows, size, heads))
    shares = torch.stack(weights).softmax(0).to(queries.dtype)[..., None]  # [parts, R, m, h, 1]
    together = mixed[0] * shares[0]
    for part, share in zip(mixed[1:], shares[1:], strict=True):
        together.addcmul_(part, share)
    return together


def _one_part(
    queries: Tensor, keys: Tensor, values: Tensor, causal: bool, scale: float
) -> tuple[Tensor, Tensor]:
    """Attend to one part: its mixture [G, h, q, e], and the log of its weights' sum [G, h, q]."""
    if queries.device.type == "cpu":
        found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            queries, keys, values, 0.0, causal, scale=scale
        )
        return found[0], found[1]
    scores = scale * queries @ keys.mT
    if causal:
        size = scores.shape[-1]
        later = torch.ones(size, size, dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return scores.softmax(-1) @ values, scores.logsumexp(-1)
