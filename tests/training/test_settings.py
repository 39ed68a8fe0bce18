"""Learning rates against closed forms; settings that are refused."""

import math
from typing import Any

import pytest

from seqrl.errors import SeqrlError
from seqrl.training.settings import Training


def test_the_decision_transformers_schedule() -> None:
    """Its authors: linear over 10,000 of 100,000 updates, min((update + 1) / 10000, 1)."""
    training = Training(updates=100_000, learning_rate=1e-4)
    for update in (0, 1, 4_999, 9_998, 9_999, 10_000, 99_999):
        expected = 1e-4 * min((update + 1) / 10_000, 1.0)
        assert training.rate(update) == pytest.approx(expected, rel=1e-12)


def test_the_trajectory_transformers_schedule() -> None:
    """Its authors: half a cosine after the warm-up, never below a tenth."""
    training = Training(updates=1000, warmup=0.05, decay="tt", learning_rate=6e-4)
    for update in (50, 300, 700, 900, 999):
        progress = (update - 50) / (1000 - 50)
        expected = 6e-4 * max(0.1, 0.5 * (1 + math.cos(math.pi * progress)))
        assert training.rate(update) == pytest.approx(expected, rel=1e-12)
    assert training.rate(24) == pytest.approx(6e-4 * 25 / 50)
    assert training.rate(999) == pytest.approx(6e-5)


def test_a_cosine_ends_at_nothing() -> None:
    """A last update at a high rate leaves the weights where chance had them."""
    training = Training(updates=1000, decay="cosine", learning_rate=1.0)
    rates = [training.rate(update) for update in range(1000)]
    assert max(rates) == pytest.approx(1.0, abs=1e-4) and rates[-1] < 1e-4
    assert rates[549] == pytest.approx(0.5, abs=0.01)
    assert sorted(rates[100:], reverse=True) == rates[100:]
    no_warmup = Training(updates=10, warmup=0.0, decay="cosine", learning_rate=1.0)
    assert no_warmup.rate(0) == 1.0
    assert Training(updates=1, warmup=1.0, learning_rate=1.0).rate(0) == 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"updates": 0},
        {"batch": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"warmup": 1.5},
        {"weight_decay": -1.0},
        {"clip": 0.0},
        {"betas": (0.9, 1.0)},
        {"held_out": 0.9},
    ],
)
def test_what_cannot_be_trained_is_refused(wrong: dict[str, Any]) -> None:
    """It must not be found out after the data was prepared."""
    with pytest.raises(SeqrlError, match=f"Training: {next(iter(wrong))} is"):
        Training(**wrong)
