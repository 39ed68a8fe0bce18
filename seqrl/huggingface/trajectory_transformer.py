"""The published Trajectory Transformer, as the last release of `transformers` had it: 4.30.0.

It equals that class within 1e-5 where that one is right, its odd habits included; where it is
wrong, see `TrajectoryTransformerModel`.

Letters: B batch, S tokens of this call, P tokens before them, K = P + S, D width, h heads, e width
of a head, d tokens of a step, V tokens that a dimension has, without the end token.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqrl.errors import SeqrlError
from seqrl.huggingface.checkpoint import Stored
from seqrl.huggingface.model import PublishedModel
from seqrl.huggingface.output import Output
from seqrl.huggingface.trajectory_transformer_config import TrajectoryTransformerConfig
from seqrl.nets.dropout import dropped
from seqrl.nets.transformer import Cache, Network, Trace, Transformer, causal

__all__ = [
    "TrajectoryTransformerConfig",
    "TrajectoryTransformerModel",
    "TrajectoryTransformerOutput",
]

NORM_EPS = 1e-5
"""What the published class adds in every LayerNorm, whatever `layer_norm_eps` says."""

NOT_COUNTED = -100
"""A target that has no loss, as everywhere in PyTorch."""

Past = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values [B, h, K, e] of each layer."""


@dataclass(eq=False)
class TrajectoryTransformerOutput(Output):
    """What a pass gives."""

    loss: Tensor | None = None
    """The mean over all tokens, if there were targets."""

    logits: Tensor | None = None
    """Scores of the next token [B, S, V + 1], the end token last."""

    past_key_values: Past | None = None
    """What a next call needs of this one, and of those before it."""

    hidden_states: tuple[Tensor, ...] | None = None
    """What enters each block and what leaves the last, before the final norm [B, S, D]."""

    attentions: tuple[Tensor, ...] | None = None
    """Attention weights of each layer, as they were applied [B, h, S, K]."""


