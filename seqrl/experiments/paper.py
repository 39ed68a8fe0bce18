"""The published protocol of the Decision Transformer: budget and settings of its authors' code.

What still differs stands in the agent's docstring. The cloning agents beside it are ours: the same
network and budget without the return, the best tenth of the data by steps, and a perceptron.

Good for: numbers to stand beside published ones, if the data is the official one. Not good for: a
machine without a GPU, where one run takes hours.
"""

from seqrl.agents.behaviour_cloning import BehaviourCloning, MlpBehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.evaluation import Evaluation
from seqrl.runs.experiment import Experiment

EXPERIMENT = Experiment(
    about=__doc__,
    tasks=[
        f"{body}-{data}"
        for body in ("hopper", "halfcheetah", "walker2d")
        for data in ("medium", "medium-replay", "medium-expert")
    ],
    agents={
        "DT": DecisionTransformer(),
        "BC": BehaviourCloning(),
        "10%BC": BehaviourCloning(fraction=0.1),
        "MLP-BC": MlpBehaviourCloning(),
    },
    seeds=range(5),
    evaluation=Evaluation(episodes=100),
)
