"""From an agent and its data to a training: the network, the windows, and what checkpoints say."""

from pathlib import Path
from typing import TYPE_CHECKING

from seqrl.agents.agent import Agent
from seqrl.episodes import Array, Episodes
from seqrl.policy import about_policy
from seqrl.progress import Progress, silent
from seqrl.runs.identity import versions
from seqrl.seeds import seed_for
from seqrl.tasks.task import Task
from seqrl.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from seqrl.training.trainer import Told, Trainer


def trainer_of(
    agent: Agent,
    task: Task,
    tokenizer: Tokenizer,
    episodes: Episodes,
    parts: tuple[Array, Array],
    *,
    seed: int,
    hash_: str,
    folder: Path,
    device: str,
    progress: Progress = silent,
    told: "Told | None" = None,
) -> "Trainer":
    """Take up the training whose state lies in `folder`, or begin.

    `parts` are the numbers of the episodes to train on, and of those held out; `hash_` says in the
    checkpoint what it depends on.
    """
    import torch

    from seqrl.tokens.windows import Windows
    from seqrl.training.trainer import Trainer

    learnt, held_out = parts
    training_seed = seed_for(seed, task.name, "training")
    generator = torch.Generator().manual_seed(seed_for(training_seed, "weights"))
    model = agent.model(tokenizer, generator).to(device)

    def windows(chosen: Array) -> Windows:
        return Windows(tokenizer, episodes, device, chosen)

    return Trainer(
        model,
        windows(learnt),
        agent.training,
        seed=training_seed,
        folder=folder,
        about={
            "hash": hash_,
            "seed": seed,
            "versions": versions(),
            **about_policy(agent, task, tokenizer),
        },
        held_out=windows(held_out) if len(held_out) else None,
        progress=progress,
        told=told,
    )
