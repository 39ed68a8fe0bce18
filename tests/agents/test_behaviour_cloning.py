"""Cloning: which episodes percent cloning copies, against the authors' loop."""

import numpy as np
import pytest

from seqrl.agents.behaviour_cloning import BehaviourCloning, MlpBehaviourCloning
from seqrl.errors import SeqrlError
from tests.tokens.test_signals import made

EPISODES = made((4, 1, 6, 3, 5, 2, 8, 7, 1, 9), seed=3)


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.3, 0.37, 0.5, 0.62, 0.99])
def test_a_share_of_the_steps_is_filled_from_the_best_down(fraction: float) -> None:
    """As the Decision Transformer's authors fill it: stop before the share would be reached."""
    order = sorted(range(len(EPISODES)), key=lambda e: EPISODES.returns[e], reverse=True)
    wanted = max(int(fraction * EPISODES.steps), 1)
    chosen, steps = [order[0]], EPISODES.lengths[order[0]]
    for episode in order[1:]:
        if steps + EPISODES.lengths[episode] >= wanted:
            break
        chosen.append(episode)
        steps += EPISODES.lengths[episode]
    assert steps <= max(wanted, EPISODES.lengths[order[0]])
    found = BehaviourCloning(fraction=fraction).learns_from(EPISODES)
    assert found is not None
    assert found.tolist() == chosen


def test_a_share_of_the_episodes_is_as_corl_has_it() -> None:
    """Short and bad episodes go together, so the two shares are very different data."""
    for fraction, count in ((0.1, 1), (0.35, 3), (0.01, 1)):
        agent = MlpBehaviourCloning(fraction=fraction, fraction_of="episodes")
        found = agent.learns_from(EPISODES)
        assert found is not None
        best = np.argsort(EPISODES.returns)[::-1][:count]
        assert set(found.tolist()) == set(best.tolist())
        assert agent.facts(None) == {"learns_from": f"best {fraction:.0%} of episodes"}  # type: ignore[arg-type]


def test_all_of_it_is_all_of_it() -> None:
    """Rounding must not lose an episode of plain cloning."""
    assert BehaviourCloning().learns_from(EPISODES) is None
    for wrong in (0.0, 1.5, float("nan")):
        with pytest.raises(SeqrlError, match="fraction is a share"):
            BehaviourCloning(fraction=wrong)


def test_cloning_asks_for_nothing() -> None:
    """A target that is taken and ignored looks like a result."""
    with pytest.raises(SeqrlError, match="asks for no return"):
        BehaviourCloning().asking(1800.0)
    assert "return_to_go" not in [part.name for part in BehaviourCloning().layout().parts]
