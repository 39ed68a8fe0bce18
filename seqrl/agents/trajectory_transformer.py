"""The Trajectory Transformer (Janner et al. 2021): models whole trajectories, and plans in them.

The defaults are the published protocol for the D4RL locomotion tasks, as the authors' code has it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from seqrl.agents.agent import Agent
from seqrl.episodes import Array, History
from seqrl.errors import SeqrlError
from seqrl.nets.network import Network
from seqrl.planning.settings import BeamSearch, Search
from seqrl.progress import counted
from seqrl.tokens.layout import Bins, Part, TokenLayout
from seqrl.tokens.signals import Reward, Value
from seqrl.tokens.tokenizer import DataFacts, Tokenizer
from seqrl.training.settings import Training

if TYPE_CHECKING:
    import torch

    from seqrl.nets.token_model import TokenModel


@dataclass(frozen=True, kw_only=True)
class TrajectoryTransformer(Agent):
    """What differs from the authors' code, and why:

    - The learning rate falls once, to a tenth; theirs is not held there, and rises again (in
      the experiment `paper` too: `training.decay=tt_code`).
    - A percentile of rewards is the bin in which it lies; theirs is the bin below, or from the
      lowest bin the highest.
    - Every draw has a seed; theirs has none.
    - Environments are `-v4` of today's Gymnasium, theirs `-v2` of mujoco-py.
    """

    acts_by: ClassVar[tuple[str, ...]] = ("search", "replan_every")

    window_steps: int = 10
    bins: Bins = Bins(count=100)
    at_termination: float | None = -100.0
    """Takes the place of a terminating step's reward."""

    action_weight: float = 5.0
    search: Search = BeamSearch()
    replan_every: int = 1
    """Steps of each plan that are played."""

    network: Network = Network(layers=4, heads=4, width=128)
    training: Training = Training(
        updates=195_000,  # 50 epochs of a million steps
        batch=256,
        learning_rate=6e-4,
        warmup="epoch",
        decay="tt",
        weight_decay=0.1,
        decay_on="matrices",
        betas=(0.9, 0.95),
        clip=1.0,
    )

    def __post_init__(self) -> None:
        """Refuse to play more of a plan than there is."""
        if not 1 <= self.replan_every <= self.search.horizon:
            raise SeqrlError(
                f"replan_every is from 1 to the horizon of the search, {self.search.horizon}, not "
                f"{self.replan_every}."
            )

    def layout(self) -> TokenLayout:
        """One step: what is seen, what is done, what it gives, and what is to come."""
        value = Value(self.search.discount, self.at_termination)
        return TokenLayout(
            Part("observation", self.bins, loss=1.0),
            Part("action", self.bins, loss=self.action_weight),
            Part(Reward(self.at_termination), self.bins, loss=1.0),
            Part(value, self.bins, loss=1.0, attended=False),
            steps=self.window_steps,
            positions="token",
            after_end="end token",
            loss_over="all positions",
            prefix=self.goals(),
        )

    def goals(self) -> tuple[Part, ...]:
        """What is wanted stands in front of all steps; here nothing does."""
        return ()

    def model(self, tokenizer: Tokenizer, generator: "torch.Generator") -> "TokenModel":
        """A causal transformer over the tokens."""
        from seqrl.nets.token_model import TokenModel

        self.search.check(tokenizer)
        return TokenModel(tokenizer, self.network, generator)

    def act(self, model: "TokenModel", history: History) -> Array:
        """Plan, or go on with the plan, and take its action."""
        step = history.step % self.replan_every
        if step == 0:
            history.memory["plan"] = self.plan(model, history)
        tokens = history.memory["plan"][:, step, model.places["action"]]
        # The end of the episode is no action: the highest bin, as the authors decode it.
        return model.tokenizer.decode("action", tokens.clip(max=self.bins.count - 1))

    def plan(self, model: "TokenModel", history: History) -> Array:
        """Plan for every row: tokens [B, H, S]."""
        from seqrl.planning.live import planned

        return planned(model, self.search, history)

    def facts(self, data: DataFacts) -> dict[str, Any]:
        """Say how it plans: only in a published window as in the paper."""
        search = self.search
        return {
            "window_rule": search.window,
            "plans": f"{counted(search.horizon, 'step')}, {counted(search.beam_width, 'beam')}, "
            f"{search.aim}",
            "planned_anew_every": self.replan_every,
        }
