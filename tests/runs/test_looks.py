"""Shares of attention against sums that can be done by hand."""

import csv
from pathlib import Path

import numpy as np
import pytest

from seqrl.runs.looks import Looks, write_looks
from tests.report.making import looks_of


def test_shares_are_the_slow_obvious_sums() -> None:
    """Token by token: what the last step's tokens give to each part of each step."""
    looks = looks_of(steps=3, goals=1)
    expected: dict[tuple[int, int, str, str, int | None], float] = {}
    for layer in range(2):
        for head in range(2):
            for row, asks in enumerate(looks.tokens):
                if asks.step != 2 or asks.part == "value":
                    continue
                same = sum(t.step == 2 and t.part == asks.part for t in looks.tokens)
                for column, seen in enumerate(looks.tokens):
                    if seen.part == "value":
                        continue
                    back = None if seen.step is None else 2 - seen.step
                    key = layer + 1, head + 1, asks.part, seen.part, back
                    weight = looks.weights[layer, head, row, column] / same
                    expected[key] = expected.get(key, 0.0) + weight
    found = {
        (s.layer, s.head, s.from_part, s.to_part, s.steps_back): s.share for s in looks.shares()
    }
    assert found == pytest.approx(expected)
    for layer, head, part in {key[:3] for key in found}:
        own = [share for key, share in found.items() if key[:3] == (layer, head, part)]
        assert sum(own) == pytest.approx(1)


def test_steps_back_and_earlier_tokens() -> None:
    """One off, and a layer that looks at the step before seems to look at its own."""
    looks = looks_of(steps=3, goals=1)
    asking = [i for i, t in enumerate(looks.tokens) if t.step == 2 and t.part != "value"]
    for back in range(3):
        columns = [i for i, t in enumerate(looks.tokens) if t.step == 2 - back]
        expected = looks.weights[:, :, asking][..., columns].sum(-1).mean(-1)
        np.testing.assert_allclose(looks.by_steps_back()[..., back], expected)
    # The block is o0 o1 a v: behind o0 stands o1, behind o1 a, behind a the hidden value.
    weights, first = looks.weights.mean(1), 1
    own = sum(weights[:, 8 + slot + first, [first + slot, first + 4 + slot]] for slot in range(3))
    after = weights[:, 9, [2, 6]] + weights[:, 10, [3, 7]]
    np.testing.assert_allclose(looks.earlier(0), np.sum(own, -1) / 3)
    np.testing.assert_allclose(looks.earlier(1), after.sum(-1) / 3)


def test_even_attention() -> None:
    """The measure of all others: the last action sees the goal and nine tokens, a tenth each."""
    looks = looks_of(steps=3, goals=1).even()
    assert looks.weights.shape == (1, 1, 13, 13)
    np.testing.assert_allclose(looks.weights[0, 0, 11, [0, 1, 11]], 1 / 10)
    assert looks.weights[0, 0, 11, 4] == looks.weights[0, 0, 11, 12] == 0
    np.testing.assert_allclose(looks.weights.sum(-1), 1)


def test_one_step_has_nothing_earlier() -> None:
    """A window of one step must not run around its own end."""
    looks = looks_of(steps=1, goals=2)
    assert not looks.earlier(0).any() and not looks.earlier(1).any()
    assert looks.by_steps_back().shape == (2, 2, 1)


def test_the_table_comes_back(tmp_path: Path) -> None:
    """Each row says what it is of, and rounds nothing."""
    looks: Looks = looks_of(steps=3, goals=1)
    write_looks(tmp_path / "a" / "looks.csv", looks)
    with (tmp_path / "a" / "looks.csv").open() as text:
        rows = list(csv.DictReader(text))
    shares = looks.shares()
    assert [float(row["share"]) for row in rows] == [share.share for share in shares]
    assert {row["steps_back"] for row in rows} == {"", "0", "1", "2"}
    assert all(row["data"] == "seqrl/hopper-medium-v1" for row in rows)
    assert rows[0]["from_part"] == "observation" and rows[0]["to_part"] == "goal_observation"
