"""The model of a token layout: embeddings, mask, heads and loss, all derived from the tokenizer.

It never asks which agent it serves. The reading rule: the output at token j speaks about token
j + 1, so each part is read from the tokens in front of its own.

Letters: B windows, T steps, S tokens a step, P tokens of the prefix, D width, w signal width,
c classes of a bin token.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqrl.nets.attention import causal, unset_linear
from seqrl.nets.dropout import dropped
from seqrl.nets.model import Model
from seqrl.nets.network import Network
from seqrl.nets.transformer import INIT_STD, Transformer
from seqrl.tokens.layout import Vector
from seqrl.tokens.tokenizer import Tokenizer
from seqrl.tokens.windows import TokenBatch


class VectorIn(nn.Module):
    """A whole signal to one token."""

    def __init__(self, width: int, network: Network, generator: torch.Generator) -> None:
        """Make the linear map."""
        super().__init__()
        self.map = unset_linear(width, network.width)
        start_linear(self.map, network, generator)

    def forward(self, values: Tensor) -> Tensor:
        """[B, T, w] -> [B, T, 1, D]."""
        token: Tensor = self.map(values)
        return token[:, :, None]


class BinsIn(nn.Module):
    """Each dimension of a signal to a token: a row of its own table, or the end embedding."""

    def __init__(self, width: int, bins: int, network: Network, generator: torch.Generator) -> None:
        """Make the tables, one behind the other."""
        super().__init__()
        self.bins = bins
        self.table = nn.Parameter(torch.empty(width * bins, network.width))
        start_table(self.table, network, generator)
        self.register_buffer("offsets", torch.arange(width) * bins, persistent=False)
        self.offsets: Tensor

    def forward(self, values: Tensor, end: Tensor | None) -> Tensor:
        """[B, T, w] -> [B, T, w, D]; `end` [D] stands for what follows an episode."""
        if end is None:
            return F.embedding(values + self.offsets, self.table)
        ended = values == self.bins
        found = F.embedding(values.masked_fill(ended, 0) + self.offsets, self.table)
        return torch.where(ended[..., None], end, found)


class VectorOut(nn.Module):
    """The token in front of a vector to the vector, on the network's scale."""

    def __init__(
        self, tokenizer: Tokenizer, name: str, network: Network, generator: torch.Generator
    ) -> None:
        """Make the linear map, and the bounds it is squashed to if the part says so."""
        super().__init__()
        self.map = unset_linear(network.width, tokenizer.widths[name])
        start_linear(self.map, network, generator)
        encoding = next(p.encoding for p in tokenizer.layout.parts if p.name == name)
        assert isinstance(encoding, Vector)
        self.squash = encoding.squash
        low, high = torch.tensor(tokenizer.action_low), torch.tensor(tokenizer.action_high)
        self.register_buffer("middle", (low + high) / 2, persistent=False)
        self.register_buffer("reach", (high - low) / 2, persistent=False)
        self.middle: Tensor
        self.reach: Tensor

    def forward(self, before: Tensor) -> Tensor:
        """[B, T, 1, D] -> [B, T, w]."""
        out: Tensor = self.map(before[:, :, 0])
        return self.middle + self.reach * out.tanh() if self.squash else out

    def errors(self, before: Tensor, values: Tensor) -> Tensor:
        """Mean squared error of the vector [B, T, 1]."""
        off: Tensor = self(before) - values
        return off.square().mean(-1, keepdim=True)


