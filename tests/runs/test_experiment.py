"""Experiments: expansion, overrides, and mistakes found before anything starts."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.data.source import task_named
from seqrl.errors import SeqrlError, UnknownName
from seqrl.evaluation import Evaluation
from seqrl.planning.settings import BeamSearch, Sampling
from seqrl.runs.checking import problems_of
from seqrl.runs.experiment import (
    Experiment,
    RunSpec,
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


def test_what_is_not_selected_is_not_run() -> None:
    """A day of training that nobody asked for, or a selection that quietly runs everything."""
    mine = Experiment(
        about="",
        tasks=["hopper-medium", "halfcheetah-medium"],
        agents={**AGENTS, "10%BC": BehaviourCloning(fraction=0.1)},
        default_agents=("BC", "DT"),
        seeds=range(2),
        overrides=[when("DT", "walker2d-*", target=1.0)],
    )

    def listed(specs: list[RunSpec]) -> list[tuple[str, str, int]]:
        return [(spec.task, spec.name, spec.seed) for spec in specs]

    assert {name for _, name, _ in listed(mine.runs("mine"))} == {"BC", "DT"}
    assert len(mine.runs("mine")) == 2 * 2 * 2
    assert {name for _, name, _ in listed(replace(mine, default_agents=()).runs("mine"))} == {
        "BC", "DT", "10%BC",
    }  # fmt: skip
    few = mine.runs("mine", tasks=["walker2d-medium"], agents=["10%BC", "DT"], seeds=iter([7, 5]))
    assert listed(few) == [
        ("walker2d-medium", "10%BC", 7),
        ("walker2d-medium", "10%BC", 5),
        ("walker2d-medium", "DT", 7),
        ("walker2d-medium", "DT", 5),
    ]
    assert few[2].agent == DecisionTransformer(target=1.0), "overrides are for other tasks too"
    twice = mine.runs("mine", tasks=["hopper-medium"] * 2, agents=["DT", "DT"], seeds=[1, 1])
    assert listed(twice) == [("hopper-medium", "DT", 1)]
    with pytest.raises(UnknownName, match=r"no agent 'TD3', 'CQL'\. It has DT, BC, 10%BC"):
        mine.runs("mine", agents=["TD3", "DT", "CQL"])
    with pytest.raises(SeqrlError, match="default_agents: there is no such agent: 'TD3'"):
        replace(mine, default_agents=("TD3",))


def test_ones_own_agent_stands_beside_the_experiments(tmp_path: Path) -> None:
    """It is named module:Class as everywhere; two of one name would share a row of the table."""
    place = "seqrl.agents.decision_transformer:DecisionTransformer"
    mine = Experiment(about="", tasks=["hopper-medium"], agents=AGENTS, seeds=[0])
    bc, own = mine.runs(
        "mine", agents=["BC", place], settings=["DecisionTransformer.context_steps=3"]
    )
    assert (bc.name, own.name) == ("BC", "DecisionTransformer")
    assert own.agent == DecisionTransformer(context_steps=3) and bc.agent == BehaviourCloning()
    (tmp_path / "other.py").write_text(
        "from seqrl.agents.decision_transformer import DecisionTransformer"
    )
    other = f"{tmp_path / 'other.py'}:DecisionTransformer"
    with pytest.raises(SeqrlError, match="Two agents are called DecisionTransformer"):
        mine.runs("mine", agents=[place, other])


def test_a_change_is_for_one_agent_or_for_all() -> None:
    """A budget that went to the wrong agent makes a table of nothing; the record says what was
    changed of its own agent."""
    mine = Experiment(
        about="",
        tasks=["hopper-medium"],
        agents={**AGENTS, "BC.5": BehaviourCloning(fraction=0.5)},
        seeds=[0],
    )
    dt, bc, half = mine.runs(
        "mine",
        settings=["training.batch=8", "DT.training.updates=2000", " BC.5.context_steps=3"],
    )
    assert (dt.agent.training.updates, dt.agent.training.batch) == (2000, 8)
    assert (bc.agent.training.updates, bc.agent.training.batch) == (100_000, 8)
    assert bc.agent == replace(BehaviourCloning(), training=bc.agent.training)
    assert isinstance(half.agent, BehaviourCloning) and half.agent.context_steps == 3
    assert dt.changed == ("training.batch=8", "training.updates=2000")
    assert bc.changed == ("training.batch=8",)
    assert half.changed == ("training.batch=8", "context_steps=3")
    with pytest.raises(SeqrlError) as refusal:
        mine.runs(
            "mine",
            agents=["DT", "BC"],
            settings=["BC.5.context_steps=3", "target=5", "DT.training.updates=many", "batch"],
        )
    said = str(refusal.value)
    assert "--set BC.5.context_steps=3: BC.5 is not among the agents that run, DT, BC." in said
    assert "BC: BehaviourCloning has no field 'target'" in said and "DT: Dec" not in said
    assert "DT: training.updates is 'many'" in said and "--set batch: say FIELD=VALUE" in said
    assert said.endswith("One agent alone is changed by --set AGENT.FIELD=VALUE.")


def test_quick_runs_three_of_its_five_agents_twice() -> None:
    """The default must end within an evening; the others are there for who names them."""
    quick = experiment_named("quick")
    assert {(spec.name, spec.seed) for spec in quick.runs("quick")} == {
        (name, seed) for name in ("BC", "DT", "TT") for seed in (0, 1)
    }
    assert set(quick.agents) == {"DT", "TT", "BC", "10%BC", "MLP-BC"}


def test_the_course_trains_as_its_notebook_does() -> None:
    """Its numbers, from TrainingArguments and the data collator of the notebook."""
    course = experiment_named("hf_course")
    training = course.agent("DT", "halfcheetah-medium").training
    assert training.updates == 120 * math.ceil(1000 / 64) == 1920
    assert (training.batch, training.learning_rate, training.weight_decay) == (64, 1e-4, 1e-4)
    assert (training.warmup, training.decay, training.clip) == (0.1, "linear", 0.25)
    expert = course.agent("DT", "d4rl/halfcheetah-expert-v2")
    assert isinstance(expert, DecisionTransformer)
    assert (expert.target, expert.context_steps, expert.return_scale) == (12_000.0, 20, 1000.0)
    assert course.agent("DT", "halfcheetah-medium") == replace(expert, target="best_in_data")


def test_all_mistakes_are_listed_at_once() -> None:
    """One at a time, an hour apart, is how an evening goes."""
    with pytest.raises(SeqrlError) as refusal:
        Experiment(
            about="",
            tasks=["hopper-medium"],
            agents={**AGENTS, "data": AGENTS["BC"], "a b": AGENTS["BC"]},
            seeds=[0],
            overrides=[
                when("TT", "*", horizon=3),
                when("DT", "*", contxt_steps=3),
                when("BC", "*", training__updates="many"),
                when("DT", "*", context_steps=3),
            ],
        )
    said = str(refusal.value)
    assert "agents: nothing is called 'data'" in said and "The agent's name 'a b': use" in said
    assert "no such agent" in said and "no field 'contxt_steps'. It has: training, target" in said
    assert "training.updates is 'many'; it must be a whole number" in said


def test_names_that_no_table_could_show(tmp_path: Path) -> None:
    """They are refused before anything runs, not by the table in the end."""
    file = tmp_path / "my  own.py"
    file.write_text("")
    with pytest.raises(SeqrlError, match="cannot be told from others"):
        experiment_named(str(file))
    (tmp_path / "mine.py").write_text(
        "from seqrl.agents.behaviour_cloning import BehaviourCloning\n"
        "class data(BehaviourCloning): ...\n"
    )
    with pytest.raises(SeqrlError, match="nothing is called 'data'"):
        agent_named(f"{tmp_path / 'mine.py'}:data", experiment_named("quick"), "hopper-medium")


@pytest.mark.parametrize("name", shipped())
def test_shipped_experiments_can_be_run(name: str) -> None:
    """A file that comes with the package must at least be one."""
    experiment = experiment_named(name)
    assert len(experiment.about) > 50
    specs = experiment.runs(name, agents=[*experiment.agents])
    assert specs and problems_of(specs, task_named) == []


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
    assert {"quick", "paper", "smoke", "hf_course"} <= set(shipped())
    with pytest.raises(SeqrlError, match="hf_course, paper, quick, smoke"):
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
