"""Network: the numbers and names that describe one transformer. Plain data, imports no torch.

It holds all that the published sequence models differ in, and nothing about what their tokens mean.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from seqrl.errors import SeqrlError

Activation = Literal["relu", "gelu", "gelu_new", "silu", "tanh"]
AttentionScale = Literal["head", "layer", "head and layer", "none"]
Init = Literal["mingpt", "dt", "gpt2"]


@dataclass(frozen=True, kw_only=True)
class Network:
    """One causal transformer: pre-norm blocks with biases, and a LayerNorm at the end."""

    layers: int
    """Blocks, one after the other."""

    heads: int
    """Attention heads of each block; they share the width equally."""

    width: int
    """Numbers that stand for one token."""

    inner: int | None = None
    """Width of the hidden layer after each attention; None is four times the width."""

    dropout: float = 0.1
    """Share dropped while training, in three places: the embeddings (by whoever embeds), the
    attention weights, and what each half of a block adds."""

    activation: Activation = "gelu"
    """`gelu` is exact (Trajectory Transformer), `gelu_new` its tanh formula (GPT-2), `relu` is the
    Decision Transformer's."""

    normalise_embeddings: bool = False
    """A LayerNorm over the embedded tokens before the first block; belongs to whoever embeds."""

    norm_eps: float = 1e-5
    """Added to the variance in every LayerNorm."""

    attention_scale: AttentionScale = "head"
    """What scores are divided by: the root of the head width, the layer's number counted from 1,
    both, or nothing. The last three are GPT-2's `scale_attn_by_inverse_layer_idx` and
    `scale_attn_weights=False`."""

    init: Init = "mingpt"
    """Where the weights start. Blocks: normal(0, 0.02), biases zero; `gpt2` divides the spread of
    the two projections back into the residual by sqrt(2 layers), as GPT-2's paper has it and
    `transformers` does. What surrounds the blocks belongs to others: with `mingpt` and `gpt2` it
    starts like the blocks, with `dt` as PyTorch makes it. (The Decision Transformer's authors
    initialise only the blocks, and do not rescale, although they build on GPT-2.)"""

    def __post_init__(self) -> None:
        """Refuse what no transformer can be made of."""
        for name in ("layers", "heads", "width", *(["inner"] if self.inner is not None else [])):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise _refused(name, value, "a whole number from 1", f"Set {name} to 1 or more")
        if self.width % self.heads:
            divisors = [n for n in range(1, self.width + 1) if self.width % n == 0]
            raise _refused(
                "heads",
                self.heads,
                f"a divisor of the width {self.width}, so that the heads share it equally",
                f"Set heads to one of {', '.join(map(str, divisors))}, or change the width",
            )
        if not 0 <= self.dropout < 1:
            raise _refused("dropout", self.dropout, "a share from 0 to below 1", "0 drops nothing")
        if not 0 < self.norm_eps < math.inf:
            raise _refused("norm_eps", self.norm_eps, "above 0", "The usual value is 1e-5")
        for name, names in _NAMES.items():
            value = getattr(self, name)
            if value not in names:
                allowed = f"one of {', '.join(map(repr, names))}"
                raise _refused(name, value, allowed, "Take the published model's, or the default")

    @property
    def head_width(self) -> int:
        """Numbers that one head works on."""
        return self.width // self.heads

    @property
    def inner_width(self) -> int:
        """Width of the hidden layer, with the default filled in."""
        return 4 * self.width if self.inner is None else self.inner


_NAMES: dict[str, tuple[str, ...]] = {
    "activation": get_args(Activation),
    "attention_scale": get_args(AttentionScale),
    "init": get_args(Init),
}


def _refused(name: str, got: Any, allowed: str, way_out: str) -> SeqrlError:
    return SeqrlError(f"Network: {name} is {got!r}; it must be {allowed}. {way_out}.")
