"""An experiment that takes its time, so that a test can kill it where it wants."""

import os
import time
from dataclasses import dataclass

import seqrl.evaluation
import seqrl.runs.calibration
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.episodes import Array, History
from seqrl.evaluation import Evaluation
from seqrl.nets.network import Network
from seqrl.nets.token_model import TokenModel
from seqrl.runs.calibration import Speed
from seqrl.runs.experiment import Experiment
from seqrl.training.settings import Training

if "SEQRL_TEST_KEEP" in os.environ:  # where it is run as a command of its own
    seqrl.evaluation.KEEP_SECONDS = 0.0
    seqrl.runs.calibration.calibrate = lambda **_: Speed(
        precision="float32", training=100.0, playing=100.0
    )


@dataclass(frozen=True, kw_only=True)
class Slow(DecisionTransformer):
    """Thinks long before it acts."""

    context_steps: int = 4
    network: Network = Network(layers=2, heads=2, width=32, init="dt")
    training: Training = Training(updates=600, batch=32, learning_rate=1e-3)

    def act(self, model: TokenModel, history: History) -> Array:
        """Sleep, then act."""
        time.sleep(float(os.environ.get("SEQRL_TEST_SECONDS", "0.1")))
        return super().act(model, history)


EXPERIMENT = Experiment(
    about="A test.",
    tasks=["file/toy"],
    agents={"slow": Slow()},
    seeds=[0],
    evaluation=Evaluation(episodes=20, times=3),
)
