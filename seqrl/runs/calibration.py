"""Calibration: how fast this machine is just now, in units that measurements of other machines can
be brought into. A fixed workload of what runs do; needs no data.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.episodes import History
from seqrl.nets.network import Network
from seqrl.tasks.task import Task
from seqrl.tokens.description import made_up
from seqrl.tokens.tokenizer import fit
from seqrl.training.settings import Training

WORKLOAD = DecisionTransformer(
    network=Network(layers=2, heads=2, width=96), training=Training(batch=32)
)
TASK = Task(
    name="calibration",
    environment="",
    horizon=1000,
    observation_width=11,
    action_width=3,
    reference=None,
)
Precision = Literal["auto", "float32", "bfloat16"]

PLAYED = 30
"""Steps that the episodes played have behind them: more than a window holds."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Units a second. Two numbers, since one does not predict both: training is in what `auto`
    means and on all threads that it is given, playing in float32 and on one."""

    precision: str
    """Of the training."""
    training: float
    """Updates of the workload."""
    playing: float
    """Rows for which the workload decides."""

    def __str__(self) -> str:
        """Say both."""
        return f"{self.training:.3g} updates and {self.playing:.3g} decisions a second"


def calibrate(
    seconds: float = 5.0,
    threads: int = 1,
    precision: Precision = "auto",
    clock: Callable[[], float] = time.perf_counter,
) -> Speed:
    """Train and play in turns for so long, half of the time each; the mean speed over it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            return _measured(_Workload(precision), seconds, clock)
    finally:
        torch.set_num_threads(before)


class _Workload:
    """A small Decision Transformer on made-up episodes, whose unit of each kind can be done."""

    def __init__(self, precision: Precision) -> None:
        import torch

        from seqrl.tokens.windows import ROWS, Windows
        from seqrl.training.device import precision_on

        device, training = torch.device("cpu"), WORKLOAD.training
        episodes = made_up(TASK, 10, 100)
        tokenizer = fit(WORKLOAD.layout(), episodes)
        self.generator = torch.Generator().manual_seed(0)
        self.model = WORKLOAD.model(tokenizer, self.generator)
        self.windows = Windows(tokenizer, episodes)
        self.device, self.precision = device, precision_on(precision, device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=training.learning_rate, fused=True
        )
        self.history = history_of(TASK, ROWS)

    def update(self) -> int:
        """Do an update; how many units that is."""
        from torch import nn

        from seqrl.training.device import casting

        self.model.train()
        with casting(self.precision, self.device):
            loss, _ = self.model.loss(self.windows.draw(WORKLOAD.training.batch, self.generator))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 0.25, foreach=True)
        self.optimizer.step()
        return 1

    def decide(self) -> int:
        """Decide for all rows; how many units that is."""
        self.model.eval()
        WORKLOAD.act(self.model, self.history)
        return len(self.history)


def history_of(task: Task, rows: int) -> History:
    """Make up episodes that are being played."""
    generator = np.random.default_rng(0)

    def noise(width: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        return generator.standard_normal((rows, width)).astype(np.float32)

    history = History(
        noise(task.observation_width),
        action_width=task.action_width,
        horizon=task.horizon,
        generators=[np.random.default_rng(row) for row in range(rows)],
    )
    for _ in range(min(PLAYED, task.horizon - 1)):
        history.add(noise(task.action_width), np.ones(rows), noise(task.observation_width))
    return history


def _measured(workload: _Workload, seconds: float, clock: Callable[[], float]) -> Speed:
    doing = (workload.update, workload.decide)
    for each in doing * 2:  # the first are slower
        each()
    spent, units = [0.0, 0.0], [0, 0]
    while sum(spent) < seconds or not all(units):
        turn = int(spent[1] < spent[0])
        began = clock()
        units[turn] += doing[turn]()
        spent[turn] += clock() - began
    return Speed(
        precision=workload.precision, training=units[0] / spent[0], playing=units[1] / spent[1]
    )
