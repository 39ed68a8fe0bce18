"""The inner model of the Decision Transformer against the published class."""

import random
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from seqrl.errors import SeqrlError
from seqrl.huggingface.gpt2 import DecisionTransformerGPT2Model
from seqrl.nets.attention import Cache
from tests.huggingface.making import MASKS, assert_equal_where_real, inner_pair, mask


def _given(ours: DecisionTransformerGPT2Model, case: int, rows: int, size: int) -> dict[str, Any]:
    """Draw arguments; every combination of the optional ones comes up."""
    generator = torch.Generator().manual_seed(case)
    config = ours.config

    def names(high: int, *shape: int) -> Tensor:
        return torch.randint(0, high, shape, generator=generator)

    given: dict[str, Any] = {"input_ids": names(config.vocab_size, rows, size)}
    if case % 2:
        embedded = torch.randn(rows, size, config.hidden_size, generator=generator)
        given = {"inputs_embeds": embedded}
    if case % 3 == 0:
        given["token_type_ids"] = names(config.vocab_size, rows, size)
    if case % 4 > 1:
        given["position_ids"] = names(config.n_positions, rows if case % 4 == 2 else 1, size)
    return given


@pytest.mark.parametrize("case", range(24))
def test_equal_to_the_published_class(case: int) -> None:
    """All documented arguments that a Decision Transformer has, with every mask."""
    theirs, ours = inner_pair(case)
    rows, size = 1 + case % 3, 1 + case % 9
    given = _given(ours, case, rows, size)
    for kind in MASKS:
        real = mask(kind, rows, size, case)
        for attention, shown in (("eager", True), ("sdpa", False)):
            theirs.set_attn_implementation(attention)
            asked = {"output_hidden_states": shown, "output_attentions": shown}
            with torch.no_grad():
                want = theirs(**given, attention_mask=real, **asked, use_cache=False)
                have = ours(**given, attention_mask=real, **asked, use_cache=False)
            assert_equal_where_real(have, want, real)


@pytest.mark.parametrize("case", range(12))
def test_cached_is_full(case: int) -> None:
    """Whoever goes on with a cache must get what one pass over everything gives, and theirs."""
    theirs, ours = inner_pair(case)
    rows, size = 2, 11
    x = torch.randn(rows, size, ours.config.hidden_size, generator=torch.Generator().manual_seed(1))
    real = mask("holes" if case % 2 else "all", rows, size, case)
    assert real is not None
    draw = random.Random(case)
    cuts = sorted({0, size, *(draw.randint(1, size - 1) for _ in range(case % 5))})
    with torch.no_grad():
        whole = ours(inputs_embeds=x, attention_mask=real)
        assert isinstance(whole.past_key_values, Cache) and whole.past_key_values.length == size
        cache, their_cache = None, None
        for start, end in pairwise(cuts):
            piece = {"inputs_embeds": x[:, start:end], "attention_mask": real[:, :end]}
            counted = torch.arange(start, end) if case % 3 == 0 else None
            out = ours(**piece, past_key_values=cache, cache_position=counted)
            want = theirs(**piece, past_key_values=their_cache)
            cache, their_cache = out.past_key_values, want.past_key_values
            seen = real[:, start:end] > 0
            for expected in (want.last_hidden_state, whole.last_hidden_state[:, start:end]):
                torch.testing.assert_close(
                    out.last_hidden_state[seen], expected[seen], atol=1e-5, rtol=1e-5
                )
    assert cache is not None and cache.length == size


def test_a_tuple_has_what_the_published_one_has() -> None:
    """The cache is there by default, and nothing that was not asked for."""
    theirs, ours = inner_pair(3)
    x = torch.randn(2, 4, ours.config.hidden_size)
    have, want = (model(inputs_embeds=x, return_dict=False) for model in (ours, theirs))
    assert len(have) == len(want) == 2
    torch.testing.assert_close(have[0], want[0], atol=1e-5, rtol=1e-5)
    assert len(ours(inputs_embeds=x, return_dict=False, use_cache=False)) == 1
    ours.config.use_cache = False
    assert list(ours(inputs_embeds=x)) == ["last_hidden_state"]


def test_gradients_reach_everything_with_a_cache_too() -> None:
    """A cache is kept by default; it must not cut a training step off from the weights."""
    _, ours = inner_pair(5)
    x = torch.randn(2, 4, ours.config.hidden_size)
    gradients = []
    for use_cache in (True, False):
        ours.zero_grad()
        ours.train()(inputs_embeds=x, use_cache=use_cache).last_hidden_state[0].sum().backward()
        gradients.append(
            {n: p.grad.clone() for n, p in ours.named_parameters() if p.grad is not None}
        )
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name])


def test_half_precision_keeps_a_cache_too() -> None:
    """By weights or by autocast: the cache must be of the type that is computed in."""
    _, ours = inner_pair(5)
    x = torch.randn(2, 4, ours.config.hidden_size)
    full = ours(inputs_embeds=x).last_hidden_state
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        first = ours(inputs_embeds=x[:, :3])
        cast = ours(inputs_embeds=x[:, 3:], past_key_values=first.past_key_values)
    torch.testing.assert_close(cast.last_hidden_state.float(), full[:, 3:], atol=0.2, rtol=0.2)
    ours.bfloat16()
    half = x.bfloat16()
    first = ours(inputs_embeds=half[:, :3])
    weak = ours(inputs_embeds=half[:, 3:], past_key_values=first.past_key_values)
    torch.testing.assert_close(weak.last_hidden_state.float(), full[:, 3:], atol=0.2, rtol=0.2)


ONE = torch.zeros(1, 1, dtype=torch.long)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "neither is given"),
        ({"input_ids": ONE, "inputs_embeds": torch.zeros(1, 1, 8)}, "both is given"),
        ({"inputs_embeds": torch.zeros(1, 1, 3)}, "inputs_embeds is of shape"),
        ({"input_ids": ONE + 99}, "input_ids holds 99"),
        ({"input_ids": ONE, "token_type_ids": ONE + 99}, "token_type_ids holds 99"),
        ({"input_ids": ONE, "position_ids": ONE + 99}, "position_ids holds 99"),
        ({"input_ids": ONE.repeat(1, 50)}, "position_ids holds 49"),
        ({"input_ids": ONE, "cache_position": torch.tensor([3])}, "must count from 0 to 0"),
        ({"input_ids": ONE, "past_key_values": ((ONE, ONE),)}, "past_key_values is a tuple"),
        ({"input_ids": ONE, "head_mask": torch.ones(2)}, "head_mask is given"),
        ({"input_ids": ONE, "encoder_hidden_states": ONE}, "encoder_hidden_states is given"),
        ({"input_ids": ONE, "encoder_attention_mask": ONE}, "encoder_attention_mask is given"),
        ({"input_ids": ONE, "attention_mask": torch.ones(1, 2)}, "attention_mask is of shape"),
    ],
)
def test_what_is_not_meant_is_refused(given: dict[str, Any], said: str) -> None:
    """What has no effect must not be taken in silence."""
    _, ours = inner_pair(2, hidden_size=8, n_head=2, n_positions=40)
    with pytest.raises(SeqrlError, match=said):
        ours(**given)


def test_a_cache_of_other_rows_is_refused() -> None:
    """Its keys would be of other sequences."""
    _, ours = inner_pair(2, vocab_size=1)
    cache = ours(input_ids=ONE).past_key_values
    with pytest.raises(SeqrlError, match="layers, 1 rows"):
        ours(input_ids=ONE.repeat(2, 1), past_key_values=cache)
