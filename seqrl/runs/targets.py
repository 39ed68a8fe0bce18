"""Playing one checkpoint at many targets: does it get what it is asked for?

A target that is finished stays in the file; the same command goes on with the others.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from seqrl.data.alone import alone
from seqrl.errors import SeqrlError
from seqrl.evaluation import play
from seqrl.policy import Policy
from seqrl.progress import Progress, silent
from seqrl.runs.origin import Origin, in_cells
from seqrl.runs.record import facts_in_words
from seqrl.runs.sweep import AskedEpisode, Sweep, take_up, write_sweep
from seqrl.runs.table import make_room
from seqrl.tasks.task import Task
from seqrl.tokens.tokenizer import DataFacts

BEYOND = 1.5
"""How far usual targets reach, where 1 is the best return in the training data: the Decision
Transformer's paper asks beyond it too."""


def targets_for(policy: Policy, points: int) -> list[float]:
    """Return evenly spaced targets: all that an agent can be asked for, where that has an end, else
    what is usual."""
    tokenizer = policy.model.tokenizer
    if (ends := policy.agent.askable(tokenizer)) is None:
        return usual_targets(tokenizer.data, policy.task, points)
    least, most = ends
    return [least + (most - least) * point / (points - 1) for point in range(points - 1)] + [most]


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
    about = {
        "reference_minimum": reference.minimum if reference else None,
        "reference_maximum": reference.maximum if reference else None,
    }
    # How it plays, whatever it is asked for.
    facts = {name: fact for name, fact in origin.facts.items() if not name.startswith("target_")}
    plays = {"plays": facts_in_words(facts)} if facts else {}
    return Sweep(
        about={**origin.columns(), **plays, **in_cells(about)},
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
    if ends := policy.agent.askable(policy.model.tokenizer):
        for target in targets:
            if not ends[0] <= target <= ends[1]:
                raise SeqrlError(
                    f"{type(policy.agent).__name__} cannot be asked for {target:g}: its data has "
                    f"returns from {ends[0]:g} to {ends[1]:g}. Say --targets between them."
                )
    make_room(file)
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