class TrajectoryTransformerModel(PublishedModel):
    """The authors' network: each dimension of a step is a token with a table and a head of its own.

    Odd but kept, since checkpoints and programs depend on it: without `return_dict=True` the
    output is a tuple, whatever the configuration says; nobody looks at a value's token, itself
    included; `attention_mask` acts on the loss alone; the loss is divided by all tokens, counted or
    not; the last hidden state stands before the final norm.

    Other than published: with `past_key_values` their class counts positions, tables and heads of
    the new tokens from the start again and lets them look at values, so that its logits are wrong
    from the second call on; here a sequence in pieces equals the whole. Their loss needs an
    `attention_mask`, which is documented as optional, and sequences that end with a whole step if
    the parts have different weights. Tokens that are none are refused; there they read the
    table of another dimension. The past holds constants: no gradient goes through it.
    """

    config_class: ClassVar[type[TrajectoryTransformerConfig]] = TrajectoryTransformerConfig
    ignored: ClassVar[tuple[str, ...]] = (".attn.mask",)
    stored: ClassVar[Mapping[str, Stored]] = {
        "head": Stored("head.weight"),
        "transformer.norm": Stored("ln_f"),
        **{
            f"transformer.blocks.{{}}.{ours}": Stored(*(f"blocks.{{}}.{name}" for name in theirs))
            for ours, theirs in {
                "attention_norm": ["ln1"],
                "attention.qkv": ["attn.query", "attn.key", "attn.value"],
                "attention.out": ["attn.proj"],
                "inner_norm": ["ln2"],
                "inner_in": ["l1"],
                "inner_out": ["l2"],
            }.items()
        },
    }

    def __init__(self, config: TrajectoryTransformerConfig) -> None:
        """Make one with new weights, drawn from PyTorch's global generator."""
        super().__init__(config)
        network = Network(
            layers=config.n_layer,
            heads=config.n_head,
            width=config.n_embd,
            dropout=config.resid_pdrop,
            norm_eps=NORM_EPS,
        )
        tables = config.vocab_size * config.transition_dim + 1  # the end token has one for all
        self.tok_emb = nn.Embedding(tables, config.n_embd)
        self.pos_emb = nn.Parameter(torch.zeros(1, config.block_size, config.n_embd))
        self.transformer = Transformer(
            network, torch.default_generator, attention_dropout=config.attn_pdrop
        )
        self.head = nn.Parameter(
            torch.empty(config.transition_dim, config.vocab_size + 1, config.n_embd)
        )
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=config.initializer_range)
        spread = 1 + 5 / config.kaiming_initializer_range**2
        largest = math.sqrt(6 / (spread * config.n_embd))
        nn.init.uniform_(self.head, -largest, largest)

    def forward(
        self,
        trajectories: Tensor,
        past_key_values: Past | None = None,
        targets: Tensor | None = None,
        attention_mask: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> tuple[Any, ...] | TrajectoryTransformerOutput:
        """Read tokens [B, S] of whole numbers, the first of them the first of a step.

        `past_key_values`: what an earlier call returned of the tokens before these. `targets`
        [B, S]: the tokens that should follow, or -100 where none is counted; there is a loss then.
        `attention_mask` [B, S]: what the loss of each is multiplied by. `use_cache`: return the
        past for a next call.
        """
        config = self.config
        weights_too = config.output_attentions if output_attentions is None else output_attentions
        hidden_too = (
            config.output_hidden_states if output_hidden_states is None else output_hidden_states
        )
        self._check_tokens(trajectories, "trajectories")
        if targets is not None:
            self._check_tokens(targets, "targets", of=trajectories)
            _check_mask(attention_mask, trajectories)
        rows, size = trajectories.shape
        start = self._length(past_key_values, trajectories)
        cache = None
        if start or use_cache:
            cache = self._cache(past_key_values, rows, start, size)
        trace = Trace() if weights_too or hidden_too else None
        visible = self._visible(start + size, trajectories.device)
        hidden = self.transformer(self._embedded(trajectories, start), visible, cache, trace=trace)
        logits = self._logits(hidden, start)
        output = TrajectoryTransformerOutput(
            None if targets is None else self._loss(logits, targets, attention_mask, start),
            logits,
            tuple(zip(cache.keys, cache.values, strict=True)) if cache and use_cache else None,
            tuple(trace.hidden) if trace is not None and hidden_too else None,
            tuple(trace.weights) if trace is not None and weights_too else None,
        )
        return output if return_dict else output.to_tuple()

    def published(self) -> dict[str, Tensor]:
        """Return the weights under their published names, with the masks that their files hold."""
        size = self.config.block_size
        mask = self._visible(size, torch.device("cpu")).float().view(1, 1, size, size)
        layers = range(self.config.n_layer)
        return super().published() | {f"blocks.{n}.attn.mask": mask.clone() for n in layers}

    def _check_tokens(self, tokens: Tensor, name: str, *, of: Tensor | None = None) -> None:
        """Refuse what is not a table [B, S] of tokens, or not one like `of`."""
        end = self.config.vocab_size
        shape = "[rows, tokens]" if of is None else f"{list(of.shape)}, as trajectories"
        if tokens.ndim != 2 or tokens.numel() == 0 or (of is not None and tokens.shape != of.shape):
            raise SeqrlError(f"{name} has the shape {list(tokens.shape)}; it must be {shape}.")
        if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
            raise SeqrlError(
                f"{name} is {tokens.dtype}; tokens are whole numbers. Turn each dimension into the "
                "number of its bin first."
            )
        wrong = (tokens < 0) | (tokens > end)
        if of is not None:
            wrong &= tokens != NOT_COUNTED
        if wrong.any():
            left_out = "" if of is None else f", and {NOT_COUNTED} for what is not counted"
            raise SeqrlError(
                f"{name} holds {int(tokens[wrong][0])}; tokens go from 0 to {end - 1}, with {end} "
                f"for the end{left_out}. Give each dimension's own number: the model itself moves "
                "it to the dimension's table."
            )

    def _length(self, past: Past | None, trajectories: Tensor) -> int:
        """Count the tokens of a past, and refuse what is none of these rows or too long."""
        config, (rows, size) = self.config, trajectories.shape
        wide = config.n_embd // config.n_head
        length = 0
        if past is not None:
            shapes = [tuple(tensor.shape) for pair in past for tensor in pair]
            length = shapes[0][2] if shapes and len(shapes[0]) == 4 else 0
            if shapes != [(rows, config.n_head, length, wide)] * (2 * config.n_layer):
                raise SeqrlError(
                    f"past_key_values has the shapes {shapes}; it must hold two of "
                    f"({rows}, {config.n_head}, tokens, {wide}) for each of {config.n_layer} "
                    "layers. Give what a call with use_cache=True for the same rows returned."
                )
        if length + size > config.block_size:
            before = f" behind {length} of the past" if length else ""
            raise SeqrlError(
                f"trajectories has {size} tokens{before}; the model has room for block_size = "
                f"{config.block_size}. Give the last whole steps only, and no past."
            )
        return length

    def _cache(self, past: Past | None, rows: int, length: int, size: int) -> Cache:
        """Copy the `length` tokens of a past, with room for `size` more."""
        cache = Cache.empty(
            self.transformer.network,
            rows,
            length + size,
            dtype=self.pos_emb.dtype,
            device=self.pos_emb.device,
        )
        for layer, (keys, values) in enumerate(past or ()):
            cache.keys[layer, :, :, :length] = keys.detach()
            cache.values[layer, :, :, :length] = values.detach()
        cache.length = length
        return cache

    def _embedded(self, trajectories: Tensor, start: int) -> Tensor:
        """Look up tokens [B, S] that begin at `start`, each in the table of its dimension."""
        config, end = self.config, start + trajectories.shape[1]
        table = torch.arange(start, end, device=trajectories.device) % config.transition_dim
        rows = trajectories + table * config.vocab_size
        last = config.vocab_size * config.transition_dim
        rows = rows.masked_fill(trajectories == config.vocab_size, last)
        embedded = self.tok_emb(rows) + self.pos_emb[:, start:end]
        return dropped(embedded, config.embd_pdrop if self.training else 0.0)

    def _parts(self) -> int:
        """Count the tokens that the parts of a step have: `transition_dim`, as a rule."""
        return int(self.config.observation_dim + self.config.action_dim + 2)

    def _visible(self, size: int, device: torch.device) -> Tensor:
        """Say who may look at whom: at what came before, and never at a value."""
        values = torch.arange(size, device=device) % self._parts() == self._parts() - 1
        return causal(size, values)

    def _logits(self, hidden: Tensor, start: int) -> Tensor:
        """Read tokens [B, S, D] that begin at `start`, each with the head of its dimension.

        As there, they are filled up to whole steps, so that each head works once.
        """
        steps, size = self.config.transition_dim, hidden.shape[1]
        before = start % steps
        whole = F.pad(hidden, (0, 0, before, -(before + size) % steps))
        whole = whole.view(len(hidden), -1, steps, hidden.shape[2])  # [B, n, d, D]
        logits = torch.einsum("bndw,dvw->bndv", whole, self.head).flatten(1, 2)
        return logits[:, before : before + size]

    def _loss(self, logits: Tensor, targets: Tensor, mask: Tensor | None, start: int) -> Tensor:
        """Average over all tokens; each counts as the part does that it predicts, the next one."""
        config = self.config
        losses = F.cross_entropy(
            logits.flatten(0, 1), targets.flatten().long(), reduction="none"
        ).view(targets.shape)
        weights = torch.ones(self._parts(), device=losses.device)
        weights[config.observation_dim :] = config.action_weight
        weights[-2], weights[-1] = config.reward_weight, config.value_weight
        predicted = torch.arange(start + 1, start + 1 + targets.shape[1]) % self._parts()
        losses = losses * weights[predicted]
        return (losses if mask is None else losses * mask).mean()


def _check_mask(mask: Tensor | None, trajectories: Tensor) -> None:
    if mask is not None and mask.shape != trajectories.shape:
        raise SeqrlError(
            f"attention_mask has the shape {list(mask.shape)}; it must be "
            f"{list(trajectories.shape)}, as trajectories: what each token's loss counts."
        )
