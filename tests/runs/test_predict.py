"""Predictions of played episodes, measured in the obvious way."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.episodes import Array, Episode
from seqrl.evaluation import play
from seqrl.nets.token_model import TokenModel
from seqrl.planning.beams import Tokens
from seqrl.planning.settings import BeamSearch
from seqrl.policy import Policy
from seqrl.runs.origin import Origin
from seqrl.runs.predict import imagined_by, predict
from seqrl.runs.stretches import Stretch, stretches_of
from seqrl.speed.slow_planner import scores_of
from tests.runs.making import small, toy_source, write_policy


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a checkpoint that plans quickly."""
    agent = small(TrajectoryTransformer)
    assert isinstance(agent, TrajectoryTransformer)
    search = replace(agent.search, horizon=1, beam_width=1)
    write_policy(replace(agent, search=search), toy_source(), tmp_path / "tt.safetensors")
    return tmp_path / "tt.safetensors"


def stretches_played(policy: Policy, episodes: int, steps: int) -> list[Stretch]:
    whole: dict[int, Episode] = {}
    numbers = range(episodes)
    play(policy.agent, policy.model, policy.task, seed=0, numbers=numbers, whole=whole.__setitem__)
    return stretches_of(whole, past=2, steps=steps, data="toy")


def slowly(policy: Policy, stretch: Stretch) -> Array:
    """Predict one stretch token by token, from the numbers themselves."""
    model = policy.model
    assert isinstance(model, TokenModel)
    tokenizer, size = model.tokenizer, model.tokens_a_step

    def bins(name: str, values: Array) -> list[int]:
        return [int(bin_) for bin_ in tokenizer.encode(name, np.atleast_1d(values))]

    seen: list[int] = []
    past = stretch.past
    for observation, action, reward in zip(
        past.observations, past.actions, past.rewards, strict=True
    ):
        seen += bins("observation", observation) + bins("action", action)
        seen += [*bins("reward", reward), 0]
    seen += bins("observation", stretch.now)
    found: list[Tokens] = []
    for action in stretch.actions:
        seen += bins("action", action)
        seen = seen[max(0, len(seen) // size - 2) * size :]
        for _ in range(2 + 3):
            scores = scores_of(model, BeamSearch(window="full"), torch.tensor([seen]), {})[:, :20]
            seen.append(int(scores.argmax()))
        found.append(np.array(seen[-3:]))
    return tokenizer.decode("observation", np.array(found))


def test_predictions_are_those_of_the_numbers_themselves(file: Path) -> None:
    """Parts in each other's places, or actions of another step, would look like a bad model."""
    policy = Policy.load(file)
    stretches = stretches_played(policy, 10, 10)
    assert len({len(stretch.simulated) for stretch in stretches}) > 1
    with torch.no_grad():
        found = imagined_by(policy, stretches, 10)
        for row, stretch in enumerate(stretches):
            expected = slowly(policy, stretch)
            np.testing.assert_array_equal(found[row, : len(expected)], expected)


def test_a_stretch_does_not_depend_on_the_others(file: Path) -> None:
    """Its error would change with --episodes."""
    policy = Policy.load(file)
    stretches = stretches_played(policy, 12, 5)
    assert len(stretches) > 25, "more than are computed together"
    together = imagined_by(policy, stretches, 5)
    for row in (0, 7, len(stretches) - 1):
        alone = imagined_by(policy, [stretches[row]], 5)
        np.testing.assert_array_equal(alone[0], together[row])


def test_the_yardsticks_are_what_they_say(file: Path) -> None:
    """A floor that is too high makes every model look good."""
    policy = Policy.load(file)
    found = predict(policy, Origin.of(file, policy, 0), None, steps=4, episodes=5)
    assert found.models == ["checkpoint", "unchanged", "bins"]
    assert (found.windows, found.markov_sha256, found.left_out) == ({"checkpoint": 4}, None, ())
    stretches = stretches_played(policy, 5, 4)
    edges = policy.model.tokenizer.edges["observation"]
    scale = [
        (np.interp(16.8, range(21), own) - np.interp(3.2, range(21), own)) / 2 for own in edges
    ]

    def nearest(value: float, own: Array) -> float:
        """Return the middle of the bin that a value lies in, or next to which it lies."""
        inside = [k for k in range(20) if own[k] <= value < own[k + 1]]
        at = inside[0] if inside else 0 if value < own[0] else 19
        return float((own[at] + own[at + 1]) / 2)

    for ahead in range(4):
        errors: dict[str, dict[int, list[float]]] = {"unchanged": {}, "bins": {}}
        for stretch in stretches:
            if ahead >= len(stretch.simulated):
                continue
            seen = stretch.simulated[ahead].tolist()
            binned = [nearest(value, own) for value, own in zip(seen, edges, strict=True)]
            for name, said in (("unchanged", stretch.now.tolist()), ("bins", binned)):
                off = [(a - b) / c for a, b, c in zip(said, seen, scale, strict=True)]
                error = math.sqrt(sum(one**2 for one in off) / 3)
                errors[name].setdefault(stretch.number, []).append(error)
        for name, by_episode in errors.items():
            row = found.of(name)[ahead]
            means = [sum(own) / len(own) for own in by_episode.values()]
            assert row.error == pytest.approx(sum(means) / len(means), rel=1e-5)
            assert row.episodes == len(means)


def test_the_example_is_the_first_that_reaches_furthest(file: Path) -> None:
    """One that is chosen by its looks proves nothing."""
    policy = Policy.load(file)
    example = predict(policy, Origin.of(file, policy, 0), None, steps=6, episodes=4).example
    stretches = stretches_played(policy, 4, 6)
    reach = max(len(stretch.simulated) for stretch in stretches)
    first = next(stretch for stretch in stretches if len(stretch.simulated) == reach)
    assert (example.episode, example.begin, example.dimensions) == (
        first.number,
        first.begin,
        (0, 1, 2),
    )
    np.testing.assert_array_equal(example.simulated, first.simulated)
    expected = imagined_by(policy, [first], 6)[0]
    np.testing.assert_array_equal(example.predicted["checkpoint"], expected[:reach])
