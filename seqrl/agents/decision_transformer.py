"""The Decision Transformer (Chen et al. 2021): asks for a return, and acts to get it.

The defaults are the published protocol for the D4RL locomotion tasks, as the authors' code has it.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from seqrl.agents.agent import Agent
from seqrl.agents.target import Target, asked, rule_of, target_return
from seqrl.episodes import Array, History
from seqrl.nets.network import Network
from seqrl.tokens.layout import Part, TokenLayout, Vector
from seqrl.tokens.tokenizer import DataFacts, Tokenizer
from seqrl.training.settings import Training

if TYPE_CHECKING:
    import torch

    from seqrl.nets.token_model import TokenModel


@dataclass(frozen=True, kw_only=True)
class DecisionTransformer(Agent):
    """What differs from the authors' code, and why:

    - One target, by a rule fixed before training; they play two and log both.
    - Environments are `-v4` of today's Gymnasium, theirs `-v3` of mujoco-py.
    - Training is in bfloat16 where the device is made for it (`training.precision`), theirs in
      float32.
    - Windows are filled after the episode's end, theirs before its start; the outputs are equal.
    - Actions are bounded by tanh *and* the task's bounds; the same where those are -1 and 1.
    - The return still wanted is computed from the rewards so far in float64, theirs in float32.
    """

    acts_by: ClassVar[tuple[str, ...]] = ("target",)

    target: Target = "best_in_data"
    """Return asked for at the first step of an episode: a number, or a rule over the data."""

    context_steps: int = 20
    return_scale: float = 1000.0
    network: Network = Network(
        layers=3, heads=1, width=128, activation="relu", normalise_embeddings=True, init="dt"
    )
    training: Training = Training(updates=100_000, batch=64, learning_rate=1e-4, weight_decay=1e-4)

    def layout(self) -> TokenLayout:
        """One step: what is wanted, what is seen, what is done."""
        return TokenLayout(
            Part("return_to_go", Vector(divide_by=self.return_scale)),
            Part("observation", Vector(standardise=True)),
            Part("action", Vector(squash=True), loss=1.0),
            steps=self.context_steps,
            positions="episode step",
        )

    def model(self, tokenizer: Tokenizer, generator: "torch.Generator") -> "TokenModel":
        """A causal transformer over the tokens."""
        from seqrl.nets.token_model import TokenModel

        return TokenModel(tokenizer, self.network, generator)

    def act(self, model: "TokenModel", history: History) -> Array:
        """Ask for what is left of the target, and read the action."""
        still_wanted = self.wanted(model.tokenizer.data) - history.reward_before
        return model.read(history, "action", return_to_go=still_wanted)

    def wanted(self, data: DataFacts) -> float:
        """Return what is asked for at the first step."""
        return target_return(self.target, data)

    def facts(self, data: DataFacts) -> dict[str, Any]:
        """Say what is asked for, and by which rule."""
        return {"target_rule": rule_of(self.target), "target_return": self.wanted(data)}

    def asking(self, wanted: float) -> "DecisionTransformer":
        """Return the same agent with another target."""
        return replace(self, target=asked(wanted))
