"""Sweeps for tests, made of plain numbers."""

from collections.abc import Mapping, Sequence

from seqrl.runs.sweep import AskedEpisode, Sweep

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
