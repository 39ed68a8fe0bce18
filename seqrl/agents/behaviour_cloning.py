"""Behaviour cloning: doing what the data did. The floor under every table.

`BehaviourCloning` is the Decision Transformer's page without the return token; a perceptron that
sees one observation is `MlpBehaviourCloning`. `fraction` makes percent cloning of either: only the
best episodes are copied.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from seqrl.agents.agent import Agent
from seqrl.episodes import Array, Episodes, History
from seqrl.errors import SeqrlError
from seqrl.nets.network import Network
from seqrl.tokens.layout import Part, TokenLayout, Vector
from seqrl.tokens.tokenizer import DataFacts, Tokenizer
from seqrl.training.settings import Training

if TYPE_CHECKING:
    import torch

    from seqrl.nets.model import Model


@dataclass(frozen=True, kw_only=True)
class Cloning(Agent):
    """What all cloning shares: a layout of observation and action, and whom it copies."""

    fraction: float = 1.0
    """Share of the data that is copied: the episodes of highest return."""

    fraction_of: Literal["steps", "episodes"] = "steps"
    """What it is a share of. Steps: from the best episode down, as long as the next one does not
    reach the share (the Decision Transformer's authors). Episodes: by their number, as CORL does;
    but CORL ranks by the return discounted with 0.99, and this by the return."""

    context_steps: int = 1

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        if not 0 < self.fraction <= 1:
            raise SeqrlError(f"fraction is a share above 0 and up to 1, not {self.fraction}.")

    def layout(self) -> TokenLayout:
        """One step: what is seen, what is done."""
        return TokenLayout(
            Part("observation", Vector(standardise=True)),
            Part("action", Vector(squash=True), loss=1.0),
            steps=self.context_steps,
            positions="episode step",
        )

    def act(self, model: "Model", history: History) -> Array:
        """Read the action."""
        return model.read(history, "action")

    def learns_from(self, episodes: Episodes) -> Array | None:
        """Choose the best episodes. (Scales still come from all of the data, as the Decision
        Transformer's authors have it.)"""
        if self.fraction == 1.0:
            return None
        best_first = np.argsort(-episodes.returns, kind="stable")
        if self.fraction_of == "episodes":
            return best_first[: max(1, int(self.fraction * len(episodes)))]
        share = max(1, int(self.fraction * episodes.steps))
        reached = np.cumsum(episodes.lengths[best_first])
        return best_first[: max(1, int((reached < share).sum()))]

    def facts(self, data: DataFacts) -> dict[str, Any]:
        """Say what is copied, where it is not everything."""
        share = f"best {100 * self.fraction:g}% of {self.fraction_of}"
        return {} if self.fraction == 1.0 else {"learns_from": share}


@dataclass(frozen=True, kw_only=True)
class BehaviourCloning(Cloning):
    """The Decision Transformer's network and budget, with nothing to ask for."""

    context_steps: int = 20
    network: Network = Network(
        layers=3, heads=1, width=128, activation="relu", normalise_embeddings=True, init="dt"
    )
    training: Training = Training(updates=100_000, batch=64, learning_rate=1e-4, weight_decay=1e-4)

    def model(self, tokenizer: Tokenizer, generator: "torch.Generator") -> "Model":
        """A causal transformer over the tokens."""
        from seqrl.nets.token_model import TokenModel

        return TokenModel(tokenizer, self.network, generator)


@dataclass(frozen=True, kw_only=True)
class MlpBehaviourCloning(Cloning):
    """Two hidden layers of 256 on the present observation, CORL's network; its budget is a tenth of
    CORL's million updates. (The Decision Transformer's authors show theirs 20 observations.)"""

    layers: int = 2
    width: int = 256
    training: Training = Training(
        updates=100_000, batch=256, learning_rate=3e-4, weight_decay=0.0, warmup=0.0, clip=None
    )

    def model(self, tokenizer: Tokenizer, generator: "torch.Generator") -> "Model":
        """A perceptron."""
        from seqrl.nets.perceptron import Perceptron

        return Perceptron(tokenizer, self.layers, self.width, generator)
