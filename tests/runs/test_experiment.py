"""Experiments: expansion, overrides, and mistakes found before anything starts."""

from pathlib import Path

import pytest

from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.errors import SeqrlError
from seqrl.evaluation import Evaluation
from seqrl.planning.settings import BeamSearch, Sampling
from seqrl.runs.experiment import (
    Experiment,
    agent_named,
    experiment_named,
    names_of,
    shipped,
    when,
)

AGENTS = {"DT": DecisionTransformer(), "BC": BehaviourCloning()}


def test_an_experiment_is_all_its_runs() -> None:
    """A run that is forgotten is a hole in the table."""
    experiment = Experiment(
        about="",
        tasks=["hopper-medium", "seqrl/halfcheetah-medium-v1"],
        agents=AGENTS,
        seeds=range(3),
        evaluation=Evaluation(episodes=7),
        overrides=[
            when("DT", "halfcheetah-*", context_steps=5, training__updates=10),
            when("DT", "*-medium*", target=1800),
        ],
    )
    runs = list(experiment.runs("mine"))
    assert len({(run.task, run.name, run.seed) for run in runs}) == len(runs) == 12
    changed = experiment.agent("DT", "seqrl/halfcheetah-medium-v1")
    assert isinstance(changed, DecisionTransformer)
    assert (changed.context_steps, changed.training.updates, changed.target) == (5, 10, 1800.0)
    plain = experiment.agent("DT", "hopper-medium")
    assert isinstance(plain, DecisionTransformer)
    assert (plain.context_steps, plain.training.updates, plain.target) == (20, 100_000, 1800.0)
    assert experiment.agent("BC", "hopper-medium") == BehaviourCloning()
    for same in ("hopper-medium", "d4rl/hopper-medium-v2", "seqrl/hopper-medium-v1+delayed@v5"):
        assert names_of(same) >= {"hopper-medium", same}
    assert experiment.agent("DT", "halfcheetah-medium") == changed
    assert all(run.agent == experiment.agent(run.name, run.task) for run in runs)
    assert all(run.evaluation.episodes == 7 for run in runs)


def test_all_mistakes_are_listed_at_once() -> None:
    """One at a time, an hour apart, is how an evening goes."""
    with pytest.raises(SeqrlError) as refusal:
        Experiment(
            about="",
            tasks=["hopper-medium"],
            agents=AGENTS,
            seeds=[0],
            overrides=[
                when("TT", "*", horizon=3),
                when("DT", "*", contxt_steps=3),
                when("BC", "*", training__updates="many"),
                when("DT", "*", context_steps=3),
            ],
        )
    said = str(refusal.value)
    assert "no such agent" in said and "no field 'contxt_steps'. It has: training, target" in said
    assert "training.updates is 'many'; it must be a whole number" in said


@pytest.mark.parametrize("name", shipped())
def test_shipped_experiments_can_be_run(name: str) -> None:
    """A file that comes with the package must at least be one."""
    experiment = experiment_named(name)
    assert list(experiment.runs(name)) and len(experiment.about) > 50
    for agent in experiment.agents.values():
        agent.layout()


def test_the_trajectory_transformer_plans_as_its_authors_do() -> None:
    """Horizon, beams, how actions are drawn, epochs of a million steps: set by set."""
    paper, likely, top = experiment_named("paper"), Sampling(cdf=0.6), Sampling(top_k=40)
    expected = {
        "hopper-medium": (15, 128, likely, 50),
        "hopper-medium-replay": (15, 128, likely, 80),
        "hopper-medium-expert": (15, 128, likely, 50),
        "halfcheetah-medium": (5, 32, likely, 50),
        "halfcheetah-medium-replay": (5, 32, likely, 50),
        "halfcheetah-medium-expert": (15, 32, likely, 50),
        "walker2d-medium": (15, 128, likely, 50),
        "walker2d-medium-replay": (20, 32, top, 80),
        "walker2d-medium-expert": (5, 128, likely, 50),
    }
    assert set(expected) == set(paper.tasks)
    for task, (horizon, beams, action, epochs) in expected.items():
        agent = paper.agent("TT", task)
        assert isinstance(agent, TrajectoryTransformer)
        search, steps = agent.search, agent.training.updates * agent.training.batch
        assert isinstance(search, BeamSearch)
        assert (search.horizon, search.beam_width, search.action) == (horizon, beams, action)
        assert steps / 1e6 == pytest.approx(epochs, rel=0.002)
        assert (search.window, agent.replan_every, search.observation.top_k) == ("published", 1, 1)


def test_names_that_mean_nothing(tmp_path: Path) -> None:
    """Each says what there is."""
    assert {"quick", "paper"} <= set(shipped())
    with pytest.raises(SeqrlError, match="paper, quick"):
        experiment_named("qick")
    with pytest.raises(SeqrlError, match="reading a Python file"):
        experiment_named(str(tmp_path / "none.py"))
    (tmp_path / "empty.py").write_text("x = 1")
    with pytest.raises(SeqrlError, match="no constant EXPERIMENT"):
        experiment_named(str(tmp_path / "empty.py"))
    quick = experiment_named("quick")
    with pytest.raises(SeqrlError, match="It has DT, TT, BC"):
        agent_named("TD3", quick, "hopper-medium")
    with pytest.raises(SeqrlError, match="no module 'nowhere'"):
        agent_named("nowhere:Agent", quick, "hopper-medium")
    with pytest.raises(SeqrlError, match="is not a kind of Agent"):
        agent_named("seqrl.evaluation:Evaluation", quick, "hopper-medium")
    place = "seqrl.agents.decision_transformer:DecisionTransformer"
    name, agent = agent_named(place, quick, "hopper-medium")
    assert (name, agent) == ("DecisionTransformer", DecisionTransformer())
