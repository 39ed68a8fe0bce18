"""A plain multi-layer perceptron on single steps: no attention, no memory.

Letters: B windows, T steps, w signal width, D width.
"""

import torch
from torch import Tensor, nn

from seqrl.errors import SeqrlError
from seqrl.nets.attention import unset_linear
from seqrl.nets.model import Model
from seqrl.nets.network import Network
from seqrl.nets.token_model import VectorOut, start_linear
from seqrl.tokens.tokenizer import Tokenizer
from seqrl.tokens.windows import TokenBatch


class Perceptron(Model):
    """Reads the vectors without a loss, predicts those with one, of the same step."""

    def __init__(
        self, tokenizer: Tokenizer, layers: int, width: int, generator: torch.Generator
    ) -> None:
        """Make `layers` hidden layers; weights come from `generator` alone, as PyTorch draws."""
        super().__init__(tokenizer)
        if tokenizer.layout.prefix or tokenizer.edges:
            raise SeqrlError("A perceptron reads vectors of one step: no goals in front, no bins.")
        network = Network(layers=layers, heads=1, width=width, init="dt")
        parts = tokenizer.layout.parts
        self.read_parts = [part.name for part in parts if not part.loss]
        inputs = sum(tokenizer.widths[name] for name in self.read_parts)
        self.hidden = nn.ModuleList(
            unset_linear(width if layer else inputs, width) for layer in range(layers)
        )
        for linear in self.hidden:
            assert isinstance(linear, nn.Linear)
            start_linear(linear, network, generator)
        self.outputs = nn.ModuleDict(
            {p.name: VectorOut(tokenizer, p.name, network, generator) for p in parts if p.loss}
        )

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted mean errors over real steps, and each part's own."""
        out = self._out(batch)
        total, errors_of = torch.zeros((), device=batch.steps.device), {}
        for part in self.tokenizer.layout.parts:
            if part.loss:
                errors = self._head(part.name).errors(out, batch.values[part.name])  # [B, T, 1]
                mean = errors[batch.has_loss].mean()
                errors_of[part.name] = mean.detach()
                total = total + part.loss * mean
        return total, errors_of

    def predict(self, batch: TokenBatch, name: str) -> Tensor:
        """Predict a vector part of the last step [B, w]."""
        predicted: Tensor = self._head(name)(self._out(batch))[:, -1]
        return predicted

    def _out(self, batch: TokenBatch) -> Tensor:
        x = torch.cat([batch.values[name] for name in self.read_parts], -1)
        for linear in self.hidden:
            x = linear(x).relu()
        return x[:, :, None]  # [B, T, 1, D]

    def _head(self, name: str) -> VectorOut:
        head = self.outputs[name]
        assert isinstance(head, VectorOut)
        return head
