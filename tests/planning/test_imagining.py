"""Imagining against the obvious way: for every token the whole network over the whole window."""

import random

import numpy as np
import pytest
import torch

from seqrl.nets.network import Network
from seqrl.nets.token_model import TokenModel
from seqrl.planning.beams import Tokens
from seqrl.planning.imagining import imagined
from seqrl.planning.settings import BeamSearch
from seqrl.speed.slow_planner import scores_of
from tests.planning.making import layout, lively, tokenizer_of


class Case:
    """A model, what has been seen, and what will be done."""

    def __init__(self, number: int, *, steps: int | None = None) -> None:
        made = random.Random(number)
        bins, rows = made.choice([5, 20]), made.choice([1, 3])
        window = layout(
            bins,
            steps or made.randint(2, 5),
            attended=made.random() < 0.3,
            after_end=made.choice(["filling", "end token"]),
        )
        tokenizer = tokenizer_of(window, made.randint(1, 3), made.randint(1, 3), number)
        network = Network(layers=made.randint(1, 2), heads=2, width=16)
        self.model = lively(TokenModel(tokenizer, network, torch.Generator()), number)
        with torch.no_grad():  # until the past decides which class is the likeliest
            for weight in self.model.parameters():
                weight.mul_(3)
        self.bins, self.rows, widths = bins, rows, tokenizer.widths
        self.generator = np.random.default_rng(number)
        self.past = self.tokens(made.randint(0, 5), self.model.tokens_a_step)
        self.now = self.tokens(widths["observation"])
        self.actions = self.tokens(made.randint(1, 6), widths["action"])

    def tokens(self, *shape: int) -> Tokens:
        return self.generator.integers(0, self.bins, (self.rows, *shape))

    def imagined(self) -> Tokens:
        return imagined(self.model, self.past, self.now, self.actions)

    def slowly(self, row: int) -> Tokens:
        """Imagine a row token by token, and forget what is too long ago before each step."""
        size, width = self.model.tokens_a_step, self.now.shape[1]
        limit = self.model.tokenizer.layout.steps
        how = BeamSearch(window="full")  # the whole of what it is given
        seen = [*self.past[row].flatten().tolist(), *self.now[row].tolist()]
        found = []
        for action in self.actions[row]:
            seen += action.tolist()
            while len(seen) > (limit - 1) * size:
                seen = seen[size:]
            for _ in range(2 + width):
                scores = scores_of(self.model, how, torch.tensor([seen]), {})[:, : self.bins]
                seen.append(int(scores.argmax()))
            found.append(seen[-width:])
        return np.array(found)


@pytest.mark.parametrize("number", range(40))
def test_equal_to_the_obvious_way(number: int) -> None:
    """An error of the engine would look like an error of the model."""
    case = Case(number)
    found = case.imagined()
    for row in range(case.rows):
        np.testing.assert_array_equal(found[row], case.slowly(row))


@pytest.mark.parametrize("steps", [2, 3])
def test_a_window_of_two_steps_sees_no_past(steps: int) -> None:
    """The Markov model must not be told more than it says; and a wider window must be."""
    same = []
    for number in range(10):
        case = Case(number, steps=steps)
        case.past = case.tokens(3, case.model.tokens_a_step)
        before = case.imagined()
        case.past = case.tokens(3, case.model.tokens_a_step)
        same.append(bool((case.imagined() == before).all()))
    assert all(same) if steps == 2 else not all(same)


def test_what_comes_later_changes_nothing_before() -> None:
    """An action that has not been taken yet must not help to say what is seen."""
    case = Case(3)
    case.actions = case.tokens(5, case.actions.shape[2])
    before = case.imagined()
    case.actions[:, 3] = (case.actions[:, 3] + 1) % case.bins
    after = case.imagined()
    np.testing.assert_array_equal(after[:, :3], before[:, :3])
    assert (after[:, 3:] != before[:, 3:]).any()
