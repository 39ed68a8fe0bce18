"""The most probable plan against enumerating all plans, and against the obvious search."""

from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from seqrl.nets.network import Network
from seqrl.nets.token_model import TokenModel
from seqrl.planning.likely_search import likely_search
from seqrl.planning.live import planned
from seqrl.planning.settings import MostLikely, Search
from seqrl.speed.slow_planner import scores_of
from tests.planning.making import Case, layout, lively, played, tokenizer_of


def likely(model: TokenModel, how: Search, x: Tensor, goals: dict[str, Tensor]) -> Tensor:
    """Return the logarithm of each bin's probability after tokens [R, n], the end left out."""
    slot = model.tokenizer.slots[x.shape[1] % model.tokens_a_step]
    bins = model.tokenizer.edges[slot.name].shape[1] - 1
    found: Tensor = scores_of(model, how, x, goals).log_softmax(-1)[:, :bins]
    return found


@torch.no_grad()
def slow_likely(
    model: TokenModel, how: MostLikely, start: np.ndarray, goals: dict[str, Tensor]
) -> tuple[np.ndarray, float]:
    """Search one episode: for every token the whole network over the whole window."""
    beams = [([*start.tolist()], 0.0)]
    size = model.tokens_a_step
    last = (len(start) // size + how.horizon) * size
    while len(beams[0][0]) < last:
        each = likely(model, how, torch.tensor([tokens for tokens, _ in beams]), goals)
        longer = [
            ([*tokens, bin_], total + float(own[bin_]))
            for (tokens, total), own in zip(beams, each, strict=True)
            for bin_ in range(len(own))
        ]
        beams = sorted(longer, key=lambda beam: -beam[1])[: how.beam_width]
    tokens, total = beams[0]
    return np.array(tokens).reshape(-1, size)[-how.horizon :], total


@pytest.mark.parametrize("number", range(60))
def test_equal_to_the_obvious_search(number: int) -> None:
    """Beams that are reordered at every token, and a memory that is not."""
    case = Case(number)
    shared = {field.name: getattr(case.how, field.name) for field in fields(Search)}
    how = MostLikely(**shared)
    plans = likely_search(case.model, how, case.past, case.now, case.goals)
    for episode in range(case.episodes):
        goals = {name: goal[episode : episode + 1] for name, goal in case.goals.items()}
        start = np.concatenate([case.past[episode].flatten(), case.now[episode]])
        tokens, total = slow_likely(case.model, how, start, goals)
        assert (plans.tokens[episode] == tokens).all()
        assert plans.value[episode] == pytest.approx(total, abs=1e-9)


@torch.no_grad()
def test_wide_enough_it_finds_the_most_probable_of_all_plans() -> None:
    """A likelihood that forgets a factor still looks like one."""
    tokenizer = tokenizer_of(layout(3, 4, after_end="end token"), 1, 1, 0)
    model = lively(
        TokenModel(tokenizer, Network(layers=2, heads=2, width=16), torch.Generator()), 0
    )
    how = MostLikely(horizon=2, beam_width=3**7, context_steps=2)
    start = [2, 0, 1, 1, 0]  # a step, and an observation
    found = likely_search(model, how, np.array([[start[:4]]]), np.array([start[4:]]))
    # action, reward, value, observation, action, reward, value
    every = torch.tensor([[*start, *rest] for rest in product(range(3), repeat=7)])
    total = torch.zeros(len(every), dtype=torch.float64)
    for at in range(len(start), every.shape[1]):
        own = likely(model, how, every[:, :at], {})
        total += own.gather(1, every[:, at : at + 1])[:, 0]
    best = int(total.argmax())
    assert found.value[0] == pytest.approx(float(total[best]), abs=1e-9)
    assert found.tokens[0].flatten().tolist() == every[best, 4:].tolist()


@pytest.mark.parametrize("window", ["published", "full"])
def test_a_plan_does_not_depend_on_who_is_planned_beside_it(window: str) -> None:
    """To the bit, in the precision that is played in; and nothing is drawn."""
    tokenizer = tokenizer_of(layout(20, 8), 4, 3, 0)
    network = Network(layers=2, heads=2, width=32)
    model = lively(TokenModel(tokenizer, network, torch.Generator()), 0).float()
    how = MostLikely(horizon=3, beam_width=40, context_steps=4)
    how = replace(how, window=window)  # type: ignore[arg-type]
    together = planned(model, how, played(model, rows=5, steps=6))
    assert len({plan.tobytes() for plan in together}) == 5
    for row in range(5):
        alone = played(model, rows=5, steps=6)
        alone.keep(np.array([row]))
        alone.generators = [np.random.default_rng(99)]
        assert (planned(model, how, alone)[0] == together[row]).all()