class BinsOut(nn.Module):
    """The token in front of each dimension to the scores of its classes; no bias, as in TT."""

    def __init__(
        self, width: int, classes: int, network: Network, generator: torch.Generator
    ) -> None:
        """Make one matrix a dimension."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, classes, network.width))
        # TT's authors leave their heads, unlike all else, at PyTorch's own start.
        start_matrix(self.weight, network, generator, as_torch=network.init != "gpt2")

    def forward(self, before: Tensor) -> Tensor:
        """[B, T, w, D] -> [B, T, w, c]."""
        return torch.einsum("btwd,wcd->btwc", before, self.weight)

    def errors(self, before: Tensor, values: Tensor) -> Tensor:
        """Cross-entropy of each dimension [B, T, w], in float32 whatever the network runs in."""
        scores = self(before).float()
        return F.cross_entropy(scores.flatten(0, 2), values.flatten(), reduction="none").view(
            values.shape
        )


class TokenModel(Model):
    """Embeds windows of a layout, runs the transformer over them, reads and scores every part."""

    def __init__(self, tokenizer: Tokenizer, network: Network, generator: torch.Generator) -> None:
        """Derive everything from the tokenizer; weights come from `generator` alone."""
        super().__init__(tokenizer)
        self.network = network
        layout, slots = tokenizer.layout, tokenizer.slots
        self.tokens_a_step = len(slots)
        self.prefix_tokens = len(tokenizer.prefix_slots)
        self.inputs = nn.ModuleDict()
        self.outputs = nn.ModuleDict()
        self.places: dict[str, slice] = {}
        """Part of the block -> its tokens within it."""
        for name, part in layout.named.items():
            width = tokenizer.widths[name]
            if isinstance(part.encoding, Vector):
                self.inputs[name] = VectorIn(width, network, generator)
            else:
                self.inputs[name] = BinsIn(width, part.encoding.count, network, generator)
            if part.loss and isinstance(part.encoding, Vector):
                self.outputs[name] = VectorOut(tokenizer, name, network, generator)
            elif part.loss:
                classes = tokenizer.classes(name)
                self.outputs[name] = BinsOut(width, classes, network, generator)
        for part in layout.parts:
            mine = [i for i, slot in enumerate(slots) if slot.part is part]
            self.places[part.name] = slice(mine[0], mine[-1] + 1)
        self.end = None
        if layout.after_end == "end token":
            self.end = nn.Parameter(torch.empty(network.width))
            start_table(self.end, network, generator)
        by_step = layout.positions == "episode step"
        places = tokenizer.data.horizon if by_step else layout.steps * self.tokens_a_step
        self.positions = nn.Parameter(torch.zeros(places, network.width))
        if by_step:
            start_table(self.positions, network, generator)
        self.norm = (
            nn.LayerNorm(network.width, eps=network.norm_eps)
            if network.normalise_embeddings
            else nn.Identity()
        )
        self.transformer = Transformer(network, generator)
        hidden = torch.tensor([not slot.part.attended for slot in slots]).repeat(layout.steps)
        hidden = F.pad(hidden, (self.prefix_tokens, 0))  # goals are seen by all
        self.register_buffer("visible", causal(len(hidden), hidden), persistent=False)
        self.visible: Tensor
        # The tokens that something is read from, and for each part which of them are its own,
        # counted from 1: 0 is the nothing in front of the first token.
        steps = torch.arange(layout.steps)[:, None]
        block = self.prefix_tokens + steps * self.tokens_a_step  # [T, 1]
        in_front = {
            name: (block + torch.arange(place.start, place.stop) - 1).flatten()
            for name, place in self.places.items()
            if name in self.outputs
        }
        read_from = torch.tensor(sorted({int(token) for own in in_front.values() for token in own}))
        self.register_buffer("read_from", read_from[read_from >= 0], persistent=False)
        self.read_from: Tensor
        self.size = int(read_from[-1]) + 1
        """Tokens of a window up to the last one that something is read from."""
        self.own = nn.Module()
        for name, tokens in in_front.items():
            own = torch.searchsorted(self.read_from, tokens) + (tokens >= 0)
            self.own.register_buffer(name, own, persistent=False)

    def embed(self, values: Mapping[str, Tensor], steps: Tensor) -> Tensor:
        """Turn windows into tokens [B, P + T S, D]; `steps` [B, T] counts each episode's steps."""
        layout = self.tokenizer.layout
        goals = [
            self.embedded(name, values[name][:, None], None).flatten(1, 2) for name in layout.goals
        ]
        tokens = [self.embedded(name, values[name], self.end) for name in self.places]
        x = torch.cat(tokens, dim=2)  # [B, T, S, D]
        if layout.positions == "episode step":
            # What fills a window may be counted beyond the horizon; nobody sees it.
            last = len(self.positions) - 1
            x = x + F.embedding(steps.clamp(max=last), self.positions)[:, :, None]
        else:
            x = x + self.positions[: x.shape[1] * x.shape[2]].view(x.shape[1:])
        x = self.norm(torch.cat([*goals, x.flatten(1, 2)], dim=1))
        return dropped(x, self.network.dropout) if self.training else x

    def embedded(self, name: str, values: Tensor, end: Tensor | None) -> Tensor:
        """Turn values of a part [B, T, w] into its tokens [B, T, slots, D]."""
        into = self.inputs[name]
        tokens: Tensor = into(values, end) if isinstance(into, BinsIn) else into(values)
        return tokens

    def forward(self, values: Mapping[str, Tensor], steps: Tensor) -> dict[str, Tensor]:
        """Return what each predicted part is read from: the outputs one token ahead of its own
        [B, T, slots, D].

        In front of the window's first token there is a goal, or nothing: zeros stand for that. The
        last block works only for the tokens that something is read from.
        """
        x = self.embed(values, steps)[:, : self.size]
        only = None if len(self.read_from) == self.size else self.read_from
        out = F.pad(self.transformer(x, self.visible, only=only), (0, 0, 1, 0))
        return {
            name: out.index_select(1, own).view(*steps.shape, -1, out.shape[-1])
            for name, own in self.own.named_buffers()
        }

    def head(self, name: str) -> VectorOut | BinsOut:
        """Return what reads a part."""
        head = self.outputs[name]
        assert isinstance(head, VectorOut | BinsOut)
        return head

    def predict(self, batch: TokenBatch, name: str) -> Tensor:
        """Predict a vector part of the last step of each window [B, w]."""
        part = next(part for part in self.tokenizer.layout.parts if part.name == name)
        assert isinstance(part.encoding, Vector) and part.loss, f"{name} is no predicted vector"
        steps_before = batch.steps.shape[1] - 1
        tokens = self.prefix_tokens + steps_before * self.tokens_a_step + self.places[name].start
        assert tokens, f"nothing stands in front of {name}"
        x = self.embed(batch.values, batch.steps)[:, :tokens]
        only = torch.tensor([tokens - 1], device=x.device)
        out = self.transformer(x, self.visible, only=only)  # [B, 1, D]
        predicted: Tensor = self.head(name)(out[:, :, None])[:, 0]
        return predicted

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and each predicted part's own mean error."""
        layout = self.tokenizer.layout
        before = self(batch.values, batch.steps)
        total, errors_of = torch.zeros((), device=batch.steps.device), {}
        windows, steps = batch.steps.shape
        everywhere = windows * (self.prefix_tokens + steps * self.tokens_a_step - 1)
        for part in layout.parts:
            if not part.loss:
                continue
            errors = self.head(part.name).errors(before[part.name], batch.values[part.name])
            counts = batch.has_loss[..., None].expand_as(errors)
            if self.places[part.name].start == 0:
                counts = counts.clone()
                if layout.loss_over == "all positions":  # what counts is the token it is read from
                    counts[:, 1:, 0] = batch.has_loss[:, :-1]
                if not self.prefix_tokens:
                    counts[:, 0, 0] = False  # nothing stands in front of the first token
            errors = errors.masked_fill(~counts, 0.0)
            mean = errors.sum() / counts.sum()
            errors_of[part.name] = mean.detach()
            averaged = mean if layout.loss_over == "real steps" else errors.sum() / everywhere
            total = total + part.loss * averaged
        return total, errors_of


def start_linear(linear: nn.Linear, network: Network, generator: torch.Generator) -> None:
    """Give a linear map outside the blocks its first weights, as `network.init` says."""
    as_torch = network.init == "dt"
    start_matrix(linear.weight, network, generator, as_torch=as_torch)
    bound = linear.in_features**-0.5 if as_torch else 0.0
    nn.init.uniform_(linear.bias, -bound, bound, generator=generator)


def start_matrix(
    weight: Tensor, network: Network, generator: torch.Generator, *, as_torch: bool
) -> None:
    """Give a matrix [..., out, in] its first weights: PyTorch's own, or those of a block."""
    if as_torch:
        bound = weight.shape[-1] ** -0.5
        nn.init.uniform_(weight, -bound, bound, generator=generator)
    else:
        nn.init.normal_(weight, std=INIT_STD, generator=generator)


def start_table(table: Tensor, network: Network, generator: torch.Generator) -> None:
    """Give an embedding table its first weights, as `network.init` says."""
    std = 1.0 if network.init == "dt" else INIT_STD
    nn.init.normal_(table, std=std, generator=generator)
