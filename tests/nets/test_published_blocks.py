"""The blocks against `transformers`' GPT-2 stack as its Decision Transformer uses it."""

import math
import random
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DecisionTransformerConfig
from transformers.models.decision_transformer.modeling_decision_transformer import (
    DecisionTransformerGPT2Model,
)

from seqrl.huggingface.gpt2 import BLOCKS
from seqrl.nets.transformer import Network, Trace, Transformer, causal
from tests.nets.making import generator, tokens

SCALES = {
    "head": (True, False),
    "head and layer": (True, True),
    "layer": (False, True),
    "none": (False, False),
}
ACTIVATIONS = ("relu", "gelu", "gelu_new", "silu", "tanh")


def _drawn(case: int) -> tuple[Network, Any]:
    """Draw one setting, for both sides; without dropout, so training or not is one."""
    draw = random.Random(case)
    heads = draw.choice((1, 2, 3, 4))
    shape: dict[str, Any] = {
        "layers": draw.randint(1, 4),
        "heads": heads,
        "width": heads * draw.choice((2, 4, 7, 16)),
        "inner": draw.choice((None, 5, 32)),
    }
    scale = list(SCALES)[case % 4]
    eps = draw.choice((1e-5, 1e-3, 1e-12))
    activation = ACTIVATIONS[case % 5]
    config = DecisionTransformerConfig(
        hidden_size=shape["width"],
        n_layer=shape["layers"],
        n_head=heads,
        n_inner=shape["inner"],
        activation_function=activation,
        layer_norm_epsilon=eps,
        scale_attn_weights=SCALES[scale][0],
        scale_attn_by_inverse_layer_idx=SCALES[scale][1],
        n_positions=32,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    config._attn_implementation = draw.choice(("eager", "sdpa"))
    ours: dict[str, Any] = {"activation": activation, "attention_scale": scale, "norm_eps": eps}
    return Network(**shape, **ours, dropout=0.0), config


def _copy(theirs: torch.nn.Module, ours: Transformer) -> dict[str, str]:
    """Give both one set of random weights; theirs stand the other way round. Return the names."""
    pairs = {"ln_f": "norm"}
    for layer in range(ours.network.layers):
        for name, rule in BLOCKS.items():
            pairs[f"h.{layer}.{rule.names[0]}"] = f"blocks.{layer}.{name}"
    with torch.no_grad():
        theirs.get_parameter("wpe.weight").zero_()  # positions are the embedding's affair
        for index, (a, b) in enumerate(pairs.items()):
            for kind in ("weight", "bias"):
                source = theirs.get_parameter(f"{a}.{kind}")
                source.normal_(std=0.3, generator=generator(index))
                ours.get_parameter(f"{b}.{kind}").copy_(source.T if source.ndim == 2 else source)
    return pairs


def _masks(rows: int, size: int, case: int) -> Tensor:
    """Real tokens [B, S]: filled before, filled after, or with holes."""
    real = torch.ones(rows, size, dtype=torch.bool)
    for row in range(rows):
        gap = random.Random(100 * case + row).randint(0, size - 1)
        if case % 3 == 0:
            real[row, :gap] = False
        elif case % 3 == 1:
            real[row, size - gap :] = False
        else:
            real[row, gap] = size == 1
    return real


@pytest.mark.parametrize("case", range(40))
def test_equal_to_the_published_blocks(case: int) -> None:
    """A published checkpoint must mean here what it means there; also while training it on."""
    network, config = _drawn(case)
    theirs = DecisionTransformerGPT2Model(config)
    ours = Transformer(network, generator())
    pairs = _copy(theirs, ours)
    rows, size = 1 + case % 3, 1 + case % 11
    real = _masks(rows, size, case)
    x, weights = tokens(rows, size, network.width), tokens(rows, size, network.width, seed=2)
    visible = causal(size, ~real)

    # Where their mask is 0 they let a token see what comes later: only the others are compared.
    expected = theirs(inputs_embeds=x, attention_mask=real.long()).last_hidden_state
    torch.testing.assert_close(ours(x, visible)[real], expected[real], atol=1e-5, rtol=1e-5)

    theirs.double()
    ours.double()
    a, b = (x.double().requires_grad_() for _ in range(2))
    theirs_out = theirs(inputs_embeds=a, attention_mask=real.long()).last_hidden_state
    for output in (theirs_out, ours(b, visible)):
        (output * weights)[real].sum().backward()
    assert a.grad is not None and b.grad is not None
    torch.testing.assert_close(b.grad, a.grad, atol=1e-9, rtol=1e-9)
    for theirs_name, ours_name in pairs.items():
        want = theirs.get_parameter(f"{theirs_name}.weight").grad
        have = ours.get_parameter(f"{ours_name}.weight").grad
        assert want is not None and have is not None
        torch.testing.assert_close(have, want.T if want.ndim == 2 else want, atol=1e-9, rtol=1e-9)


def test_traces_what_the_published_blocks_show() -> None:
    """The published classes give hidden states and attention weights on demand."""
    network, config = _drawn(8)
    config._attn_implementation = "eager"
    theirs = DecisionTransformerGPT2Model(config)
    ours = Transformer(network, generator())
    _copy(theirs, ours)
    x = tokens(2, 6, network.width)
    shown = theirs(inputs_embeds=x, output_hidden_states=True, output_attentions=True)
    trace = Trace()
    out = ours(x, causal(6), trace=trace)
    assert len(trace.weights) == network.layers == len(trace.hidden) - 1
    for have, want in zip(trace.weights, shown.attentions, strict=True):
        torch.testing.assert_close(have, want, atol=1e-5, rtol=1e-5)
    for have, want in zip([*trace.hidden[:-1], out], shown.hidden_states, strict=True):
        torch.testing.assert_close(have, want, atol=1e-5, rtol=1e-5)


def test_gpt2_start_is_the_published_one() -> None:
    """The spread of every matrix at the start, theirs beside ours."""
    network = Network(layers=6, heads=2, width=64, init="gpt2")
    config = DecisionTransformerConfig(hidden_size=64, n_layer=6, n_head=2)
    torch.manual_seed(0)
    theirs, ours = DecisionTransformerGPT2Model(config), Transformer(network, generator())
    for theirs_name, ours_name in {
        "attn.c_attn": "attention.qkv",
        "attn.c_proj": "attention.out",
        "mlp.c_fc": "inner_in",
        "mlp.c_proj": "inner_out",
    }.items():
        spread = 0.02 / math.sqrt(12) if "c_proj" in theirs_name else 0.02
        for layer in range(6):
            for side in (
                theirs.get_parameter(f"h.{layer}.{theirs_name}.weight"),
                ours.get_parameter(f"blocks.{layer}.{ours_name}.weight"),
            ):
                assert side.std().item() == pytest.approx(spread, rel=0.06)
