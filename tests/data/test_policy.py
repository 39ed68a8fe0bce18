"""Behaviour policies: the same bits everywhere, the right distribution."""

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from seqrl.data.policy import FOLDER, GRID, ActorPolicy, UniformPolicy, in_order, on_grid

FILES = sorted(FOLDER.rglob("*.safetensors"))


def test_package_ships_few_and_small_policies() -> None:
    """At most 12 MB travel with the package."""
    assert len(FILES) == 30
    assert sum(file.stat().st_size for file in FILES) < 12e6


def test_sums_are_added_in_order() -> None:
    """A library's matrix product adds in another order on another processor."""
    generator = np.random.default_rng(0)
    x, kernel = generator.standard_normal((3, 40)), generator.standard_normal((40, 5))
    bias = generator.standard_normal(5)
    for row in range(3):
        for column in range(5):
            total = 0.0
            for k in range(40):
                total += float(x[row, k]) * float(kernel[k, column])
            assert in_order(x, kernel, bias)[row, column] == total + float(bias[column])
    exact = sum(
        Fraction(float(a)) * Fraction(float(b)) for a, b in zip(x[0], kernel[:, 0], strict=True)
    )
    assert in_order(x, kernel, bias)[0, 0] - bias[0] == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("file", FILES[::7], ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_actions_and_densities_are_those_of_the_squashed_gaussian(file: Path) -> None:
    """torch's own distribution is the judge; a wrong log-density would spoil importance weights."""
    policy = ActorPolicy.load(file)
    weights = {name: (torch.tensor(k), torch.tensor(b)) for name, (k, b) in policy.weights.items()}
    generator = np.random.default_rng(1)
    width, actions = policy.weights["hidden_1"][0].shape[0], policy.weights["mean"][1].size
    observations = generator.standard_normal((50, width)).astype(np.float32)
    noise = policy.noise(generator, 50, actions)
    acted, log_probabilities = policy.act(observations, noise)

    x = torch.tensor(observations, dtype=torch.float64)
    for layer in ("hidden_1", "hidden_2"):
        x = torch.relu(x @ weights[layer][0] + weights[layer][1])
    mean = x @ weights["mean"][0] + weights["mean"][1]
    log_deviation = x @ weights["log_deviation"][0] + weights["log_deviation"][1]
    deviation = log_deviation.clamp(-20, 2).exp()
    before = mean + deviation * torch.tensor(noise)
    np.testing.assert_allclose(acted, torch.tanh(before).numpy(), atol=GRID)
    squashed = TransformedDistribution(Normal(mean, deviation), [TanhTransform(cache_size=1)])
    density = Independent(squashed, 1)
    moderate = (before.abs() < 4).all(1).numpy()  # torch inverts tanh, we do not have to
    sample = torch.tanh(before)
    expected = density.log_prob(sample).numpy()  # type: ignore[no-untyped-call]
    np.testing.assert_allclose(log_probabilities[moderate], expected[moderate], atol=1e-3)
    assert moderate.sum() > 10


def test_actions_lie_on_the_grid_within_bounds_and_fit_float32() -> None:
    """What is stored must be exactly what was stepped."""
    policy = ActorPolicy.load(FILES[0])
    width = policy.weights["hidden_1"][0].shape[0]
    generator = np.random.default_rng(2)
    observations = 50 * generator.standard_normal((200, width)).astype(np.float32)
    acted, _ = policy.act(
        observations, policy.noise(generator, 200, policy.weights["mean"][1].size)
    )
    assert (np.abs(acted) <= 1).all()
    np.testing.assert_array_equal(acted, acted.astype(np.float32))
    np.testing.assert_array_equal(acted / GRID, np.round(acted / GRID))
    np.testing.assert_array_equal(on_grid(acted), acted)


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    """Episodes are played in batches of changing size: the bits must not."""
    policy = ActorPolicy.load(FILES[-1])
    width, actions = policy.weights["hidden_1"][0].shape[0], policy.weights["mean"][1].size
    generator = np.random.default_rng(3)
    observations = generator.standard_normal((33, width)).astype(np.float32)
    noise = policy.noise(generator, 33, actions)
    together, densities = policy.act(observations, noise)
    for row in range(33):
        one, density = policy.act(observations[row : row + 1], noise[row : row + 1])
        np.testing.assert_array_equal(one[0], together[row])
        assert density[0] == densities[row]


def test_random_actions_are_uniform() -> None:
    """D4RL's random sets draw from the action space, not from an untrained network."""
    policy = UniformPolicy()
    noise = policy.noise(np.random.default_rng(4), 20_000, 3)
    acted, densities = policy.act(np.zeros((20_000, 11), np.float32), noise)
    assert np.abs(acted.mean(0)).max() < 0.02
    np.testing.assert_allclose(acted.std(0), 1 / np.sqrt(3), atol=0.01)
    np.testing.assert_allclose(densities, -3 * np.log(2), atol=GRID)


PLAY = """
import json, sys
import numpy as np
from seqrl.data.policy import FOLDER, ActorPolicy
from seqrl.data.player import play
from seqrl.episodes import digest_of
from seqrl.tasks.d4rl import ENTRIES
task = ENTRIES["d4rl/hopper-medium-v2"].task
played = play(task, ActorPolicy.load(FOLDER / "hopper/0330000.safetensors"), "x", range(3))
print(json.dumps({name: digest_of(column) for name, column in played.items()}))
"""


def test_an_older_processor_plays_the_same_episodes() -> None:
    """numpy picks its kernels by processor: without its fast ones, every bit must stay."""
    outputs = []
    for disabled in ("", "AVX512F AVX512_SKX AVX2 FMA3 X86_V3 X86_V4"):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PLAY],
            env={**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append(json.loads(done.stdout))
    assert outputs[0] == outputs[1]
