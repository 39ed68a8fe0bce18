"""The published protocols of both transformers: budget and settings of their authors' code.

What still differs stands in the agents' docstrings. The cloning agents beside them are ours: the
Decision Transformer's network and budget without the return, the best tenth of the data by steps,
and a perceptron.

Good for: numbers to stand beside published ones, if the data is the official one. Not good for: a
machine without a GPU, where one run takes hours, and of the Trajectory Transformer days.
"""

from seqrl.agents.behaviour_cloning import BehaviourCloning, MlpBehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.evaluation import Evaluation
from seqrl.planning.settings import Sampling
from seqrl.runs.experiment import Experiment, when

EXPERIMENT = Experiment(
    about=__doc__,
    tasks=[
        f"{body}-{data}"
        for body in ("hopper", "halfcheetah", "walker2d")
        for data in ("medium", "medium-replay", "medium-expert")
    ],
    agents={
        "DT": DecisionTransformer(),
        "TT": TrajectoryTransformer(),
        "BC": BehaviourCloning(),
        "10%BC": BehaviourCloning(fraction=0.1),
        "MLP-BC": MlpBehaviourCloning(),
    },
    seeds=range(5),
    evaluation=Evaluation(episodes=100),
    # "There" is github.com/jannerm/trajectory-transformer.
    overrides=[
        # scripts/train.py and trajectory/utils/training.py there, at 344304c
        when("TT", "*", training__decay="tt_code"),
        # config/offline.py there, at 558b0af
        when("TT", "halfcheetah-*", search__beam_width=32),
        when("TT", "halfcheetah-medium", search__horizon=5),
        when("TT", "halfcheetah-medium-replay", search__horizon=5),
        when("TT", "walker2d-medium-expert", search__horizon=5),
        when(
            "TT",
            "walker2d-medium-replay",
            search__horizon=20,
            search__beam_width=32,
            search__action=Sampling(top_k=40),
        ),
        # 80 epochs of a million steps in place of 50
        when("TT", "hopper-medium-replay", training__updates=312_500),
        when("TT", "walker2d-medium-replay", training__updates=312_500),
    ],
)
