"""The transformer against slow obvious versions of itself, and the properties that others rely on.

Letters: B batch, S tokens, D width, h heads, e width of a head.
"""

import math
import random
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seqrl.nets import attention
from seqrl.nets.transformer import Cache, Trace, Transformer, causal
from tests.nets.making import generator, network, tokens, transformer

HIDDEN = torch.tensor([False, False, True, False, False, True, False, False, True])
"""As the Trajectory Transformer hides its values: the last column of each block of three."""
SIZE = len(HIDDEN)
PRECISIONS = [(torch.float32, 1e-5), (torch.float64, 1e-12)]


def _slow_attention(
    made: Transformer, layer: int, normed: Tensor, visible: Tensor
) -> list[list[Tensor]]:
    """Head by head and query by query, adding up one key after the other."""
    part = made.get_submodule(f"blocks.{layer}.attention")
    qkv = F.linear(normed, part.get_parameter("qkv.weight"), part.get_parameter("qkv.bias"))
    width = made.network.width
    e = width // made.network.heads
    rows = []
    for row in range(len(normed)):
        results = []
        for query in range(normed.shape[1]):
            heads = []
            for head in range(made.network.heads):
                at = [slice(k * width + head * e, k * width + (head + 1) * e) for k in range(3)]
                seen = [key for key in range(normed.shape[1]) if visible[query, key]]
                q = qkv[row, query, at[0]]
                shares = [math.exp(float(q @ qkv[row, k, at[1]]) / math.sqrt(e)) for k in seen]
                mixed = torch.zeros(e, dtype=normed.dtype)
                for share, key in zip(shares, seen, strict=True):
                    mixed += share / sum(shares) * qkv[row, key, at[2]]
                heads.append(mixed)
            results.append(torch.cat(heads))
        rows.append(results)
    return rows


