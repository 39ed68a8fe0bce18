"""Pairs of models, the published one and ours, of one configuration and with the same weights."""

import random
from typing import Any

import torch
from torch import Tensor
from transformers import DecisionTransformerConfig as TheirConfig
from transformers import DecisionTransformerModel as TheirModel
from transformers.models.decision_transformer.modeling_decision_transformer import (
    DecisionTransformerGPT2Model as TheirGPT2Model,
)

from seqrl.huggingface import DecisionTransformerConfig
from seqrl.huggingface import DecisionTransformerGPT2Model as OurGPT2Model
from seqrl.huggingface import DecisionTransformerModel as OurModel
from seqrl.huggingface.output import Output

ACTIVATIONS = ("relu", "gelu", "gelu_new", "silu", "tanh")
MASKS = ("none", "all", "before", "after", "holes")


def fields(case: int) -> dict[str, Any]:
    """Draw a configuration; without dropout, so that training and playing are the same."""
    draw = random.Random(case)
    heads = draw.choice((1, 2, 3, 4))
    return {
        "state_dim": draw.randint(1, 9),
        "act_dim": draw.randint(1, 5),
        "hidden_size": heads * draw.choice((2, 4, 7, 16)),
        "max_ep_len": draw.randint(1, 40),
        "action_tanh": draw.random() < 0.5,
        "vocab_size": draw.randint(1, 6),
        "n_positions": draw.randint(12, 40),
        "n_layer": draw.randint(1, 4),
        "n_head": heads,
        "n_inner": draw.choice((None, 5, 32)),
        "activation_function": ACTIVATIONS[case % 5],
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "layer_norm_epsilon": draw.choice((1e-5, 1e-3, 1e-12)),
        "scale_attn_weights": case % 4 < 2,
        "scale_attn_by_inverse_layer_idx": case % 2 == 1,
        "reorder_and_upcast_attn": draw.random() < 0.5,
        "bos_token_id": None,  # else theirs warns that it is beyond the vocabulary
        "eos_token_id": None,
    }


def _pair(case: int, kind: type, ours: Any, **changes: Any) -> tuple[Any, Any]:
    given = fields(case) | changes
    theirs = kind(TheirConfig(**given)).eval()
    generator = torch.Generator().manual_seed(case)
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.normal_(std=0.3, generator=generator)
    config = DecisionTransformerConfig(**given)
    return theirs, ours.of_tensors(config, theirs.state_dict(), "theirs")


def pair(case: int, **changes: Any) -> tuple[Any, OurModel]:
    """Make both Decision Transformers."""
    return _pair(case, TheirModel, OurModel, **changes)


def inner_pair(case: int, **changes: Any) -> tuple[Any, OurGPT2Model]:
    """Make both inner models."""
    return _pair(case, TheirGPT2Model, OurGPT2Model, **changes)


def inputs(config: Any, rows: int, steps: int, seed: int = 0) -> dict[str, Tensor]:
    """Draw a batch of episodes' pieces."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "states": torch.randn(rows, steps, config.state_dim, generator=generator),
        "actions": torch.randn(rows, steps, config.act_dim, generator=generator),
        "rewards": torch.randn(rows, steps, 1, generator=generator),
        "returns_to_go": torch.randn(rows, steps, 1, generator=generator),
        "timesteps": torch.randint(0, config.max_ep_len, (rows, steps), generator=generator),
    }


def mask(kind: str, rows: int, steps: int, seed: int) -> Tensor | None:
    """Say which steps are real [B, T]; the last row always has one that is."""
    if kind == "none":
        return None
    real = torch.ones(rows, steps, dtype=torch.long)
    draw = random.Random(f"{kind} {seed}")
    for row in range(rows):
        gap = draw.randint(0, steps - 1)
        if kind == "before":
            real[row, :gap] = 0
        elif kind == "after":
            real[row, steps - gap :] = 0
        elif kind == "holes":
            real[row, [t for t in range(steps - 1) if draw.random() < 0.4]] = 0
    return real


def assert_equal_where_real(ours: Output, theirs: Any, real: Tensor | None) -> None:
    """Compare every output, in the same order, where the mask is 1."""
    assert list(ours) == list(theirs)
    for name in ours:
        have, want = (
            (values if isinstance(values, tuple) else (values,))
            for values in (ours[name], theirs[name])
        )
        assert len(have) == len(want), name
        for a, b in zip(have, want, strict=True):
            assert a.shape == b.shape, name
            if real is None:
                torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
                continue
            size = a.shape[2] if name == "attentions" else a.shape[1]
            rows = real.repeat_interleave(size // real.shape[1], 1) > 0  # steps or tokens
            if name == "attentions":
                a, b = a.transpose(1, 2), b.transpose(1, 2)  # [B, S, h, S]
            torch.testing.assert_close(a[rows], b[rows], atol=1e-5, rtol=1e-5)
