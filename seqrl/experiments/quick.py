"""An honest small budget for two CPU cores: minutes a run, in place of hours.

One setting differs from the published ones of each agent, its budget: 2,000 updates with a ten
times higher learning rate that falls to zero, in place of 100,000 with a constant one. Good for:
seeing whether all works, comparing agents roughly, trying out a change. Not good for: numbers to
print beside published ones; `paper` is for that.
"""

from seqrl.agents.behaviour_cloning import BehaviourCloning, MlpBehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.evaluation import Evaluation
from seqrl.runs.experiment import Experiment
from seqrl.training.settings import Training

TRAINING = Training(updates=2_000, learning_rate=1e-3, decay="cosine")
MLP = Training(
    updates=10_000, batch=256, learning_rate=1e-3, decay="cosine", weight_decay=0.0, clip=None
)

EXPERIMENT = Experiment(
    about=__doc__,
    tasks=[
        f"{body}-{data}"
        for body in ("hopper", "halfcheetah", "walker2d")
        for data in ("medium", "medium-replay")
    ],
    agents={
        "DT": DecisionTransformer(training=TRAINING),
        "BC": BehaviourCloning(training=TRAINING),
        "10%BC": BehaviourCloning(fraction=0.1, training=TRAINING),
        "MLP-BC": MlpBehaviourCloning(training=MLP),
    },
    seeds=range(3),
    evaluation=Evaluation(episodes=50),
)
