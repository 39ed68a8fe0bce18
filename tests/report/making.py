"""Scores, sweeps, looks, plans and predictions for tests, made of plain numbers."""

from collections.abc import Mapping, Sequence

import numpy as np

from seqrl.report.scores import Tasks
from seqrl.runs.imagined import Imagined, Plan
from seqrl.runs.looks import Looks, Token
from seqrl.runs.prediction import Example, HorizonError, Prediction
from seqrl.runs.sweep import AskedEpisode, Sweep
from seqrl.tasks.poses import Poses

ABOUT = {
    "agent": "DecisionTransformer",
    "data": "seqrl/hopper-medium-v1",
    "fingerprint": "0123456789abcdef",
    "environment": "Hopper-v4",
    "updates": "2000",
    "training_seed": "3",
    "imported": "",
    "checkpoint_sha256": "fedcba9876543210",
    "seed": "7",
    "precision": "float32",
    "reference_minimum": "0.0",
    "reference_maximum": "200.0",
    "python": "3.11.0",
    "torch": "2.8.0",
    "mujoco": "3.3.0",
}


def tasks_of(*rows: Sequence[float]) -> Tasks:
    """Make the scores of one agent: a row a task, a number a seed."""
    return [np.array(row, np.float64) for row in rows]


def sweep_of(returns: Mapping[float, Sequence[float]], *, best: float, mean: float = 5.0) -> Sweep:
    """Make a sweep of each target's returns."""
    rows = tuple(
        AskedEpisode(
            asked=asked,
            episode=number,
            environment_seed=100 + number,
            return_=float(return_),
            score=float(return_) / 2,
            length=number + 1,
            terminated=number % 2 == 0,
        )
        for asked, found in returns.items()
        for number, return_ in enumerate(found)
    )
    episodes = len(next(iter(returns.values())))
    return Sweep(about=ABOUT, episodes=episodes, best_in_data=best, mean_in_data=mean, rows=rows)


def looks_of(*, steps: int, goals: int = 0, heads: int = 2) -> Looks:
    """Make random looks of two layers; a step is two observations, an action, a hidden value."""
    block = [("observation", 0), ("observation", 1), ("action", 0), ("value", 0)]
    tokens = [
        *(
            Token(part="goal_observation", label=f"goal {i}", step=None, attended=True, known=True)
            for i in range(goals)
        ),
        *(
            Token(
                part=part,
                label=f"{part}[{dimension}]",
                step=step,
                attended=part != "value",
                known=part != "value",
            )
            for step in range(steps)
            for part, dimension in block
        ),
    ]
    may = np.tri(len(tokens)) * np.array([token.attended for token in tokens])
    drawn = np.random.default_rng(0).random((2, heads, len(tokens), len(tokens))) * may
    weights = drawn / drawn.sum(-1, keepdims=True)
    return Looks(about=ABOUT, caption="All of it.", tokens=tuple(tokens), weights=weights)


def imagined_of(steps: Sequence[int], *, horizon: int, length: int, bodies: bool) -> Imagined:
    """Make plans at these steps of an episode; what is imagined is too high, the more the later."""
    simulated = np.arange(3.0 * (length + 1)).reshape(-1, 3)
    plans = []
    for step in steps:
        ahead = np.arange(horizon)[:, None]
        imagined = 3.0 * (step + ahead) + np.arange(3) + 0.1 * ahead
        alive = len(simulated[step : step + horizon])
        poses = [
            Poses(ends=np.arange(n * 4.0).reshape(n, 1, 2, 2), radii=np.array([0.1]))
            for n in (horizon, alive)
        ]
        plans.append(
            Plan(
                step=step,
                imagined=imagined,
                ends=step == steps[-1],
                bodies=(poses[0], poses[1]) if bodies else None,
            )
        )
    return Imagined(
        about=ABOUT,
        caption="All of it.",
        names=("observation[0]", "observation[1]", "observation[2]"),
        meanings=("height", "angle", "height velocity"),
        simulated=simulated,
        plans=tuple(plans),
    )


def prediction_of(errors: Mapping[str, Sequence[float]]) -> Prediction:
    """Make a prediction of each model's errors; the last has no standard error."""
    rows = tuple(
        HorizonError(
            model=model,
            horizon=ahead,
            error=error,
            standard_error=0.01 if ahead < len(found) else None,
            stretches=9 - ahead,
            episodes=2,
        )
        for model, found in errors.items()
        for ahead, error in enumerate(found, 1)
    )
    steps = len(next(iter(errors.values())))
    line = np.arange(steps, dtype=np.float32)[:, None]
    example = Example(
        episode=1,
        begin=17,
        dimensions=(0, 3),
        simulated=np.concatenate([line, -line], 1),
        predicted={
            model: np.concatenate([line + place, -line - place], 1)
            for place, model in enumerate(errors, 1)
        },
    )
    return Prediction(
        about=ABOUT,
        plays="plans 5 steps",
        episodes=3,
        windows={"checkpoint": 4, "markov": 2},
        markov_sha256="aabbccdd" * 8 if "markov" in errors else None,
        left_out=(),
        rows=rows,
        example=example,
    )
