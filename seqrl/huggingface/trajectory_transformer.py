"""The published Trajectory Transformer, as the last release of `transformers` had it: 4.30.0.

It equals that class within 1e-5 where that one is right, its odd habits included; where it is
wrong, see `TrajectoryTransformerModel`.

Letters: B batch, S tokens of this call, P tokens before them, K = P + S, D width, h heads, e width
of a head, d tokens of a step, V tokens that a dimension has, without the end token.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqrl.errors import DataError, SeqrlError
from seqrl.huggingface.checkpoint import Stored, tensors_in
from seqrl.huggingface.gpt2 import need_shape
from seqrl.huggingface.model import PublishedModel
from seqrl.huggingface.output import Output
from seqrl.huggingface.past import Past, cache_of, length_of, past_of
from seqrl.huggingface.trajectory_transformer_config import TrajectoryTransformerConfig
from seqrl.nets.dropout import dropped
from seqrl.nets.transformer import Network, Trace, Transformer, causal

__all__ = [
    "TrajectoryTransformerConfig",
    "TrajectoryTransformerModel",
    "TrajectoryTransformerOutput",
]

NORM_EPS = 1e-5
"""What the published class adds in every LayerNorm, whatever `layer_norm_eps` says."""

NOT_COUNTED = -100
"""A target that has no loss, as everywhere in PyTorch."""

SHOWN_BY = {
    "n_embd": ("tok_emb.weight", 1),
    "block_size": ("pos_emb", 1),
    "transition_dim": ("head.weight", 0),
    "vocab_size": ("head.weight", 1),  # and the end token
}
"""Which tensor of the authors shows a size, and in which dimension."""


def _stored(inner_in: str, inner_out: str) -> dict[str, Stored]:
    """Say how our weights stand in files, that differ in two names."""
    names = {
        "attention_norm": ["ln1"],
        "attention.qkv": ["attn.query", "attn.key", "attn.value"],
        "attention.out": ["attn.proj"],
        "inner_norm": ["ln2"],
        "inner_in": [inner_in],
        "inner_out": [inner_out],
    }
    blocks = {
        f"transformer.blocks.{{}}.{ours}": Stored(*(f"blocks.{{}}.{name}" for name in theirs))
        for ours, theirs in names.items()
    }
    return {"head": Stored("head.weight"), "transformer.norm": Stored("ln_f"), **blocks}


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
    from the second call on, by 2 and more for a new model; here a sequence in pieces equals the
    whole. Their loss needs an `attention_mask`, which is documented as optional, and, if parts have
    different weights, a sequence that is one token short of whole steps; ours takes any. A number
    that is no token is refused; there it may read the table of the next dimension. The past holds
    constants: no gradient goes through it.
    """

    config_class: ClassVar[type[TrajectoryTransformerConfig]] = TrajectoryTransformerConfig
    ignored: ClassVar[tuple[str, ...]] = (".attn.mask",)
    stored: ClassVar[Mapping[str, Stored]] = _stored("l1", "l2")

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
        start = self._start(trajectories, past_key_values)
        if targets is not None:
            need_shape("targets", targets, tuple(trajectories.shape))
            self._check_tokens(targets, "targets", left_out=True)
            if attention_mask is not None:
                need_shape("attention_mask", attention_mask, tuple(trajectories.shape))
        size = trajectories.shape[1]
        x = self._embedded(trajectories, start)  # [B, S, D]
        cache = None
        if start or use_cache:
            cache = cache_of(past_key_values, self.transformer.network, x, start, size)
        hidden = self.said("output_hidden_states", output_hidden_states)
        weights = self.said("output_attentions", output_attentions)
        trace = Trace() if hidden or weights else None
        x = self.transformer(x, self._visible(start + size, x.device), cache, trace=trace)
        logits = self._logits(x, start)
        outputs = TrajectoryTransformerOutput(logits=logits)
        if targets is not None:
            outputs.loss = self._loss(logits, targets, attention_mask, start)
        if cache is not None and use_cache:
            outputs.past_key_values = past_of(cache)
        if trace is not None and hidden:
            outputs.hidden_states = tuple(trace.hidden)
        if trace is not None and weights:
            outputs.attentions = tuple(trace.weights)
        return outputs if return_dict else outputs.to_tuple()

    @classmethod
    def from_authors(
        cls, file: str | PathLike[str], *, action_dim: int, n_head: int, **changes: Any
    ) -> Self:
        """Read a state_*.pt of the paper's own code, github.com/jannerm/trajectory-transformer.

        The sizes are read off the tensors. What they do not show is asked for: how many tokens of
        a step are the action's, and the heads (4 in all models that the authors trained). `changes`
        are other fields of the configuration, such as the weights of the loss.
        """
        path = Path(file)
        tensors = tensors_in(path)
        sizes = _shown(tensors, path)
        largest = sizes["transition_dim"] - 3
        if not 1 <= action_dim <= largest:
            raise SeqrlError(
                f"action_dim is {action_dim}; a step in {path} has {largest + 3} tokens, two of "
                "them the reward and the value, and one or more the observation: it must be from 1 "
                f"to {largest}."
            )
        parts = {"action_dim": action_dim, "observation_dim": largest + 1 - action_dim}
        config = cls.config_class(**sizes | parts | {"n_head": n_head} | changes)
        return cls.of_tensors(config, tensors, str(path), _stored("mlp.0", "mlp.2"))

    def published(self) -> dict[str, Tensor]:
        """Return the weights under their published names, with the masks that their files hold."""
        size = self.config.block_size
        mask = self._visible(size, torch.device("cpu")).float().view(1, 1, size, size)
        layers = range(self.config.n_layer)
        return super().published() | {f"blocks.{n}.attn.mask": mask.clone() for n in layers}

    def _check_tokens(self, tokens: Tensor, name: str, *, left_out: bool = False) -> None:
        """Refuse what is no token, nor a target `left_out` of the loss."""
        if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
            raise SeqrlError(
                f"{name} is of {tokens.dtype}, and tokens are whole numbers: the bins of the "
                "dimensions. Give torch.long."
            )
        end = self.config.vocab_size
        wrong = (tokens < 0) | (tokens > end)
        if left_out:
            wrong &= tokens != NOT_COUNTED
        if wrong.any():
            more = f", and {NOT_COUNTED} for what is not counted" if left_out else ""
            raise SeqrlError(
                f"{name} holds {int(tokens[wrong][0])}; tokens go from 0 to {end - 1}, with {end} "
                f"for the end{more}. Every dimension counts its bins from 0."
            )

    def _start(self, trajectories: Tensor, past: Past | None) -> int:
        """Return where the tokens begin; refuse inputs that cannot be read."""
        need_shape("trajectories", trajectories, (None, None))
        rows, size = trajectories.shape
        if not trajectories.numel():
            raise SeqrlError(f"trajectories is of shape {[rows, size]}; give one token or more.")
        self._check_tokens(trajectories, "trajectories")
        start = length_of(past, self.transformer.network, rows)
        if start + size > self.config.block_size:
            before = f" after {start} of the past" if start else ""
            raise SeqrlError(
                f"trajectories has {size} tokens{before}, and the model has room for "
                f"{self.config.block_size} (block_size). Give the last whole steps only, without a "
                "past."
            )
        return start

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


def _shown(tensors: Mapping[str, Tensor], file: Path) -> dict[str, int]:
    """Read the sizes of a model off the authors' tensors."""
    sizes = {}
    for size, (name, dimension) in SHOWN_BY.items():
        if name not in tensors or tensors[name].ndim <= dimension:
            raise DataError(
                f"{file} is not a state dict of the authors' Trajectory Transformer: it has no "
                f"tensor {name} that shows {size}. Models of `transformers` are read by "
                "from_pretrained, from their folder."
            )
        sizes[size] = tensors[name].shape[dimension]
    layers = [re.match(r"blocks\.(\d+)\.", name) for name in tensors]
    count = len({found.group(1) for found in layers if found})
    return sizes | {"n_layer": count, "vocab_size": sizes["vocab_size"] - 1}
