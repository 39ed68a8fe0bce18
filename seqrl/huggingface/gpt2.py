"""The inner model of the published Decision Transformer: a GPT-2 stack over embedded tokens.

Letters: B batch, S tokens of this call, P tokens in the cache before them, D width, V names in the
table of tokens.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from seqrl.errors import SeqrlError
from seqrl.huggingface.checkpoint import Stored
from seqrl.huggingface.decision_transformer_config import DecisionTransformerConfig
from seqrl.huggingface.model import PublishedModel
from seqrl.huggingface.output import Output
from seqrl.nets.dropout import dropped
from seqrl.nets.transformer import INIT_STD, Block, Cache, Trace, Transformer, causal

BLOCKS = {
    "attention_norm": Stored("ln_1"),
    "attention.qkv": Stored("attn.c_attn", turned=True),
    "attention.out": Stored("attn.c_proj", turned=True),
    "inner_norm": Stored("ln_2"),
    "inner_in": Stored("mlp.c_fc", turned=True),
    "inner_out": Stored("mlp.c_proj", turned=True),
}
"""How what is in our blocks stands in published files."""


@dataclass(eq=False)
class GPT2Output(Output):
    """What `DecisionTransformerGPT2Model` returns."""

    last_hidden_state: Tensor | None = None
    """[B, S, D], after the final LayerNorm."""

    past_key_values: Cache | None = None
    """All tokens so far, to continue with."""

    hidden_states: tuple[Tensor, ...] | None = None
    """What enters the first block, what leaves each; the last one after the final LayerNorm."""

    attentions: tuple[Tensor, ...] | None = None
    """Attention weights of each block [B, heads, S, P + S]."""

    cross_attentions: tuple[Tensor, ...] | None = None
    """Empty, where attention weights are asked for: there are no such layers."""


class DecisionTransformerGPT2Model(PublishedModel):
    """Blocks over embedded tokens, or over the names of tokens."""

    config_class = DecisionTransformerConfig
    stored: ClassVar[Mapping[str, Stored]] = {
        "transformer.norm": Stored("ln_f"),
        **{f"transformer.blocks.{{}}.{name}": rule.below("h.{}") for name, rule in BLOCKS.items()},
    }
    ignored = (".attn.bias", ".attn.masked_bias")

    def __init__(self, config: DecisionTransformerConfig) -> None:
        """Make one with new weights, drawn from PyTorch's global generator."""
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.hidden_size)
        self.wpe = nn.Embedding(config.n_positions, config.hidden_size)
        self.transformer = Transformer(
            config.network(),
            torch.default_generator,
            attention_dropout=config.attn_pdrop,
            upcast_attention=config.reorder_and_upcast_attn,
        )
        draw([self.wte, self.wpe], config)
        for block in self.transformer.blocks:
            assert isinstance(block, Block)
            for linear in (block.attention.out, block.inner_out):
                linear.weight.data.mul_(config.initializer_range / INIT_STD)

    def forward(
        self,
        input_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        cache_position: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> GPT2Output | tuple[Any, ...]:
        """Map tokens, named by `input_ids` [B, S] or embedded already [B, S, D], to their outputs.

        `past_key_values` is the `seqrl.nets.attention.Cache` that an earlier call returned; it is
        taken further, and holds constants: no gradients reach the earlier call. `attention_mask`
        [B, P + S] is 0 where nobody may look. A token that may look at nothing gets nothing from
        attention. `position_ids` [1 or B, S] count on from the cache if they are not given; without
        mask and cache, another sequence begins wherever they do not count on, and does not see
        those before it. `token_type_ids` [B, S] name further rows of the token table, to be added.
        `head_mask` and the two `encoder` arguments are refused.
        """
        refuse_cross_attention(head_mask, encoder_hidden_states, encoder_attention_mask)
        embedded = self._embedded(input_ids, inputs_embeds)  # [B, S, D]
        rows, size = embedded.shape[:2]
        keep = self.said("use_cache", use_cache)
        cache = _continued(past_key_values, self.config, rows)
        if cache is None and keep:
            cache = Cache.beside(self.config.network(), embedded, size)
        past = 0 if cache is None else cache.length
        if cache is not None:
            cache.make_room(size)
        _check_count(cache_position, past, size)
        if position_ids is None:
            position_ids = torch.arange(past, past + size, device=embedded.device)
        positions = position_ids.reshape(-1, size)
        x = embedded + looked_up(self.wpe, positions, "position_ids")
        if token_type_ids is not None:
            x = x + looked_up(self.wte, token_type_ids.reshape(-1, size), "token_type_ids")
        if self.training:
            x = dropped(x, self.config.embd_pdrop)
        hidden = self.said("output_hidden_states", output_hidden_states)
        weights = self.said("output_attentions", output_attentions)
        trace = Trace() if hidden or weights else None
        visible = _visible(attention_mask, rows, past + size).to(x.device)
        if attention_mask is None and cache is None:
            visible = visible & _of_one_sequence(positions)
        out = self.transformer(x, visible, cache, trace=trace)  # [B, S, D]
        outputs = GPT2Output(out, cache if keep else None)
        if trace is not None and hidden:
            outputs.hidden_states = (*trace.hidden[:-1], out)
        if trace is not None and weights:
            outputs.attentions, outputs.cross_attentions = tuple(trace.weights), ()
        return outputs if self.said("return_dict", return_dict) else outputs.to_tuple()

    def _embedded(self, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
        if (input_ids is None) == (inputs_embeds is None):
            both = "neither" if input_ids is None else "both"
            raise SeqrlError(
                f"Of input_ids and inputs_embeds, {both} is given; exactly one is needed: names of "
                "tokens [B, S], or embedded tokens [B, S, D]."
            )
        if input_ids is not None:
            return looked_up(self.wte, input_ids.reshape(-1, input_ids.shape[-1]), "input_ids")
        assert inputs_embeds is not None
        need_shape("inputs_embeds", inputs_embeds, (None, None, self.config.hidden_size))
        return inputs_embeds


def draw(modules: Iterable[nn.Module], config: DecisionTransformerConfig) -> None:
    """Draw the weights of tables and linear maps anew, as the published classes do."""
    for module in modules:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=config.initializer_range or INIT_STD)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def looked_up(table: nn.Embedding, rows: Tensor, name: str) -> Tensor:
    """Take rows of a table. On a GPU, only the GPU itself notices one that is not there."""
    if rows.dtype not in (torch.int32, torch.int64):
        raise SeqrlError(f"{name} is of {rows.dtype}; it must be whole numbers: give torch.long.")
    if rows.device.type == "cpu" and rows.numel():
        lowest, highest = int(rows.min()), int(rows.max())
        if lowest < 0 or highest >= table.num_embeddings:
            raise SeqrlError(
                f"{name} holds {lowest if lowest < 0 else highest}; the model has a table from 0 "
                f"to {table.num_embeddings - 1} for it. Give fewer or shorter inputs, or make the "
                "model with a larger table."
            )
    found: Tensor = table(rows)
    return found


def need_tensor(name: str, given: object) -> None:
    """Refuse what is no tensor."""
    if not isinstance(given, Tensor):
        raise SeqrlError(
            f"{name} is a {type(given).__name__}; it must be a torch.Tensor. Of an array of numpy "
            "torch.from_numpy makes one."
        )


def need_shape(name: str, tensor: Tensor, shape: tuple[int | None, ...]) -> None:
    """Refuse what is no tensor, or one of another shape; None stands for any number."""
    need_tensor(name, tensor)
    fits = [want in (None, have) for want, have in zip(shape, tensor.shape, strict=False)]
    if tensor.ndim != len(shape) or not all(fits):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise SeqrlError(f"{name} is of shape {list(tensor.shape)}; it must be [{wanted}].")


def refuse_cross_attention(*given: Tensor | None) -> None:
    """Refuse head masks and another sequence to attend to."""
    names = ("head_mask", "encoder_hidden_states", "encoder_attention_mask")
    for name, tensor in zip(names, given, strict=True):
        if tensor is not None:
            raise SeqrlError(
                f"{name} is given, and has no effect in a Decision Transformer: there are no "
                "masks for heads, and no layers that attend to another sequence. Leave it out."
            )


def _continued(cache: Any, config: DecisionTransformerConfig, rows: int) -> Cache | None:
    """Check what an earlier call returned."""
    if cache is None:
        return None
    if not isinstance(cache, Cache):
        raise SeqrlError(
            f"past_key_values is a {type(cache).__name__}; it must be what an earlier call of this "
            "model returned as past_key_values, a seqrl.nets.attention.Cache."
        )
    layers, held, heads, _, width = cache.keys.shape
    network = config.network()
    if (layers, held, heads, width) != (network.layers, rows, network.heads, network.head_width):
        raise SeqrlError(
            f"past_key_values is of {layers} layers, {held} rows and {heads} heads of width "
            f"{width}; this call has {network.layers} layers, {rows} rows and {network.heads} "
            f"heads of width {network.head_width}. Give the cache of the same model and rows."
        )
    return cache


def _check_count(cache_position: Tensor | None, past: int, size: int) -> None:
    if cache_position is None:
        return
    if cache_position.flatten().tolist() != list(range(past, past + size)):
        raise SeqrlError(
            f"cache_position is {cache_position.tolist()}; with {past} tokens in the cache it must "
            f"count from {past} to {past + size - 1}. Leaving it out means the same."
        )


def _visible(mask: Tensor | None, rows: int, size: int) -> Tensor:
    """Say who may look at whom, [B, P + S, P + S], or without B where there is no mask."""
    if mask is None:
        return causal(size)
    need_shape("attention_mask", mask, (rows, size))
    return causal(size, mask == 0)


def _of_one_sequence(positions: Tensor) -> Tensor:
    """Say which tokens belong together [1 or B, S, S]: positions count on within a sequence."""
    jumps = positions.diff(prepend=positions[:, :1] - 1) != 1
    number = jumps.cumsum(1)
    return number[:, :, None] == number[:, None, :]
