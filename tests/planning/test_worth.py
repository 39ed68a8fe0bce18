"""What rewards and values are worth under predicted probabilities, against counting by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor

from seqrl.planning.worth import worth
from seqrl.tokens.layout import Bins
from seqrl.tokens.tokenizer import bin_edges


def scores(classes: int, rows: int = 60) -> Tensor:
    return 2 * torch.randn(rows, classes, generator=torch.Generator().manual_seed(1)).double()


def centres_of(kind: str) -> Tensor:
    """Return the centres of ten bins fitted to rewards of a kind."""
    generator = np.random.default_rng(0)
    values = {
        "normal": generator.standard_normal((500, 1)),
        "sparse": (generator.random((500, 1)) < 0.02) * 1.0,
        "constant": np.full((500, 1), 3.0),
        "few": generator.integers(0, 3, (500, 1)),
    }[kind]
    edges = bin_edges(values.astype(np.float32), Bins(count=10))
    return torch.from_numpy((edges[0, 1:] + edges[0, :-1]) / 2)


@pytest.mark.parametrize("kind", ["normal", "sparse", "constant", "few"])
@pytest.mark.parametrize("end", [0, 1])
def test_the_authors_mean_leaves_the_end_out(kind: str, end: int) -> None:
    """It has a class and no centre; dividing by the rest's share would be another planner."""
    given, centres = scores(10 + end), centres_of(kind)
    found = worth(given, centres, None)
    for row, value in zip(given.tolist(), found.tolist(), strict=True):
        weights = [np.exp(score) for score in row]
        expected = sum(w * float(c) for w, c in zip(weights, centres, strict=False)) / sum(weights)
        assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", ["normal", "sparse", "constant", "few"])
@pytest.mark.parametrize("percentile", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_the_authors_percentile_is_one_bin_low_and_ours_is_not(
    kind: str, percentile: float
) -> None:
    """Where the probability passes the share, by counting; theirs is the bin below that, and below
    the lowest the highest."""
    given, centres = scores(11), centres_of(kind)
    found = worth(given, centres, percentile)
    for row, value in zip(given.softmax(-1).tolist(), found.tolist(), strict=True):
        total, passed = 0.0, 9
        for bin_, share in enumerate(row[:10]):
            total += share
            if total > percentile:
                passed = bin_
                break
        assert value == float(centres[passed])
        if kind == "normal":  # elsewhere bins share their centres
            assert value != float(centres[passed - 1])


def test_a_sure_prediction_is_worth_its_bin() -> None:
    """Whatever is asked for."""
    centres = centres_of("normal")
    sure = torch.full((10, 10), -1e9).fill_diagonal_(0.0).double()
    for percentile in (None, 0.0, 0.5, 0.99):
        assert worth(sure, centres, percentile).tolist() == pytest.approx(centres.tolist())
