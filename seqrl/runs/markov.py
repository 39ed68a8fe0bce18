"""The Markov model beside a Trajectory Transformer: as large, trained as long, on the same data and
bins, but with windows of two steps; so what it imagines depends on the present step alone.

It is trained once, and lies beside the checkpoint. Killed, the training goes on where it was.
"""

import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from seqrl.agents.agent import Agent
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.data.alone import alone
from seqrl.data.source import open_episodes
from seqrl.data.whole import sha256_of
from seqrl.episodes import Episodes
from seqrl.errors import DataError, SeqrlError, told_plainly
from seqrl.plain import to_plain
from seqrl.policy import Policy
from seqrl.progress import Progress, silent
from seqrl.runs.identity import code_of, hash_over
from seqrl.runs.learning import trainer_of
from seqrl.runs.parting import parted
from seqrl.tokens.tokenizer import DataFacts

_log = logging.getLogger(__name__)

STEPS = 2
"""Of its windows: the present step, and what is seen after it."""


@dataclass(frozen=True, eq=False)
class Markov:
    """The Markov model of a checkpoint."""

    policy: Policy
    sha256: str
    """Of its own checkpoint."""


def markov_agent(agent: TrajectoryTransformer) -> TrajectoryTransformer:
    """Return the same agent with a window that has no room for a past."""
    search = replace(agent.search, context_steps=STEPS, window="published")
    return replace(agent, window_steps=STEPS, search=search)


def markov_place(checkpoint: Path) -> Path:
    """Return where the Markov model of a checkpoint lies."""
    return checkpoint.with_name(f"{checkpoint.stem}-markov.safetensors")


def markov_of(policy: Policy, file: Path, *, progress: Progress = silent) -> Markov:
    """Return the Markov model of a checkpoint, from `file`; trained first, if need be."""
    assert isinstance(policy.agent, TrajectoryTransformer)
    agent, seed = markov_agent(policy.agent), policy.about.get("seed", 0)
    device = str(next(policy.model.parameters()).device)
    hash_ = _hash_of(agent, policy, seed)
    lock = file.with_name(f".{file.name}.lock")
    doing = "training a Markov model"
    with told_plainly(file, doing), alone(lock, f"training {file}", progress):
        found = Policy.load(file, device) if file.exists() else None
        if found is not None and found.about.get("hash") != hash_:
            _log.warning("%s is of another checkpoint: training it again.", file)
            found = None
        if found is None:
            _train(agent, policy, file, seed=seed, hash_=hash_, device=device, progress=progress)
            found = Policy.load(file, device)
        shutil.rmtree(_work_of(file, hash_), ignore_errors=True)  # a kill may have left it
        lock.unlink(missing_ok=True)
    return Markov(found, sha256_of(file))


def _train(
    agent: TrajectoryTransformer,
    policy: Policy,
    file: Path,
    *,
    seed: int,
    hash_: str,
    device: str,
    progress: Progress,
) -> None:
    """Train it, or what is left of it, with the bins that the checkpoint has."""
    tokenizer = policy.model.tokenizer
    episodes = _same_data(tokenizer.data)
    trainer = trainer_of(
        agent,
        policy.task,
        replace(tokenizer, layout=agent.layout()),
        episodes,
        parted(agent, episodes),
        seed=seed,
        hash_=hash_,
        folder=_work_of(file, hash_),
        device=device,
        progress=_named(progress),
    )
    trainer.until(agent.training.updates)
    trainer.write_policy(file)


def _work_of(file: Path, hash_: str) -> Path:
    return file.with_name(f".{file.stem}-{hash_[:8]}")


def _hash_of(agent: Agent, policy: Policy, seed: int) -> str:
    """Return the hash over what the Markov model depends on."""
    return hash_over(
        {
            "agent": to_plain(agent),
            "code": code_of(agent),
            "fingerprint": policy.model.tokenizer.data.fingerprint,
            "task": policy.task.name,
            "seed": seed,
        }
    )


def _named(progress: Progress) -> Progress:
    """Say of a training that it is the Markov model's."""

    def told(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        progress(f"{doing} the Markov model", done, total, unit, note)

    return told


def _same_data(data: DataFacts) -> Episodes:
    """Open the data that a checkpoint was trained on."""
    without = "Or draw the figure without the Markov model: --without-markov."
    try:
        episodes = open_episodes(data.name)
    except SeqrlError as error:
        raise DataError(
            f"The Markov model is trained on the checkpoint's own data, {data.name}. {error} "
            f"{without}"
        ) from error
    if episodes.fingerprint != data.fingerprint:
        raise DataError(
            f"The checkpoint was trained on {data.name} with the fingerprint "
            f"{data.fingerprint[:8] or '(none)'}, and here it has {episodes.fingerprint[:8]}: a "
            f"Markov model of other data cannot stand beside it. {without}"
        )
    return episodes
