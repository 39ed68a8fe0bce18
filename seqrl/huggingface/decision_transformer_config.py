"""The configuration of the Decision Transformer classes, with its documented fields and defaults.

Imports no torch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, get_args

from seqrl.errors import SeqrlError
from seqrl.huggingface.config import LAYERS, SIZE, Config
from seqrl.nets.network import Activation, AttentionScale, Network


@dataclass(init=False, kw_only=True)
class DecisionTransformerConfig(Config):
    """What a Decision Transformer is made of."""

    model_type = "decision_transformer"
    aliases: ClassVar[Mapping[str, str]] = {
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }
    sizes: ClassVar[Mapping[str, int]] = {
        "state_dim": SIZE,
        "act_dim": SIZE,
        "hidden_size": SIZE,
        "max_ep_len": SIZE,
        "vocab_size": SIZE,
        "n_positions": SIZE,
        "n_layer": LAYERS,
        "n_head": SIZE,
        "n_inner": SIZE,
        "max_length": SIZE,
    }
    shares = ("resid_pdrop", "embd_pdrop", "attn_pdrop")

    state_dim: int = 17
    """Numbers in a state."""

    act_dim: int = 4
    """Numbers in an action."""

    hidden_size: int = 128
    """Numbers that stand for one token."""

    max_ep_len: int = 4096
    """Steps that the longest episode may have."""

    action_tanh: bool = True
    """Press predicted actions between -1 and 1."""

    vocab_size: int = 1
    """Rows of the table for `input_ids`; trajectories do not use it."""

    n_positions: int = 1024
    """Rows of the table of token positions; trajectories use only the first row."""

    n_layer: int = 3
    """Blocks."""

    n_head: int = 1
    """Attention heads of each block; they share `hidden_size` equally."""

    n_inner: int | None = None
    """Width of the hidden layer after each attention; None is four times `hidden_size`."""

    activation_function: str = "relu"
    """What the hidden layer applies: relu, gelu, gelu_new, silu or tanh."""

    resid_pdrop: float = 0.1
    """Share dropped of what each half of a block adds."""

    embd_pdrop: float = 0.1
    """Share dropped of the embeddings."""

    attn_pdrop: float = 0.1
    """Share dropped of the attention weights."""

    layer_norm_epsilon: float = 1e-5
    """Added to the variance in the blocks' LayerNorms; that of the embeddings has 1e-5."""

    initializer_range: float = 0.02
    """Spread of the weights at the start, within the blocks only of the two projections back into
    the residual, divided by sqrt(2 n_layer); 0 counts as 0.02 outside the blocks."""

    scale_attn_weights: bool = True
    """Divide scores by the root of the head width."""

    use_cache: bool = True
    """Return keys and values to continue with; of the inner model only."""

    bos_token_id: int | None = 50256
    """Kept, and without effect here."""

    eos_token_id: int | tuple[int, ...] | None = 50256
    """Kept, and without effect here."""

    scale_attn_by_inverse_layer_idx: bool = False
    """Also divide scores by the layer's number, counted from 1."""

    reorder_and_upcast_attn: bool = False
    """Compare queries and keys in float32, whatever else is computed in."""

    add_cross_attention: bool = False
    """Must be False: there is nothing to attend to but the trajectory itself."""

    max_length: int | None = 20
    """Steps that `get_action` looks back on; None: all. 20 as until release 4 of `transformers`."""

    def check(self) -> None:
        """Refuse what no model can be made of."""
        super().check()
        if self.add_cross_attention:
            raise SeqrlError(
                "DecisionTransformerConfig: add_cross_attention is True; layers that attend to "
                "another sequence are not here, and no Decision Transformer has them. Leave it "
                "False."
            )
        if self.hidden_size % self.n_head:
            raise self.refused("n_head", f"a divisor of hidden_size, {self.hidden_size}")
        if self.activation_function not in get_args(Activation):
            names = ", ".join(get_args(Activation))
            raise self.refused("activation_function", f"one of {names}")
        if not 0 < self.layer_norm_epsilon < math.inf:
            raise self.refused("layer_norm_epsilon", "above 0")
        if not 0 <= self.initializer_range < math.inf:
            raise self.refused("initializer_range", "0 or above")

    def network(self) -> Network:
        """Describe the blocks."""
        scales: dict[tuple[bool, bool], AttentionScale] = {
            (True, False): "head",
            (True, True): "head and layer",
            (False, True): "layer",
            (False, False): "none",
        }
        return Network(
            layers=self.n_layer,
            heads=self.n_head,
            width=self.hidden_size,
            inner=self.n_inner,
            dropout=self.resid_pdrop,
            activation=self.activation_function,  # type: ignore[arg-type]  # checked above
            norm_eps=self.layer_norm_epsilon,
            attention_scale=scales[self.scale_attn_weights, self.scale_attn_by_inverse_layer_idx],
            init="gpt2",
        )
