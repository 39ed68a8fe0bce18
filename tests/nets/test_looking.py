"""Attention weights against a slow obvious version, for every layout."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seqrl.nets.looking import attention
from seqrl.nets.network import AttentionScale
from seqrl.nets.token_model import TokenModel
from seqrl.tokens.layout import TokenLayout
from tests.nets.test_token_model import LAYOUTS, model_of, slots_of, windows_of
from tests.tokens.test_tokenizer import BINS


def slow(model: TokenModel, x: Tensor) -> Tensor:
    """Head by head and token by token, key after key [L, h, N, N], of one window x [N, D]."""
    hidden = [not slot.part.attended for slot, _ in slots_of(model)]
    network, get, found = model.network, model.transformer.get_parameter, []

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], get(f"{name}.weight"), get(f"{name}.bias"))

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ get(f"{name}.weight").T + get(f"{name}.bias")

    for layer in range(network.layers):
        here = f"blocks.{layer}"
        parts = linear(norm(x, f"{here}.attention_norm"), f"{here}.attention.qkv").chunk(3, -1)
        divisor = 1.0
        if network.attention_scale in ("head", "head and layer"):
            divisor *= math.sqrt(network.head_width)
        if network.attention_scale in ("layer", "head and layer"):
            divisor *= layer + 1
        weights = torch.zeros(network.heads, len(x), len(x), dtype=x.dtype)
        mixed = torch.zeros_like(x)
        for head in range(network.heads):
            own = slice(head * network.head_width, (head + 1) * network.head_width)
            q, k, v = (part[:, own] for part in parts)
            for token in range(len(x)):
                seen = [key for key in range(token + 1) if not hidden[key]]
                if not seen:
                    continue
                scores = torch.stack([(q[token] * k[key]).sum() / divisor for key in seen])
                weights[head, token, seen] = scores.exp() / scores.exp().sum()
            mixed[:, own] = weights[head] @ v
        found.append(weights)
        x = x + linear(mixed, f"{here}.attention.out")
        inner = F.gelu(linear(norm(x, f"{here}.inner_norm"), f"{here}.inner_in"))
        x = x + linear(inner, f"{here}.inner_out")
    return torch.stack(found)


def lively(layout: TokenLayout, scale: AttentionScale = "head") -> TokenModel:
    """Give it weights with which attention matters."""
    model = model_of(layout, attention_scale=scale)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.transformer.parameters():
            weight.normal_(std=0.4, generator=generator)
    return model


def compared(model: TokenModel, layout: TokenLayout) -> Tensor:
    """Compare three windows alone and averaged; the average."""
    batch = windows_of(layout)
    values = {name: value[:3] for name, value in batch.values.items()}
    steps = batch.steps[:3]
    with torch.no_grad():
        expected = torch.stack([slow(model, x) for x in model.embed(values, steps)]).mean(0)
    found = attention(model, values, steps)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    return found


@LAYOUTS
def test_equal_to_the_slow_version(layout: TokenLayout) -> None:
    """A picture of other weights than the network applies is a picture of nothing."""
    model = lively(layout)
    found, slots = compared(model, layout), slots_of(model)
    assert found.shape == (2, 2, len(slots), len(slots)) and found.dtype == torch.float64
    assert not found.triu(1).any(), "a later token was looked at"
    hidden = torch.tensor([not slot.part.attended for slot, _ in slots])
    assert not found[..., hidden].any(), "a hidden token was looked at"
    torch.testing.assert_close(found.sum(-1), torch.ones_like(found.sum(-1)))


@pytest.mark.parametrize("scale", ["layer", "head and layer", "none"])
def test_published_scales(scale: AttentionScale) -> None:
    """Weights under another scale look plausible and are wrong."""
    compared(lively(BINS, scale), BINS)


def test_looking_leaves_the_model_alone() -> None:
    """Who is watched must play on as before."""
    model, batch = lively(BINS), windows_of(BINS)
    before = model(batch.values, batch.steps)
    attention(model, batch.values, batch.steps)
    for name, out in model(batch.values, batch.steps).items():
        assert torch.equal(out, before[name])
