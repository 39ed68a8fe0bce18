"""Playing with one network on both sides: ours many episodes at once, theirs one at a time.

Letters: T steps in sight, o observation width, a action width.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DecisionTransformerModel

from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.target import target_return
from seqrl.episodes import Array
from seqrl.evaluation import environment_seed, play
from seqrl.nets.token_model import TokenModel
from seqrl.policy import Policy
from seqrl.progress import Progress, silent
from seqrl.speed.published import published
from seqrl.tasks.environment import make

FEW, STEPS = 3, 1000
"""Episodes and steps that theirs plays at least, before ours and again after, unless it runs out of
episodes: enough for a stable time a step."""

COMPARED = 50
"""Steps at the beginning of an episode in which actions are compared. Later a difference in the
last bits has grown: bodies that fall are chaotic."""


@dataclass
class Pace:
    """How fast one side played."""

    seconds: float = 0.0
    steps: int = 0
    episodes: int = 0

    @property
    def per_step(self) -> float:
        """Seconds a step of one episode."""
        return self.seconds / self.steps

    @property
    def per_episode(self) -> float:
        """Seconds an episode."""
        return self.seconds / self.episodes


@dataclass(frozen=True)
class Match:
    """Both sides on the same episodes."""

    ours: Pace
    theirs: Pace
    returns: list[tuple[float, float]]
    """Ours and theirs, of each episode that both played."""
    apart: float
    """The largest difference of an action in the first steps of an episode."""
    compared: int
    """How many steps that were."""

    @property
    def times_faster(self) -> float:
        """How many times as fast ours is: a step against a step, since ours plays more episodes and
        they differ in length."""
        return self.theirs.per_step / self.ours.per_step


@dataclass(eq=False)
class OneAtATime:
    """Their network at play as its users do it: the last steps in growing tensors, one forward pass
    a step."""

    policy: Policy
    """Ours, for all but the network."""
    model: DecisionTransformerModel
    environment: Any
    pace: Pace = field(default_factory=Pace)
    played: list[tuple[float, Array]] = field(default_factory=list)
    """Return and actions [T, a] of each episode so far."""

    @classmethod
    def of(cls, policy: Policy) -> "OneAtATime":
        """Begin with our weights."""
        assert isinstance(policy.model, TokenModel)
        return cls(policy, published(policy.model).train(False), make(policy.task))

    def some(self, seeds: Sequence[int], progress: Progress) -> None:
        """Play the next few of the episodes that begin with these seeds."""
        first, steps = len(self.played), self.pace.steps
        for seed in seeds[first:]:
            if len(self.played) >= first + FEW and self.pace.steps >= steps + STEPS:
                return
            began = time.perf_counter()
            self.played.append(self.episode(seed))
            self.pace.seconds += time.perf_counter() - began
            self.pace.steps += len(self.played[-1][1])
            self.pace.episodes += 1
            progress("transformers plays", self.pace.steps, 0, "steps")

    @property
    def agent(self) -> DecisionTransformer:
        """What is asked for, and how far back is looked."""
        assert isinstance(self.policy.agent, DecisionTransformer)
        return self.policy.agent

    @torch.no_grad()
    def episode(self, seed: int) -> tuple[float, Array]:
        """Play an episode; its return, and its actions [T, a]."""
        task, device, agent = self.policy.task, self.model.device, self.agent
        wanted = target_return(agent.target, self.policy.model.tokenizer.data)
        states = torch.empty(0, task.observation_width, device=device)
        actions = torch.empty(0, task.action_width, device=device)
        returns_to_go = torch.empty(0, 1, device=device)
        observation = self.environment.reset(seed=seed)[0]
        total, done = 0.0, []
        for step in range(task.horizon):
            states = self._with(states, self._scaled(observation))
            heard = 0.0 if task.rewards_at_end else total
            returns_to_go = self._with(returns_to_go, (wanted - heard) / agent.return_scale)
            actions = self._with(actions, 0.0)
            action = self._next(states, actions, returns_to_go, step)
            actions[-1] = action
            done.append(action.cpu().numpy())
            observation, reward, terminated, truncated, _ = self.environment.step(done[-1])
            total += float(reward)
            if terminated or truncated:
                break
        return total, np.array(done)

    def _next(self, states: Tensor, actions: Tensor, returns_to_go: Tensor, step: int) -> Tensor:
        size = len(states)
        predicted: Tensor = self.model(
            states=states[None],
            actions=actions[None],
            returns_to_go=returns_to_go[None],
            timesteps=torch.arange(step + 1 - size, step + 1, device=states.device)[None],
            attention_mask=torch.ones(1, size, dtype=torch.long, device=states.device),
            return_dict=True,
        ).action_preds
        return predicted[0, -1]

    def _with(self, seen: Tensor, new: Tensor | float) -> Tensor:
        """Return what is in sight once a step has come to it."""
        row = torch.as_tensor(new, dtype=seen.dtype, device=seen.device).expand(1, seen.shape[1])
        return torch.cat([seen, row])[-self.agent.context_steps :]

    def _scaled(self, observation: Array) -> Tensor:
        kept = observation[: self.policy.task.observation_width].astype(np.float32)
        return torch.from_numpy(self.policy.model.tokenizer.scaled("observation", kept))


def match(policy: Policy, *, seed: int, episodes: int, progress: Progress = silent) -> Match:
    """Play `episodes` with ours, and as many of the same ones with theirs as a stable time needs.

    Theirs plays some before ours and some after, so that a machine which slows down meanwhile slows
    both.
    """
    task, numbers = policy.task, range(episodes)
    seeds = [environment_seed(seed, task.name, number) for number in numbers]
    theirs, doing = OneAtATime.of(policy), f"seqrl plays {episodes} episodes"
    theirs.some(seeds, progress)
    began = time.perf_counter()
    ours = play(
        policy.agent, policy.model, task, seed=seed, numbers=numbers, progress=progress, doing=doing
    )
    seconds = time.perf_counter() - began
    theirs.some(seeds, progress)
    first = theirs.played[0][1][:COMPARED]
    return Match(
        ours=Pace(seconds, sum(episode.length for episode in ours), len(ours)),
        theirs=theirs.pace,
        returns=[(a.return_, b) for a, (b, _) in zip(ours, theirs.played, strict=False)],
        apart=_apart(policy, theirs.environment, first, seeds[0]),
        compared=len(first),
    )


def _apart(policy: Policy, environment: Any, expected: Array, seed: int) -> float:
    """Play the beginning of an episode with ours, alone, and compare its actions with theirs."""
    observation, reward, furthest = environment.reset(seed=seed)[0], None, 0.0
    policy.reset()
    for wanted in expected:
        action = policy.act(observation[: policy.task.observation_width], reward)
        furthest = max(furthest, float(np.abs(action - wanted).max()))
        observation, reward, *_ = environment.step(action)
    return furthest
