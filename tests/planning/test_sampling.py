"""Drawing a token: the filters as the authors' code has them, and the share of each class."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from seqrl.errors import SeqrlError
from seqrl.planning.sampling import draw, probabilities
from seqrl.planning.settings import BeamSearch, Sampling
from seqrl.tokens.layout import TokenLayout
from tests.planning.making import layout, tokenizer_of


def scores(rows: int = 40, classes: int = 11) -> Tensor:
    return 2 * torch.randn(rows, classes, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.95])
def test_the_authors_cdf_filter(share: float) -> None:
    """Sorted upwards, all are dropped up to the last whose sum is under the share."""
    given = scores()
    found = probabilities(Sampling(cdf=share), given)
    for row, chances in enumerate(given.softmax(-1).tolist()):
        rising, total, last = sorted(chances), 0.0, None
        for chance in rising:
            total += chance
            if total >= share:
                break
            last = chance
        limit = rising[0] if last is None else last  # theirs drops one class at least
        kept = [chance if chance > limit else 0.0 for chance in chances]
        expected = [chance / sum(kept) for chance in kept]
        assert found[row].tolist() == pytest.approx(expected, abs=1e-12)
        assert sum(kept) >= 1 - share - 1e-12 or last is None


def test_equals_are_not_all_dropped() -> None:
    """A uniform distribution has nobody above the limit; then theirs draws from all too."""
    found = probabilities(Sampling(cdf=0.6), torch.zeros(1, 4))
    assert found.tolist() == [[0.25] * 4]


def test_top_k_keeps_whoever_is_as_likely() -> None:
    """The k-th likeliest and its equals."""
    given = torch.tensor([[3.0, 1.0, 1.0, 0.0]])
    assert probabilities(Sampling(top_k=2), given)[0].tolist()[3] == 0
    assert (probabilities(Sampling(top_k=2), given)[0, :3] > 0).all()
    assert draw(Sampling(top_k=1), given, None).tolist() == [0]


def test_each_class_gets_its_share() -> None:
    """Counted over many evenly spaced uniform numbers."""
    row = torch.tensor([0.5, -1.0, 2.0, -math.inf])
    many = 10_000
    uniform = (torch.arange(many) + 0.5) / many
    for sampling in (Sampling(), Sampling(temperature=0.5), Sampling(cdf=0.1), Sampling(top_k=2)):
        drawn = draw(sampling, row.expand(many, -1), uniform)
        shares = np.bincount(drawn.numpy(), minlength=4) / many
        assert shares == pytest.approx(probabilities(sampling, row[None])[0].numpy(), abs=2e-4)
    edge = torch.tensor([0.0, 1.0 - 1e-7, 1.0])  # in float64 it was below 1
    assert draw(Sampling(), row.expand(3, -1), edge).tolist() == [0, 2, 2], "never one of no chance"
    colder = probabilities(Sampling(temperature=0.5), row[None])
    assert colder[0, 2] > probabilities(Sampling(), row[None])[0, 2]


def test_nonsense_is_refused() -> None:
    """With what is allowed."""
    cases: dict[str, Callable[[], object]] = {
        "temperature must be above 0": lambda: Sampling(temperature=0),
        "from 0 to below 1": lambda: Sampling(cdf=1.0),
        "1 or more": lambda: Sampling(top_k=0),
        "beam_width must be a whole number": lambda: BeamSearch(beam_width=0),
        "whole number from 1 to 4,096, not 1000000": lambda: BeamSearch(beam_width=1_000_000),
        "percentile is a share": lambda: BeamSearch(percentile=1.0),
        "discount lies between": lambda: BeamSearch(discount=1.1),
        "window is 'published' or 'full'": lambda: BeamSearch(window="all"),  # type: ignore[arg-type]
        "context_steps must be 2 or more": lambda: BeamSearch(context_steps=1),
    }
    for said, wrong in cases.items():
        with pytest.raises(SeqrlError, match=said):
            wrong()
    tokenizer = tokenizer_of(layout(5, 10), 2, 2, 0)
    BeamSearch(window="full", horizon=5).check(tokenizer)
    with pytest.raises(SeqrlError, match="context and plan have 11 steps"):
        BeamSearch(window="full", horizon=6).check(tokenizer)
    blind = layout(5, 10).parts
    blind = (replace(blind[0], attended=False), *blind[1:])
    hidden = TokenLayout(*blind, steps=10, positions="token", loss_over="all positions")
    with pytest.raises(SeqrlError, match="only the value may be hidden"):
        BeamSearch().check(tokenizer_of(hidden, 2, 2, 0))
    with pytest.raises(SeqrlError, match="the context has 11 steps"):
        BeamSearch(context_steps=11).check(tokenizer)
