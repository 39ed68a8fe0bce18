"""Proves a machine in two minutes on two cores: data played, three agents trained, all recorded.

Behaviour cloning, the Decision Transformer and the Trajectory Transformer, as small and as briefly
trained as still goes through every part: windows, training, playing, planning, records. The data is
`hopper-tiny`, 20,000 steps, which are played in seconds with no network. It all takes a minute of
processor time.

Good for: a new machine, other versions of packages, a change of one's own: does everything still
run to its end? Not good for: any number. There is one seed, a few episodes and next to no data, and
the Trajectory Transformer, which learns last, falls at once. `quick` compares.
"""

from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.evaluation import Evaluation
from seqrl.nets.network import Network
from seqrl.planning.settings import BeamSearch
from seqrl.runs.experiment import Experiment
from seqrl.training.settings import Training

TRAINING = Training(updates=250, learning_rate=1e-3, decay="cosine")

TT = TrajectoryTransformer(
    window_steps=3,
    network=Network(layers=2, heads=2, width=32, dropout=0.0),
    search=BeamSearch(horizon=1, beam_width=2, context_steps=1, window="full"),
    training=Training(
        updates=400,
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
    tasks=["hopper-tiny"],
    agents={
        "BC": BehaviourCloning(training=TRAINING),
        "DT": DecisionTransformer(training=TRAINING),
        "TT": TT,
    },
    seeds=[0],
    evaluation=Evaluation(episodes=5),
)
