"""Training both sides in turns: ten updates of one, ten of the other, so that whatever else the
machine does hits both.

Ours is the training of a run: its Trainer, its loop, its windows. Both start from the same weights
and see the same windows in the same order, under the same optimiser, rates, clipping and dropout;
only what dropout draws is each side's own.
"""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.nets.token_model import TokenModel
from seqrl.progress import Progress, silent
from seqrl.seeds import seed_for
from seqrl.speed.published import PlainLoop, loss_of, prepared, published
from seqrl.tokens.tokenizer import Tokenizer
from seqrl.tokens.windows import TokenBatch, Windows
from seqrl.training.trainer import Trainer

BLOCK = 10
"""Updates of one side before it is the other's turn; fewer where only few are asked for."""

LAST = 20
"""Updates at the end whose losses are compared."""

OURS, THEIRS = "seqrl", "transformers"


@dataclass
class Side:
    """One side in one precision, and how it did."""

    name: str
    precision: str
    seconds: list[float] = field(default_factory=list)
    """What an update took, in each block of each seed; the first of each seed does not count."""
    losses: list[float] = field(default_factory=list)
    """Mean loss over the last updates of each seed."""

    @property
    def updates_per_second(self) -> float:
        """The usual speed: of the block in the middle."""
        return 1 / float(np.median(self.seconds))

    @property
    def loss(self) -> float:
        """Mean loss at the end, over all seeds."""
        return float(np.mean(self.losses))

    def times_faster(self, other: "Side") -> tuple[float, float, float]:
        """Say how many times as fast this side was, block by block: quarter, half, three quarters
        of the blocks were below."""
        ratios = np.array(other.seconds) / np.array(self.seconds)
        low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75)).tolist()
        return low, middle, high


class Ours(Trainer):
    """The training of a run, which remembers its losses and its batches can be looked at."""

    losses: list[Tensor]

    def _step(self) -> None:
        super()._step()
        self.losses.append(self._since[-1]["loss"])

    def save(self) -> None:
        """Save nothing: a run does so once a minute, and here it would be after every block."""

    def batch(self, update: int) -> TokenBatch:
        """Return the windows of an update."""
        return self._batch(update)


@dataclass(frozen=True)
class Race:
    """What both sides train on, and how."""

    agent: DecisionTransformer
    tokenizer: Tokenizer
    windows: Windows

    def ours(self, seed: int, folder: Path, precision: str = "float32") -> Ours:
        """Make the training of a run."""
        generator = torch.Generator().manual_seed(seed_for(seed, "weights"))
        model = self.agent.model(self.tokenizer, generator).to(self.windows.device)
        settings = replace(self.agent.training, precision=precision)  # type: ignore[arg-type]
        trainer = Ours(model, self.windows, settings, seed=seed, folder=folder, about={})
        trainer.losses = []
        return trainer

    def theirs(self, ours: Ours, precision: str = "float32") -> PlainLoop:
        """Make their training: from our weights, on our windows, prepared beforehand."""
        assert isinstance(ours.model, TokenModel) and ours.update == 0
        model, settings = published(ours.model), self.agent.training
        batches = [prepared(ours.batch(update), model) for update in range(settings.updates)]
        return PlainLoop(model, batches, settings, precision)

    def run(
        self,
        sides: Sequence[Side],
        seed: int,
        progress: Progress = silent,
        doing: str = "training",
    ) -> TokenModel:
        """Train all sides from one seed, in turns; the model of the first, which is ours."""
        settings = self.agent.training
        with TemporaryDirectory() as folder, _own_chance(self.windows.device):
            torch.manual_seed(seed_for(seed, "dropout of the plain loop"))
            loops = [self._loop(side, seed, Path(folder, str(i))) for i, side in enumerate(sides)]
            block = max(1, min(BLOCK, settings.updates // 4))
            for turn, first in enumerate(range(0, settings.updates, block)):
                end = min(first + block, settings.updates)
                for place in range(len(sides)):
                    number = (turn + place) % len(sides)  # nobody is always the first
                    taken = _timed(loops[number], end, self.windows.device)
                    if turn:  # the first is for warming up
                        sides[number].seconds.append(taken / (end - first))
                progress(doing, end, settings.updates, "updates of each side")
        for side, loop in zip(sides, loops, strict=True):
            side.losses.append(float(torch.stack(loop.losses[-LAST:]).mean()))
        first_model = loops[0].model
        assert isinstance(first_model, TokenModel)
        return first_model

    def _loop(self, side: Side, seed: int, folder: Path) -> "Ours | PlainLoop":
        if side.name == OURS:
            return self.ours(seed, folder, side.precision)
        return self.theirs(self.ours(seed, folder), side.precision)


def _timed(loop: Ours | PlainLoop, update: int, device: torch.device) -> float:
    """Return how long a loop takes up to an update."""
    _wait(device)
    began = time.perf_counter()
    loop.until(update)
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _own_chance(device: torch.device) -> AbstractContextManager[None]:
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


@dataclass(frozen=True)
class Agreement:
    """How far both sides are apart on one batch without dropout, as shares of the value."""

    loss: float
    gradient_norm: float


def agreement(race: Race, seed: int) -> Agreement:
    """Compare both sides before their first update."""
    with TemporaryDirectory() as folder:
        ours = race.ours(seed, Path(folder))
        theirs = race.theirs(ours)
    batch = ours.batch(0)
    ours_loss, _ = ours.model.eval().loss(batch)
    theirs_loss = loss_of(theirs.model.train(False), prepared(batch, theirs.model))
    norms = [
        _norm(loss, model) for loss, model in ((ours_loss, ours.model), (theirs_loss, theirs.model))
    ]
    return Agreement(abs(ours_loss.item() / theirs_loss.item() - 1), abs(norms[0] / norms[1] - 1))


def _norm(loss: Tensor, model: nn.Module) -> float:
    loss.backward()  # type: ignore[no-untyped-call]
    return float(
        nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    )
