"""An experiment of runs that are over in a moment."""

from seqrl.agents.behaviour_cloning import BehaviourCloning, MlpBehaviourCloning
from seqrl.evaluation import Evaluation
from seqrl.nets.network import Network
from seqrl.runs.experiment import Experiment
from seqrl.training.settings import Training

TRAINING = Training(updates=5, batch=4)

EXPERIMENT = Experiment(
    about="A test.",
    tasks=["file/toy"],
    agents={
        "BC": BehaviourCloning(
            context_steps=2,
            network=Network(layers=1, heads=1, width=8, init="dt"),
            training=TRAINING,
        ),
        "MLP": MlpBehaviourCloning(width=8, training=TRAINING),
    },
    seeds=range(2),
    default_agents=["BC"],
    evaluation=Evaluation(episodes=2),
)
