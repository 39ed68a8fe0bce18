"""Model: what training and playing need of a network, whatever is inside.

Letters: B windows, T steps, w signal width.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqrl.episodes import Array, History
from seqrl.tokens.tokenizer import Tokenizer
from seqrl.tokens.windows import TokenBatch, live


class Model(nn.Module, ABC):
    """A network over the windows of a tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Keep what turns data into windows."""
        super().__init__()
        self.tokenizer = tokenizer

    @abstractmethod
    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and each predicted part's own mean error."""

    @abstractmethod
    def predict(self, batch: TokenBatch, name: str) -> Tensor:
        """Predict a vector part of the last step of each window [B, w], on the network's scale.

        What stands in the block from the part on is not known yet, and must not be looked at.
        """

    @torch.no_grad()
    def read(self, history: History, name: str, **given: Array) -> NDArray[np.float32]:
        """Predict a vector part of the present step from what has been played so far [B, w].

        `given` are the signals that only the agent knows while it plays, see `live`.
        """
        device = next(self.parameters()).device
        chunks = live(self.tokenizer, history, given, device)
        with one_thread():
            predicted = torch.cat([self.predict(batch, name) for batch in chunks])[: len(history)]
        return self.tokenizer.unscaled(name, predicted.float().cpu().numpy())


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one CPU thread. Several cut a matrix between them, and then a row's last bits
    depend on where it stands, and so on who else is played."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