def _slow(made: Transformer, x: Tensor, visible: Tensor) -> Tensor:
    """The whole network as minGPT's blocks are described, with exact GELU."""

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / ((centred**2).mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * made.get_parameter(f"{name}.weight") + made.get_parameter(f"{name}.bias")

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ made.get_parameter(f"{name}.weight").T + made.get_parameter(f"{name}.bias")

    for layer in range(made.network.layers):
        here = f"blocks.{layer}"
        mixed = _slow_attention(made, layer, norm(x, f"{here}.attention_norm"), visible)
        x = x + linear(torch.stack([torch.stack(row) for row in mixed]), f"{here}.attention.out")
        inner = linear(norm(x, f"{here}.inner_norm"), f"{here}.inner_in")
        inner = inner * (1 + torch.erf(inner / math.sqrt(2))) / 2
        x = x + linear(inner, f"{here}.inner_out")
    return norm(x, "norm")


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("hidden", [None, HIDDEN])
def test_equal_to_the_slow_version(heads: int, hidden: Tensor | None) -> None:
    """The truth that needs no other library."""
    made = transformer(heads=heads).double()
    x, visible = tokens(2, SIZE).double(), causal(SIZE, hidden)
    with torch.no_grad():
        expected = _slow(made, x, visible)
    torch.testing.assert_close(made(x, visible), expected, atol=1e-12, rtol=1e-12)


def test_the_mask_is_what_it_says() -> None:
    """One off in the mask is a model that reads its own answer."""
    for row in range(SIZE):
        for column in range(SIZE):
            assert causal(SIZE)[row, column] == (column <= row)
            seen = column <= row and not HIDDEN[column]
            assert causal(SIZE, HIDDEN)[row, column] == seen
    both = torch.stack([HIDDEN, ~HIDDEN])
    expected = torch.stack([causal(SIZE, HIDDEN), causal(SIZE, ~HIDDEN)])
    assert torch.equal(causal(SIZE, both), expected)


def _in_pieces(made: Transformer, x: Tensor, visible: Tensor, cuts: list[int]) -> Tensor:
    cache = Cache.empty(made.network, len(x), x.shape[1], dtype=x.dtype)
    ends = [*cuts, x.shape[1]]
    pieces = [
        made(x[:, first:end], visible, cache)
        for first, end in zip([0, *cuts], ends, strict=True)
        if first < end
    ]
    assert cache.length == x.shape[1]
    return torch.cat(pieces, 1)


@pytest.mark.parametrize(("precision", "bound"), PRECISIONS)
@pytest.mark.parametrize("per_row", [False, True])
def test_cached_is_full(precision: torch.dtype, bound: float, per_row: bool) -> None:
    """A known reimplementation forgets its hidden columns as soon as it caches."""
    made = transformer().to(precision)
    x = tokens(3, SIZE).to(precision)
    hidden = torch.stack([HIDDEN, ~HIDDEN, HIDDEN.roll(1)]) if per_row else HIDDEN
    visible = causal(SIZE + 2, F.pad(hidden, (0, 2)))
    full = made(x, visible)
    draw = random.Random(0)
    splits = [list(range(1, SIZE)), [SIZE - 1], [1]]
    splits += [sorted(draw.sample(range(1, SIZE), draw.randint(1, 4))) for _ in range(8)]
    for cuts in splits:
        for grad in (True, False):
            with torch.set_grad_enabled(grad):
                pieces = _in_pieces(made, x, visible, cuts)
            torch.testing.assert_close(pieces, full, atol=bound, rtol=bound)


def test_a_later_token_changes_no_earlier_output() -> None:
    """Causality, by perturbation: bit for bit, with and without hidden columns."""
    made, x = transformer(), tokens(2, SIZE)
    for visible in (causal(SIZE), causal(SIZE, HIDDEN)):
        before = made(x, visible)
        for position in range(SIZE):
            other = x.clone()
            other[:, position] *= -1.5
            after = made(other, visible)
            assert torch.equal(after[:, :position], before[:, :position])
            assert not torch.isclose(after[:, position], before[:, position]).all(-1).any()


def test_a_hidden_token_changes_only_its_own_output() -> None:
    """A hidden value holds the future while training, and a placeholder while playing."""
    made, x, visible = transformer(), tokens(2, SIZE), causal(SIZE, HIDDEN)
    before, other = made(x, visible), x.clone()
    other[:, HIDDEN] *= -1e6
    after = made(other, visible)
    assert torch.equal(after[:, ~HIDDEN], before[:, ~HIDDEN])
    assert not torch.isclose(after[:, HIDDEN], before[:, HIDDEN]).all(-1).any()


def test_masks_per_row_are_the_rows_alone() -> None:
    """Published classes take a mask per row: no row may see another one's."""
    made, x = transformer(), tokens(3, SIZE)
    visible = causal(SIZE, torch.stack([HIDDEN, ~HIDDEN, HIDDEN.roll(1)]))
    together = made(x, visible)
    for row in range(3):
        torch.testing.assert_close(together[row : row + 1], made(x[row : row + 1], visible[row]))


@pytest.mark.parametrize(("precision", "bound"), PRECISIONS)
@pytest.mark.parametrize("positions", [[SIZE - 1], [1, 4, 7], [5, 0]])
def test_only_is_a_slice(precision: torch.dtype, bound: float, positions: list[int]) -> None:
    """The saving must be exact: outputs, gradients, and what the cache holds afterwards."""
    made, chosen = transformer().to(precision), torch.tensor(positions)
    visible = causal(SIZE, torch.stack([HIDDEN, ~HIDDEN]))
    a, b = (tokens(2, SIZE).to(precision).requires_grad_() for _ in range(2))
    full, some = made(a, visible)[:, chosen], made(b, visible, only=chosen)
    torch.testing.assert_close(some, full, atol=bound, rtol=bound)
    for output in (full, some):
        (output**2 * torch.arange(12)).sum().backward()
    assert a.grad is not None and b.grad is not None
    torch.testing.assert_close(b.grad, a.grad, atol=100 * bound, rtol=10 * bound)

    with torch.no_grad():
        whole, cache = made(a, visible), Cache.empty(made.network, 2, SIZE, dtype=precision)
        made(a[:, :4], visible, cache, only=torch.tensor([3]))
        rest = made(a[:, 4:], visible, cache, only=torch.tensor([0, 4]))
    torch.testing.assert_close(rest, whole[:, [4, 8]], atol=bound, rtol=bound)


def test_select_and_crop_are_recomputation() -> None:
    """A beam search reorders, repeats and takes back: what it reads next must be its own past."""
    made, x, visible = transformer(), tokens(3, SIZE), causal(SIZE, HIDDEN)
    rows = torch.tensor([2, 0, 0, 1, 2])
    with torch.no_grad():
        cache = Cache.empty(made.network, 3, SIZE)
        made(x[:, :6], visible, cache)
        beams = cache.select(rows)
        assert (beams.capacity, beams.length) == (SIZE, 6)
        beams.crop(5)
        continued = torch.cat([x[rows, :5], tokens(5, SIZE, seed=7)[:, 5:]], 1)
        got = made(continued[:, 5:], visible, beams)
        torch.testing.assert_close(got, made(continued, visible)[:, 5:], atol=1e-5, rtol=1e-5)
        # The cache that was selected from goes on as if nothing had happened.
        rest = made(x[:, 6:], visible, cache)
        torch.testing.assert_close(rest, made(x, visible)[:, 6:], atol=1e-5, rtol=1e-5)


def test_gradients_stop_at_the_cache() -> None:
    """Gradients of the present tokens are whole; the cached ones are constants."""
    made, visible = transformer().double(), causal(SIZE, HIDDEN)
    a, b = (tokens(2, SIZE).double().requires_grad_() for _ in range(2))
    cache = Cache.empty(made.network, 2, SIZE, dtype=torch.float64)
    made(b[:, :4], visible, cache)
    for output in (made(a, visible)[:, 4:], made(b[:, 4:], visible, cache)):
        (output**2 * torch.arange(12)).sum().backward()
    assert a.grad is not None and b.grad is not None
    torch.testing.assert_close(b.grad[:, 4:], a.grad[:, 4:], atol=1e-9, rtol=1e-9)
    assert not b.grad[:, :4].any()


def test_cache_refuses_what_it_cannot_hold() -> None:
    """Running over must not write into the void or wrap around."""
    made, visible = transformer(), causal(SIZE)
    cache = Cache.empty(made.network, 2, 4)
    with pytest.raises(AssertionError, match="5 tokens in a cache for 4"):
        made(tokens(2, 5), visible, cache)
    assert cache.length == 0
    with pytest.raises(AssertionError, match="number of rows"):
        made(tokens(3, 2), visible, cache)
    with pytest.raises(AssertionError, match="cannot crop"):
        cache.crop(1)
    with pytest.raises(AssertionError, match="a mask of"):
        made(tokens(2, SIZE + 1), visible)
    with pytest.raises(AssertionError, match="not boolean"):
        made(tokens(2, SIZE), visible.float())


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_who_sees_nothing_gets_nothing(dropout: float) -> None:
    """A softmax over nothing is NaN, forward and backward; seeing all instead would be a leak."""
    made, hidden = transformer(dropout=dropout).train(), torch.zeros(SIZE, dtype=torch.bool)
    hidden[:2] = True
    x = tokens(2, SIZE).requires_grad_()
    trace = Trace()
    out = made(x, causal(SIZE, hidden), trace=trace)
    (out * tokens(2, SIZE, seed=3)).sum().backward()
    assert out.isfinite().all() and x.grad is not None and x.grad.isfinite().all()
    assert not any(weights[:, :, :2].any() for weights in trace.weights)

    other = tokens(2, SIZE, seed=4)
    other[:, 0] = x.detach()[:, 0]
    made.eval()
    with torch.no_grad():
        before, after = (made(y, causal(SIZE, hidden)) for y in (x, other))
    assert torch.equal(after[:, 0], before[:, 0])


@pytest.mark.parametrize("rows_of_mask", [1, 3])
def test_both_ways_to_attend_are_equal(rows_of_mask: int) -> None:
    """Which one runs depends on device, precision and mode: nothing else may depend on it."""
    shape = (3, 2, SIZE, 5)
    draws = [torch.randn(shape, generator=generator(seed)).double() for seed in range(4)]
    visible = causal(SIZE, torch.stack([HIDDEN, ~HIDDEN, HIDDEN.roll(1)])[:rows_of_mask])
    bias = attention.Sight.of(visible, 0, draws[0][:, 0]).bias
    results = []
    for trace in (None, Trace()):
        inputs = [draw.clone().requires_grad_() for draw in draws[:3]]
        mixed = attention._attend(inputs[0], inputs[1], inputs[2], bias, 0.4, 0.0, trace)
        gradients = torch.autograd.grad((mixed * draws[3]).sum(), inputs)
        results.append((mixed, *gradients))
    for fused, written in zip(*results, strict=True):
        torch.testing.assert_close(fused, written, atol=1e-12, rtol=1e-12)


def test_half_precision_by_autocast_and_by_cast() -> None:
    """Training casts from outside; nothing inside may stand in the way or lose the mask."""
    made, x, visible = transformer(), tokens(2, SIZE), causal(SIZE, HIDDEN)
    full = made(x, visible)
    with torch.autocast("cpu", torch.bfloat16):
        cast_outside = made(x, visible)
    half = transformer().bfloat16()
    cast_before = half(x.bfloat16(), visible)
    assert cast_before.dtype == torch.bfloat16
    for out in (cast_outside, cast_before):
        assert (out.float() - full).abs().mean() < 0.05 * full.abs().mean()
    with torch.no_grad():
        pieces = _in_pieces(half, x.bfloat16(), visible, [1, 2, 6])
    assert (pieces - cast_before).float().abs().mean() < 0.03 * full.abs().mean()


def test_dropout_acts_in_training_only_and_in_both_places() -> None:
    """A dropout that is never on, or never off, shows in no shape."""
    made, x, visible = transformer(dropout=0.5), tokens(2, SIZE), causal(SIZE)
    assert torch.equal(made(x, visible), transformer()(x, visible))
    made.train()
    torch.manual_seed(0)
    trace, first = Trace(), made(x, visible)
    assert not torch.equal(first, made(x, visible, trace=trace))
    torch.manual_seed(0)
    assert torch.equal(first, made(x, visible))
    kept = torch.cat([weights[:, :, causal(SIZE)].flatten() for weights in trace.weights])
    assert 0.35 < (kept == 0).double().mean() < 0.65
    for name, bias in (("attention.out", 1.0), ("inner_out", 10.0)):
        torch.nn.init.zeros_(made.get_parameter(f"blocks.0.{name}.weight"))
        torch.nn.init.constant_(made.get_parameter(f"blocks.0.{name}.bias"), bias)
    trace = Trace()
    made(x, visible, trace=trace)
    added = (trace.hidden[1] - trace.hidden[0]).round(decimals=3)
    # Each of the two is dropped, or kept and doubled.
    assert set(added.flatten().tolist()) == {0.0, 2.0, 20.0, 22.0}


def test_same_seed_same_weights() -> None:
    """Weights may depend on the generator handed in and on nothing else."""
    first = Transformer(network(), generator(3))
    state = torch.manual_seed(5).get_state()
    same, other = (Transformer(network(), generator(seed)) for seed in (3, 4))
    assert torch.equal(torch.get_rng_state(), state), "the global generator was used"
    for name, parameter in first.named_parameters():
        assert torch.equal(parameter, same.get_parameter(name))
        if parameter.ndim == 2:
            assert not torch.equal(parameter, other.get_parameter(name))


@pytest.mark.parametrize("init", ["mingpt", "dt", "gpt2"])
def test_start_is_as_named(init: Any) -> None:
    """The published spreads; norms start as the identity, biases at zero."""
    made = Transformer(network(layers=4, width=64, inner=None, init=init), generator())
    for name, parameter in made.named_parameters():
        if parameter.ndim == 2:
            back = name.endswith(("attention.out.weight", "inner_out.weight"))
            spread = 0.02 / math.sqrt(8) if back and init == "gpt2" else 0.02
            assert parameter.std().item() == pytest.approx(spread, rel=0.05), name
            assert abs(parameter.mean().item()) < 5 * spread / math.sqrt(parameter.numel())
        else:
            expected = 1.0 if name.endswith("norm.weight") else 0.0
            assert torch.equal(parameter, torch.full_like(parameter, expected)), name


def test_a_cache_goes_on_without_autocast() -> None:
    """Keys made in half precision, continued in float32 while no gradients are kept."""
    made = transformer()
    x, visible, cache = tokens(2, 5), causal(5), Cache.empty(network(), 2, 5)
    with torch.no_grad():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = Cache.empty(network(), 2, 5, dtype=torch.bfloat16)
            made(x[:, :3], visible, half)
        made(x[:, :3], visible, cache)
        found, expected = (made(x[:, 3:], visible, c) for c in (half, cache))
    torch.testing.assert_close(found, expected, atol=0.1, rtol=0.1)
