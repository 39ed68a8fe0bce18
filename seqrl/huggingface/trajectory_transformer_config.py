"""The published Trajectory Transformer's configuration. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from seqrl.huggingface.config import LAYERS, SIZE, Config


@dataclass(init=False, kw_only=True)
class TrajectoryTransformerConfig(Config):
    """The documented fields and defaults: the authors' model for HalfCheetah."""

    model_type: ClassVar[str] = "trajectory_transformer"
    aliases: ClassVar[Mapping[str, str]] = {
        "hidden_size": "n_embd",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }
    sizes: ClassVar[Mapping[str, int]] = {
        **dict.fromkeys(("vocab_size", "block_size", "n_head", "n_embd"), SIZE),
        **dict.fromkeys(("observation_dim", "action_dim", "transition_dim"), SIZE),
        "n_layer": LAYERS,
    }
    shares: ClassVar[tuple[str, ...]] = ("embd_pdrop", "attn_pdrop", "resid_pdrop")

    vocab_size: int = 100
    """Tokens that each dimension has. The number after the last is the end token."""

    action_weight: float = 5
    """What the loss of an action's token is multiplied by; an observation's always counts 1."""

    reward_weight: float = 1
    """What the loss of a reward's token is multiplied by."""

    value_weight: float = 1
    """What the loss of a value's token is multiplied by."""

    block_size: int = 249
    """The most tokens of one sequence."""

    action_dim: int = 6
    """Tokens of an action."""

    observation_dim: int = 17
    """Tokens of an observation."""

    transition_dim: int = 25
    """Tokens of a step: observation, action, reward and value. Each has a table and a head."""

    n_layer: int = 4
    """Blocks."""

    n_head: int = 4
    """Attention heads of each block; they share the width equally."""

    n_embd: int = 128
    """Numbers that stand for one token."""

    embd_pdrop: float = 0.1
    """Share of the embeddings dropped in training."""

    attn_pdrop: float = 0.1
    """Share of the attention weights dropped in training."""

    resid_pdrop: float = 0.1
    """Share dropped in training of what each half of a block adds."""

    learning_rate: float = 6e-4
    """The authors', for whoever trains; the model does not read it."""

    max_position_embeddings: int = 512
    """Documented, but `block_size` is what counts; the model does not read it."""

    initializer_range: float = 0.02
    """Spread of the embeddings and of the blocks' matrices at the start."""

    layer_norm_eps: float = 1e-12
    """Documented, but every LayerNorm adds 1e-5, as published; the model does not read it."""

    kaiming_initializer_range: float = 1
    """The heads start uniform between plus and minus sqrt(6 / ((1 + 5 / this²) n_embd))."""

    use_cache: bool = True
    """Documented, but a past is returned only if the call asks for it, as published."""

    pad_token_id: int | None = 1
    """The model does not read it."""

    bos_token_id: int | None = 50256
    """The model does not read it."""

    eos_token_id: int | None = 50256
    """The model does not read it; its end token is `vocab_size`."""

    def check(self) -> None:
        """Refuse what no model can be made of."""
        super().check()
        if self.n_embd % self.n_head:
            raise self.refused("n_head", f"a divisor of n_embd, {self.n_embd}")
        for name in ("initializer_range", "kaiming_initializer_range"):
            if getattr(self, name) < 0:
                raise self.refused(name, "0 or more")
        if self.kaiming_initializer_range == 0:
            raise self.refused("kaiming_initializer_range", "above 0")
