"""Policy: a trained agent out of one file. It needs no data, and no environment either.

A checkpoint holds weights, agent, task, and all that the tokenizer took from the data.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqrl.agents.agent import Agent
from seqrl.episodes import Array, History
from seqrl.errors import DataError, SeqrlError
from seqrl.evaluation import checked, generator_of
from seqrl.plain import declaration, from_plain, to_plain
from seqrl.tasks.task import Task, task_from
from seqrl.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from seqrl.nets.model import Model


def about_policy(agent: Agent, task: Task, tokenizer: Tokenizer) -> dict[str, Any]:
    """Return what a checkpoint says of the policy in it, as plain data."""
    return {
        "agent": to_plain(agent),
        "layout": declaration(tokenizer.layout),
        "task": dataclasses.asdict(task),
        "tokenizer": tokenizer.plain(),
    }


@dataclass(eq=False)
class Policy:
    """An agent with its weights, playing one episode at a time: `reset`, then `act` every step."""

    agent: Agent
    model: "Model"
    task: Task
    about: Mapping[str, Any]
    """All that the checkpoint says of where it comes from."""

    seed: int = 0
    """Of the agent's own chance, where it has some."""

    @classmethod
    def load(cls, checkpoint: str | Path, device: str = "cpu") -> "Policy":
        """Read a checkpoint that `seqrl run` wrote."""
        import torch

        from seqrl.training.checkpoint import named, read_checkpoint
        from seqrl.training.device import device_named

        file = Path(checkpoint).expanduser()
        device = device_named(device)
        tensors, about = read_checkpoint(file)
        try:
            agent: Agent = from_plain(Agent, about["agent"])
            task = task_from(about["task"])
            layout = agent.layout()
            if declaration(layout) != about["layout"]:
                raise DataError(
                    f"{file} was trained with another layout than {type(agent).__name__} declares "
                    f"now. Then: {about['layout']}. Now: {declaration(layout)}."
                )
            arrays = {n: t.numpy() for n, t in named(tensors, "tokenizer.").items()}
            tokenizer = Tokenizer.restored(layout, about["tokenizer"], arrays)
            model = agent.model(tokenizer, torch.Generator())
            model.load_state_dict(named(tensors, "weights."))
        except (KeyError, TypeError, RuntimeError) as error:
            raise DataError(
                f"{file} says it is a checkpoint of seqrl, but something is missing or does not "
                f"fit: {error}."
            ) from error
        return cls(agent, model.eval().to(device), task, about)

    def asking(self, wanted: float) -> "Policy":
        """Return the same policy asking for another return."""
        return dataclasses.replace(self, agent=self.agent.asking(wanted))

    def __post_init__(self) -> None:
        """Begin before the first episode."""
        self._history: History | None = None
        self._episode = 0
        self._acted = np.zeros((1, self.task.action_width), np.float32)

    def reset(self) -> None:
        """Forget the episode; the next observation begins another."""
        self._history = None
        self._episode += 1

    def act(self, observation: Array, reward: float | None = None) -> Array:
        """Return the action [a] for an observation [o]; `reward` is what the last action got.

        The first call after `reset` begins an episode and takes no reward.
        """
        seen = np.asarray(observation, np.float32)[None]
        if seen.shape != (1, self.task.observation_width):
            raise SeqrlError(
                f"The observation has shape {list(seen.shape[1:])}; {self.task.name} shows "
                f"[{self.task.observation_width}]."
            )
        if not (np.isfinite(seen).all() and np.isfinite(0.0 if reward is None else reward)):
            raise SeqrlError(f"Observation and reward must be finite, not {seen[0]} and {reward}.")
        if self._history is None:
            if reward is not None:
                raise SeqrlError(
                    "A reward was given with the first observation of an episode, before any "
                    "action. Leave it out there, and call reset() between episodes."
                )
            generators = [generator_of(self.seed, self.task, self._episode)]
            self._history = History(
                seen,
                action_width=self.task.action_width,
                horizon=self.task.horizon,
                generators=generators,
            )
        else:
            if reward is None:
                raise SeqrlError(
                    "What the last action got is missing: act(observation, reward). To begin "
                    "another episode, call reset() first."
                )
            if self._history.step + 1 >= self.task.horizon:
                raise SeqrlError(
                    f"An episode of {self.task.name} ends after {self.task.horizon} steps: call "
                    "reset() before the next."
                )
            heard = 0.0 if self.task.rewards_at_end else reward
            self._history.add(self._acted, np.array([heard]), seen)
        history = self._history
        self._acted = checked(self.agent.act(self.model, history), history, self.task)
        return np.array(self._acted[0])
