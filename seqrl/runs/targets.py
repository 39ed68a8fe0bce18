"""Playing one checkpoint at many targets: does it get what it is asked for?

A target that is finished stays in the file; the same command goes on with the others.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from seqrl.data.alone import alone
from seqrl.errors import SeqrlError, told_plainly
from seqrl.evaluation import play
from seqrl.policy import Policy
from seqrl.progress import Progress, silent
from seqrl.runs.origin import Origin
from seqrl.runs.sweep import AskedEpisode, Sweep, take_up, write_sweep
from seqrl.tasks.task import Task
from seqrl.tokens.tokenizer import DataFacts

BEYOND = 1.5
"""How far usual targets reach, where 1 is the best return in the training data: the Decision
Transformer's paper asks beyond it too."""


def usual_targets(data: DataFacts, task: Task, points: int) -> list[float]:
    """Return evenly spaced targets, from a random policy's return to beyond the best in the data.

    Where nobody says what a random policy gets, they begin at zero; or, where even the best is
    below that, as far below the mean as the best lies above it. With 10 points, or 4, or 13, one of
    them is the best in the data itself, which is what most agents are run with.
    """
    best = data.best_return
    mirrored = 2 * data.mean_return - best
    low = task.reference.minimum if task.reference else 0.0
    if low >= best:
        low = mirrored
    if low >= best:
        raise SeqrlError(
            f"All episodes of {data.name} have the return {best:g}, so there is no usual range of "
            "targets. Say --targets."
        )
    if points < 2:
        raise SeqrlError(f"--points must be 2 or more, not {points}.")
    last = points - 1
    return [low + (best - low) * (BEYOND * point / last) for point in range(points)]


def targets_in(text: str) -> list[float]:
    """Read targets that a person has written: 0,500,1000."""
    try:
        found = sorted({float(item) for item in text.split(",") if item.strip()})
    except ValueError as error:
        raise SeqrlError(f"--targets {text}: {error}. Say numbers, as 0,500,1000.") from error
    if not found or not all(map(math.isfinite, found)):
        raise SeqrlError(f"--targets {text}: say finite numbers, as 0,500,1000.")
    return found


def begin(policy: Policy, origin: Origin, episodes: int) -> Sweep:
    """Return the sweep of a checkpoint before anything is played."""
    data, reference = policy.model.tokenizer.data, policy.task.reference
    return Sweep(
        about={
            **origin.columns(),
            "reference_minimum": str(reference.minimum) if reference else "",
            "reference_maximum": str(reference.maximum) if reference else "",
        },
        episodes=episodes,
        best_in_data=data.best_return,
        mean_in_data=data.mean_return,
    )


def play_targets(
    policy: Policy,
    origin: Origin,
    targets: Sequence[float],
    *,
    episodes: int,
    file: Path,
    progress: Progress = silent,
) -> Sweep:
    """Play what is not in `file` yet; everything that is in it then."""
    policy.asking(targets[0])  # an agent that asks for nothing says so before anything is played
    with told_plainly(file.parent, "making the folder for a table"):
        file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.with_name(f".{file.name}.lock")
    with alone(lock, f"playing for {file}", progress):
        sweep = take_up(file, begin(policy, origin, episodes))
        for number, asked in enumerate(targets, 1):
            if asked in sweep.targets:
                continue
            doing = f"target {number} of {len(targets)}: asking for {asked:,.1f}"
            sweep = sweep.with_rows(_played(policy, asked, episodes, origin.seed, progress, doing))
            write_sweep(file, sweep)
        lock.unlink(missing_ok=True)
    return sweep


def _played(
    policy: Policy, asked: float, episodes: int, seed: int, progress: Progress, doing: str
) -> tuple[AskedEpisode, ...]:
    task = policy.task
    played = play(
        policy.asking(asked).agent,
        policy.model,
        task,
        seed=seed,
        numbers=range(episodes),
        progress=progress,
        doing=doing,
    )
    return tuple(
        AskedEpisode(
            asked=asked,
            episode=one.number,
            environment_seed=one.seed,
            return_=one.return_,
            score=task.scored(one.return_),
            length=one.length,
            terminated=one.terminated,
        )
        for one in played
    )
