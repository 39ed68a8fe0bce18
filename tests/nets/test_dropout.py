"""Dropout's masks against what the word means."""

import pytest
import torch

from seqrl.nets.dropout import dropped, with_dropped


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_share_is_dropped_and_the_mean_stays(share: float) -> None:
    """A mask that drops another share trains another model than the paper's."""
    torch.manual_seed(0)
    out = dropped(torch.ones(1_000_003), share)
    zeros = float((out == 0).float().mean())
    assert zeros == pytest.approx(share, abs=0.002)
    assert float(out.mean()) == pytest.approx(1.0, abs=0.004)
    assert len(set(out.tolist())) == 2


def test_entries_are_dropped_independently() -> None:
    """Several masks are cut from one random word: neighbours, and distant ones, must not agree."""
    torch.manual_seed(0)
    zeros = (dropped(torch.ones(400_000), 0.3) == 0).double()
    for lag in (1, 2, 3, 4, 5, 8, 16, 64):
        both = float((zeros[lag:] * zeros[:-lag]).mean())
        assert both == pytest.approx(0.09, abs=0.004), lag
    again = (dropped(torch.ones(400_000), 0.3) == 0).double()
    assert float((zeros * again).mean()) == pytest.approx(0.09, abs=0.004)


def test_the_gradient_passes_where_the_value_did() -> None:
    """Another mask on the way back would train on noise."""
    x = torch.randn(500, requires_grad=True)
    out = dropped(x, 0.4)
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x, out)


def test_all_chance_is_the_global_generators() -> None:
    """Who trains reproducibly seeds that one generator and expects nothing else to matter."""
    x = torch.ones(3, 5, 7)
    torch.manual_seed(5)
    one = dropped(x, 0.5)
    torch.manual_seed(5)
    assert torch.equal(dropped(x, 0.5), one)
    assert not torch.equal(dropped(x, 0.5), one)
    assert dropped(x, 0.0) is x


def test_adding_what_is_left_is_dropping_and_adding() -> None:
    """The two ways must draw the same mask, or a CPU in half precision trains another model."""
    x, added = torch.randn(2, 40, 8), torch.randn(2, 40, 8)
    torch.manual_seed(1)
    expected = x + dropped(added, 0.3)
    torch.manual_seed(1)
    torch.testing.assert_close(with_dropped(x, added, 0.3), expected)
    torch.manual_seed(1)
    half = with_dropped(x, added.bfloat16(), 0.3)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, rtol=0.02, atol=0.05)
    torch.testing.assert_close(with_dropped(x, added, 0.0), x + added)
