"""Agent: a frozen dataclass of its hyper-parameters. Weights live in models and nowhere else."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from seqrl.episodes import Array, Episodes, History
from seqrl.errors import SeqrlError
from seqrl.tokens.layout import TokenLayout
from seqrl.tokens.tokenizer import DataFacts, Tokenizer
from seqrl.training.settings import Training

if TYPE_CHECKING:
    import torch

    from seqrl.nets.model import Model


@dataclass(frozen=True, kw_only=True)
class Agent(ABC):
    """Subclass it as a frozen dataclass: fields, `layout`, `model`, `act`."""

    acts_by: ClassVar[tuple[str, ...]] = ()
    """Fields that change how it acts, and nothing of what it learns."""

    training: Training = Training()

    @abstractmethod
    def layout(self) -> TokenLayout:
        """Declare one step as tokens."""

    @abstractmethod
    def model(self, tokenizer: Tokenizer, generator: "torch.Generator") -> "Model":
        """Make the network, its weights drawn from `generator` alone."""

    @abstractmethod
    def act(self, model: Any, history: History) -> Array:
        """Choose the action of every row [B, a], from what the rows have seen so far."""

    def learns_from(self, episodes: Episodes) -> Array | None:
        """Choose the numbers of the episodes to train on; None is all of them."""
        return None

    def facts(self, data: DataFacts) -> dict[str, Any]:
        """Say what a record should tell of this agent on this data, beyond its fields."""
        return {}

    def askable(self, tokenizer: Tokenizer) -> tuple[float, float] | None:
        """Return the least and the most that it can be asked for; None is any return."""
        return None

    def asking(self, wanted: float) -> "Agent":
        """Return the same agent asking for another return, where it asks for one."""
        raise SeqrlError(
            f"{type(self).__name__} asks for no return, so there is no target to change."
        )
