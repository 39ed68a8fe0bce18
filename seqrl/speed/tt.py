"""How long the Trajectory Transformer takes to decide, under both window rules, and how many times
longer the obvious planner takes for the same plans.

Letters: S tokens a step, c classes.
"""

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.nets.model import Model, one_thread
from seqrl.nets.token_model import TokenModel
from seqrl.planning.beam_search import beam_search
from seqrl.planning.live import together_on
from seqrl.planning.settings import BeamSearch
from seqrl.progress import Progress, silent
from seqrl.runs.identity import machine, versions
from seqrl.speed.slow_planner import slow_plan
from seqrl.tasks.d4rl import BODIES
from seqrl.tokens.tokenizer import DataFacts, Tokenizer
from seqrl.training.device import device_named

SEARCHES = {
    "hopper": BeamSearch(horizon=15, beam_width=128),
    "halfcheetah": BeamSearch(horizon=5, beam_width=32),
    "walker2d": BeamSearch(horizon=15, beam_width=128),
}
"""How the authors' code plans for each body, on its medium sets."""

TOGETHER = 8
"""Episodes that are planned at once, beside one."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """How long one decision takes."""

    body: str
    window: str
    horizon: int
    beam_width: int
    seconds: float
    """Of one episode: the middle of all that were timed."""
    least: float
    most: float
    together: float
    """For `TOGETHER` episodes, as many at once as they are while playing."""
    slow: float | None
    """Of the obvious planner; nothing if it was not timed."""
    same: bool | None
    """Whether it came to the same plan."""

    @property
    def times_faster(self) -> float | None:
        """How many times as fast as the obvious planner."""
        return None if self.slow is None else self.slow / self.seconds


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """All of them, and what they must not be told without."""

    decisions: Sequence[Decision]
    repeats: int
    network: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    load: tuple[float, float]

    def plain(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        rows = [{**asdict(one), "times_faster": one.times_faster} for one in self.decisions]
        return {**asdict(self), "decisions": rows}


def measure(
    bodies: Sequence[str],
    *,
    repeats: int,
    slow: bool,
    threads: int = 1,
    device: str = "auto",
    progress: Progress = silent,
) -> Decisions:
    """Time decisions for each body under both rules."""
    torch.set_num_threads(threads)
    place, before = device_named(device), os.getloadavg()[0]
    found = []
    for body in bodies:
        for window in ("published", "full"):
            how = replace(SEARCHES[body], window=window)
            found.append(_timed(body, how, repeats, slow, place, progress))
    network = TrajectoryTransformer().network
    return Decisions(
        decisions=found,
        repeats=repeats,
        network=f"{network.layers} layers, {network.heads} heads, width {network.width}",
        machine=machine(place),
        versions=versions(),
        load=(before, os.getloadavg()[0]),
    )


def untrained(body: str, how: BeamSearch) -> TokenModel:
    """Make the published network for a body, with random weights and random bins.

    The scores are spread as those of a trained one are: with nearly equal ones no class would stand
    out.
    """
    _, observation, action, *_ = BODIES[body]
    needed = how.context_steps + (how.horizon if how.window == "full" else 0)
    agent = TrajectoryTransformer(search=how)
    agent = replace(agent, window_steps=max(agent.window_steps, needed))
    layout, generator = agent.layout(), np.random.default_rng(0)
    widths = {"observation": observation, "action": action, "reward": 1, "value": 1}
    edges = {
        name: np.sort(generator.normal(size=(width, agent.bins.count + 1)), 1)
        for name, width in widths.items()
    }
    facts = DataFacts(
        name="nothing",
        fingerprint="",
        episodes=0,
        steps=0,
        best_return=0.0,
        mean_return=0.0,
        horizon=1000,
    )
    bound = np.ones(action, np.float32)
    tokenizer = Tokenizer(
        layout=layout,
        data=facts,
        widths=widths,
        shifts={},
        scales={},
        edges=edges,
        action_low=-bound,
        action_high=bound,
    )
    model = agent.model(tokenizer, torch.Generator().manual_seed(0))
    spread(model)
    return model.eval()


def spread(model: Model) -> None:
    """Spread the scores of an untrained network: with nearly equal ones plans have other ancestors
    than those of a trained one, and take another time."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(3)


def _timed(
    body: str, how: BeamSearch, repeats: int, slow: bool, device: str, progress: Progress
) -> Decision:
    model = untrained(body, how).to(device)
    draw = np.random.default_rng(1)
    seen = model.places["observation"].stop
    past = draw.integers(0, 100, (TOGETHER, how.context_steps, model.tokens_a_step))
    now = draw.integers(0, 100, (TOGETHER, seen))

    def decided(count: int, number: int) -> tuple[float, np.ndarray[Any, Any]]:
        """Plan for so many episodes, as many at once as they are while playing."""
        generators = [np.random.default_rng((number, episode)) for episode in range(count)]
        at_once, plans = together_on(model.positions.device, how), []
        began = time.perf_counter()
        with one_thread():
            for first in range(0, count, at_once):
                some = slice(first, min(count, first + at_once))
                plans.append(beam_search(model, how, past[some], now[some], generators[some]))
        return time.perf_counter() - began, np.concatenate([found.tokens for found in plans])

    doing = f"{body}, {how.window} window"
    decided(1, 0)  # the first is slower
    alone, together = [], []
    for number in range(repeats):
        progress(doing, number, repeats, "decisions")
        alone.append(decided(1, number)[0])
        together.append(decided(TOGETHER, number)[0])
    progress(doing, repeats, repeats, "decisions")
    taken, same = None, None
    if slow:
        _, fast = decided(1, 0)
        began = time.perf_counter()
        with one_thread():
            plan, _ = slow_plan(
                model,
                how,
                past[0],
                now[0],
                np.random.default_rng((0, 0)),
                told=lambda step: progress(f"{doing}, obvious", step, how.horizon, "steps"),
            )
        taken, same = time.perf_counter() - began, bool((plan == fast[0]).all())
        progress(f"{doing}, obvious", how.horizon, how.horizon, "steps")
    return Decision(
        body=body,
        window=how.window,
        horizon=how.horizon,
        beam_width=how.beam_width,
        seconds=statistics.median(alone),
        least=min(alone),
        most=max(alone),
        together=statistics.median(together),
        slow=taken,
        same=same,
    )
