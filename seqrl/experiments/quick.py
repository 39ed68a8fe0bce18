"""An honest small budget for two CPU cores: minutes a run, in place of hours.

One setting differs from the published ones of the Decision Transformer and the cloning agents,
the budget: 2,000 updates with a ten times higher learning rate that falls to zero, in place of
100,000 with a constant one. The Trajectory Transformer is smaller in everything: its network, its
windows, its batches, and its plans: one step and its value, the best of eight, under the full
window rule. With networks trained so briefly, longer plans and more beams did no better, and take
longer. Where a body can fall, it trains for longer: with 4,000 updates the hopper falls at once. All
of that was chosen by scores on seqrl/hopper-medium-v1 and seqrl/halfcheetah-medium-v1, on other
episodes than those of the evaluation. On walker2d, for which nothing was chosen, TT falls at once.

BC, DT and TT run unless others are named; the best tenth and the perceptron are there to compare.

Good for: seeing whether all works, comparing agents roughly, trying out a change. Not good for:
numbers to print beside published ones; `paper` is for that.
"""

from seqrl.agents.behaviour_cloning import BehaviourCloning, MlpBehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.evaluation import Evaluation
from seqrl.nets.network import Network
from seqrl.planning.settings import BeamSearch
from seqrl.runs.experiment import Experiment, when
from seqrl.training.settings import Training

TRAINING = Training(updates=2_000, learning_rate=1e-3, decay="cosine")
MLP = Training(
    updates=10_000, batch=256, learning_rate=1e-3, decay="cosine", weight_decay=0.0, clip=None
)

TT = TrajectoryTransformer(
    window_steps=4,
    network=Network(layers=3, heads=4, width=96, dropout=0.0),
    search=BeamSearch(horizon=1, beam_width=4, context_steps=2, window="full"),
    training=Training(
        updates=4_000,
        batch=16,
        learning_rate=2e-3,
        warmup=0.05,
        decay="cosine",
        weight_decay=0.1,
        decay_on="matrices",
        betas=(0.9, 0.95),
        clip=1.0,
    ),
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
        "TT": TT,
        "BC": BehaviourCloning(training=TRAINING),
        "10%BC": BehaviourCloning(fraction=0.1, training=TRAINING),
        "MLP-BC": MlpBehaviourCloning(training=MLP),
    },
    default_agents=("BC", "DT", "TT"),
    seeds=range(2),
    evaluation=Evaluation(episodes=50),
    overrides=[
        when("TT", "hopper-*", training__updates=10_000),
        when("TT", "walker2d-*", training__updates=10_000),
    ],
)
