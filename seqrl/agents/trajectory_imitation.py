"""The Trajectory Transformer's other uses (Janner et al. 2021): imitation, and reaching goals.

The network is the same; what is searched for is the most probable plan, not the best.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from seqrl.agents.target import Target, asked, rule_of, target_return
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.episodes import Array, History
from seqrl.errors import SeqrlError
from seqrl.planning.settings import MostLikely, Search
from seqrl.tokens.layout import Part
from seqrl.tokens.tokenizer import DataFacts, Tokenizer

if TYPE_CHECKING:
    import torch

    from seqrl.nets.token_model import TokenModel


@dataclass(frozen=True, kw_only=True)
class TrajectoryImitation(TrajectoryTransformer):
    """Does what the data most probably would."""

    search: Search = MostLikely()


@dataclass(frozen=True, kw_only=True)
class TrajectoryToGoal(TrajectoryImitation):
    """Does what the data most probably would on the way to a goal, which stands in front of all
    tokens. While training it is what each episode came to.

    What differs from the authors' code: theirs has the last observation of an episode alone as a
    goal, and a network of its own for it.
    """

    acts_by: ClassVar[tuple[str, ...]] = (*TrajectoryTransformer.acts_by, "goal")

    goal: Target | tuple[float, ...] = "best_in_data"
    """The return of the whole episode, by a rule or a number; or an observation to end at, a number
    for each of its dimensions. Within what the data has: there are no bins beyond."""

    def goals(self) -> tuple[Part, ...]:
        """What is wanted: a return, or an observation."""
        wanted = "observation" if isinstance(self.goal, tuple) else "episode_return"
        return (Part(wanted, self.bins),)

    def model(self, tokenizer: Tokenizer, generator: "torch.Generator") -> "TokenModel":
        """The same network, behind a goal of the right width."""
        (name,) = tokenizer.layout.goals
        width = tokenizer.widths[name]
        if isinstance(self.goal, tuple) and len(self.goal) != width:
            raise SeqrlError(
                f"The goal has {len(self.goal)} numbers; an observation of {tokenizer.data.name} "
                f"has {width}."
            )
        return super().model(tokenizer, generator)

    def plan(self, model: "TokenModel", history: History) -> Array:
        """Plan for every row: tokens [B, H, S]."""
        from seqrl.planning.live import planned

        (name,) = model.tokenizer.layout.goals
        goal = np.array(self.wanted(model.tokenizer.data), np.float32).reshape(1, -1)
        return planned(model, self.search, history, {name: goal.repeat(len(history), 0)})

    def wanted(self, data: DataFacts) -> float | tuple[float, ...]:
        """Return the goal as numbers."""
        if isinstance(self.goal, tuple):
            return self.goal
        wanted = target_return(self.goal, data)
        if np.float32(wanted) > np.float32(data.best_return):  # as bins see them
            raise SeqrlError(
                f"The goal is a return of {wanted:g}, and the best of {data.name} is "
                f"{data.best_return:g}: there is no bin for more."
            )
        return wanted

    def facts(self, data: DataFacts) -> dict[str, Any]:
        """Say what is wanted, and by which rule."""
        facts = super().facts(data)
        if isinstance(self.goal, tuple):
            return {**facts, "target_rule": "given", "target_observation": list(self.goal)}
        return {
            **facts,
            "target_rule": rule_of(self.goal),
            "target_return": self.wanted(data),
        }

    def askable(self, tokenizer: Tokenizer) -> tuple[float, float] | None:
        """Return the least and the best return of the data: there are no bins beyond."""
        (name,) = tokenizer.layout.goals
        least, *_, most = tokenizer.edges[name][0].tolist()
        return least, most

    def asking(self, wanted: float) -> "TrajectoryToGoal":
        """Return the same agent with another return as its goal."""
        if isinstance(self.goal, tuple):
            raise SeqrlError("This agent goes for an observation, so there is no return to change.")
        return replace(self, goal=asked(wanted))
