"""The fast planner against the slow one, and against itself with others beside it."""

import numpy as np
import pytest
import torch

from seqrl.episodes import Array
from seqrl.nets.network import Network
from seqrl.nets.token_model import TokenModel
from seqrl.planning.beam_search import beam_search
from seqrl.planning.live import planned, seen
from seqrl.planning.settings import BeamSearch
from seqrl.speed.slow_planner import slow_plan
from tests.planning.making import Case, layout, lively, played, tokenizer_of


@pytest.mark.parametrize("number", range(200))
def test_equal_to_the_slow_planner(number: int) -> None:
    """A planner that is fast because it looks elsewhere would plan something else."""
    case = Case(number)
    plans = beam_search(case.model, case.how, case.past, case.now, case.generators(), case.goals)
    for episode, generator in enumerate(case.generators()):
        goals = {name: goal[episode : episode + 1] for name, goal in case.goals.items()}
        past, now = case.past[episode], case.now[episode]
        tokens, value = slow_plan(case.model, case.how, past, now, generator, goals)
        assert (plans.tokens[episode] == tokens).all()
        assert plans.value[episode] == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("window", ["published", "full"])
def test_a_plan_does_not_depend_on_who_is_planned_beside_it(window: str) -> None:
    """In the precision that is played in, to the bit: a score would depend on the others."""
    model = lively(
        TokenModel(
            tokenizer_of(layout(20, 8), 4, 3, 0),
            Network(layers=2, heads=2, width=32),
            torch.Generator(),
        ),
        0,
    ).float()
    how = BeamSearch(horizon=4, beam_width=8, context_steps=4, window=window)  # type: ignore[arg-type]
    history = played(model, rows=5, steps=6)
    together = planned(model, how, history)
    assert len({plan.tobytes() for plan in together}) == 5
    for row in range(5):
        alone = played(model, rows=5, steps=6)
        alone.keep(np.array([row]))
        assert (planned(model, how, alone)[0] == together[row]).all()
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:  # as on a GPU: some together, and dummies behind them
        patch.setattr("seqrl.planning.live.together_on", lambda *_: 3)
        assert (planned(model, how, played(model, rows=5, steps=6))[:, 0] == together[:, 0]).all()


def test_only_what_is_known_is_planned_from() -> None:
    """The last steps, the present observation, and no later one; values are never known."""
    model = TokenModel(
        tokenizer_of(layout(9, 8), 2, 1, 0), Network(layers=1, heads=1, width=8), torch.Generator()
    )
    how = BeamSearch(context_steps=3)
    for steps in (0, 2, 6):
        history = played(model, rows=2, steps=steps)
        past, now = seen(model, how, history)
        kept = min(steps, 3)
        assert past.shape == (2, kept, 5) and now.shape == (2, 2)
        tokenizer = model.tokenizer
        assert (now == tokenizer.encode("observation", history.observations[:, -1])).all()
        for back in range(1, kept + 1):
            columns: dict[str, Array] = {
                "observation": history.observations[:, -1 - back],
                "action": history.actions[:, -back],
                "reward": history.rewards[:, -back, None],
            }
            for name, column in columns.items():
                bins = tokenizer.encode(name, column.astype(np.float32))
                assert (past[:, -back, model.places[name]] == bins).all()
