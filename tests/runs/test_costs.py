"""What runs cost: what an estimate rests on, and how it follows from what was measured."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from seqrl.agents.agent import Agent
from seqrl.agents.behaviour_cloning import BehaviourCloning, MlpBehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.data.source import task_named
from seqrl.evaluation import Evaluation
from seqrl.nets.network import Network
from seqrl.plain import changed, to_plain
from seqrl.planning.settings import BeamSearch
from seqrl.runs.calibration import Speed, calibrate
from seqrl.runs.costs import (
    Cost,
    Here,
    estimate,
    in_words,
    measured_here,
    shipped_table,
)
from seqrl.runs.experiment import RunSpec, experiment_named
from seqrl.runs.identity import machine
from seqrl.runs.record import RunRecord
from seqrl.runs.work import rows_computed, update_shape, widths_of, work_of
from seqrl.speed.costs import EXPERIMENTS, PRECISIONS, official
from seqrl.training.device import precision_on

AUTO = precision_on("auto", torch.device("cpu"))
TASK = task_named("d4rl/hopper-medium-v2")
SPEED = Speed(precision=AUTO, training=40.0, playing=2000.0)
WIDE = Network(layers=5, heads=4, width=200)


def quick(name: str) -> Agent:
    return experiment_named("quick").agent(name, TASK.name)


def spec_of(agent: Agent, episodes: int = 50, times: int = 1) -> RunSpec:
    return RunSpec(
        experiment="quick",
        name="X",
        agent=agent,
        task=TASK.name,
        seed=0,
        evaluation=Evaluation(episodes=episodes, times=times),
    )


def cost(agent: Agent, lengths: float = 400, speed: Speed = SPEED, **given: Any) -> Cost:
    here = given.pop("here", ())
    return estimate(spec_of(agent, **given), TASK, lengths=lengths, speed=speed, here=here)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_shipped_run_was_measured(name: str, precision: str) -> None:
    """Settings that changed since they were measured would be guessed at, and nobody would know."""
    experiment, speed = experiment_named(name), replace(SPEED, precision=precision)
    for task in experiment.tasks:
        known = task_named(official(task))
        for called in experiment.agents:
            agent = changed(experiment.agent(called, task), "training.precision", precision)
            found = estimate(spec_of(agent), known, lengths=500, speed=speed)
            assert found.basis == "measured shape", f"run `make costs`: {called} on {task} is new"


def test_another_precision_than_the_speeds_is_a_guess() -> None:
    """The calibration says nothing of float32 where it was in bfloat16."""
    (other,) = {*PRECISIONS} - {AUTO}
    found = cost(changed(quick("DT"), "training.precision", other))
    assert (found.basis, found.training) == ("scaled", cost(quick("DT")).training)


def test_the_table_is_whole() -> None:
    """A time or a speed that is none would make estimates of zero or of forever."""
    table = shipped_table()
    assert {"machine", "versions"} <= set(table.about)
    assert table.about["machine"]["threads"] == 1
    everything = [*table.updates, *table.decisions, *table.steps.values()]
    for entry in everything:
        for number in (entry.work, entry.seconds, entry.speed):
            assert 0 < number < math.inf, entry
    for entries in (table.updates, table.decisions):
        shapes = [json.dumps(entry.shape, sort_keys=True) for entry in entries]
        assert len(set(shapes)) == len(shapes)


@pytest.mark.parametrize("name", ["DT", "TT", "MLP-BC"])
def test_twice_the_updates_take_twice_as_long(name: str) -> None:
    """The one thing that everybody changes; playing and disk do not depend on it."""
    agent = quick(name)
    once = cost(agent)
    twice = cost(changed(agent, "training.updates", 2 * agent.training.updates))
    assert twice.training == pytest.approx(2 * once.training)
    assert (twice.playing, twice.disk, twice.basis) == (once.playing, once.disk, once.basis)
    assert once.total == once.training + once.playing


def test_half_the_speed_takes_twice_as_long() -> None:
    """A ratio the wrong way round tells the owner of a slow machine that it is fast."""
    once = cost(quick("TT"))
    slow = cost(quick("TT"), speed=replace(SPEED, training=SPEED.training / 2))
    assert slow.training == pytest.approx(2 * once.training)
    assert slow.playing == once.playing
    slow = cost(quick("TT"), speed=replace(SPEED, playing=SPEED.playing / 2))
    assert slow.playing == pytest.approx(2 * once.playing)
    assert slow.training == once.training


def test_what_was_measured_comes_out_where_it_was_measured() -> None:
    """At the speed that was found beside it, an entry's own time."""
    agent = quick("DT")
    shape = update_shape(to_plain(agent), widths_of(TASK), AUTO, type(agent))
    (entry,) = [entry for entry in shipped_table().updates if entry.shape == shape]
    found = cost(agent, speed=replace(SPEED, training=entry.speed))
    assert found.training == pytest.approx(agent.training.updates * entry.seconds)


def test_all_evaluations_count() -> None:
    """Ten evaluations are ten times the playing."""
    assert cost(quick("TT"), times=10).playing == pytest.approx(10 * cost(quick("TT")).playing)


@pytest.mark.parametrize("name", ["DT", "TT", "BC"])
def test_other_settings_are_scaled_by_the_work(name: str) -> None:
    """More weights, larger batches, longer plans: never less time; and it says that it guesses."""
    agent = quick(name)
    before = cost(agent)
    batch = cost(changed(agent, "training.batch", 10 * agent.training.batch))
    assert batch.basis == "scaled"
    assert batch.training > before.training and batch.playing == before.playing
    larger = cost(replace(agent, network=WIDE))  # type: ignore[call-arg]
    assert larger.basis == "scaled"
    assert larger.training > before.training and larger.playing > before.playing
    even_larger = cost(replace(agent, network=replace(WIDE, width=400)))  # type: ignore[call-arg]
    assert even_larger.training > larger.training and even_larger.playing > larger.playing


def test_wider_searches_take_longer() -> None:
    """A plan of twice the beams or steps is twice the work for the network."""
    search = BeamSearch(horizon=7, beam_width=50, window="full")
    agent = TrajectoryTransformer(window_steps=20, search=search)
    wider = replace(agent, search=replace(search, beam_width=100))
    longer = replace(agent, search=replace(search, horizon=14))
    once = work_of(agent, TASK)
    assert work_of(wider, TASK).decision == work_of(longer, TASK).decision == 2 * once.decision
    assert work_of(wider, TASK).update == once.update
    # 50 beams of 2 candidates each, 7 steps of 11 + 3 + 1 + 1 tokens
    assert once.decision == once.weights * 100 * 7 * 16


def test_what_costs_no_time_is_no_other_shape() -> None:
    """A changed target or learning rate would throw away what was measured."""
    agent = replace(DecisionTransformer(), target=1800.0)
    assert cost(changed(agent, "training.learning_rate", 0.5)).basis == "measured shape"
    assert cost(BehaviourCloning(fraction=0.1)) == cost(BehaviourCloning())


def test_an_agent_of_ones_own_is_scaled_from_what_it_was_made_of() -> None:
    """By the work alone the nearest might be of another kind, which works in another way."""

    class Mine(DecisionTransformer):
        pass

    mine, theirs = cost(Mine()), cost(DecisionTransformer())
    assert mine.basis == "scaled"
    assert mine.total == pytest.approx(theirs.total)


def test_other_widths_are_scaled() -> None:
    """Ant has never been measured; its windows are as long and its network a little larger."""
    ant = task_named("d4rl/ant-medium-v2")
    spec = spec_of(quick("TT"))
    found = estimate(spec, ant, lengths=400, speed=SPEED)
    assert found.basis == "scaled"
    assert found.training > estimate(spec, TASK, lengths=400, speed=SPEED).training


def test_disk_is_what_lies_there() -> None:
    """Weights in float32; the state beside them has two more numbers for each."""
    weights = 3 * 256 + 11 * 256 + 256 * 256 + 2 * 256 + 3  # 11 -> 256 -> 256 -> 3, with biases
    found = cost(MlpBehaviourCloning())
    assert found.disk == 4 * weights
    assert found.disk_meanwhile == 4 * found.disk


# ---- rows ------------------------------------------------------------------------------------


def test_a_few_episodes_are_computed_as_many() -> None:
    """Networks compute 25 rows at once, dummies too: 5 episodes take what 25 take."""
    assert rows_computed(5, 1000, 1000, 25) == rows_computed(25, 1000, 1000, 25) == 25 * 1000
    assert rows_computed(26, 1000, 1000, 25) == 50 * 1000


@pytest.mark.parametrize(("count", "mean", "horizon"), [(50, 300, 1000), (40, 800, 1000)])
def test_episodes_that_end_leave_dummies(count: int, mean: float, horizon: int) -> None:
    """Against a count, step by step, over episodes whose lengths are spread evenly."""
    low = max(0.0, 2 * mean - horizon)
    lengths = [low + (2 * mean - 2 * low) * (place + 1) / count for place in range(count)]
    playing = [sum(length > step for length in lengths) for step in range(horizon)]
    counted = sum(25 * math.ceil(alive / 25) for alive in playing)
    assert rows_computed(count, mean, horizon, 25) == pytest.approx(counted, rel=0.01)


# ---- records ---------------------------------------------------------------------------------


def record_of(agent: Agent, **given: Any) -> RunRecord:
    lengths = given.pop("lengths", [1000] * 50)
    last = {"seconds": 500.0, "episodes": [{"length": length} for length in lengths]}
    usual: dict[str, Any] = {name: "" for name in RunRecord.__dataclass_fields__}
    usual |= {
        "status": "done",
        "agent": to_plain(agent),
        "task": {"observation_width": 11, "action_width": 3},
        "training": {"updates_per_second": 8.0, "precision": AUTO},
        "evaluations": [last],
        "machine": {**machine("cpu"), "threads": 1},
    }
    return RunRecord(**usual | given)


def test_runs_that_were_done_here_are_believed_first() -> None:
    """They know this machine better than any calibration; its speed is not asked for any more."""
    agent = quick("DT")
    other = changed(agent, "training.learning_rate", 0.5)
    here = measured_here([record_of(other)])
    found = cost(
        agent, lengths=1000, speed=Speed(precision=AUTO, training=1e-9, playing=1e-9), here=here
    )
    assert found.training == pytest.approx(agent.training.updates / 8)
    assert found.playing == pytest.approx(500)
    assert found.basis == "measured here"
    assert cost(agent, lengths=1000, episodes=100, here=here).playing == pytest.approx(1000)


def test_a_finished_run_counts_for_all_rows_that_it_computed() -> None:
    """26 episodes, of which one lives long, computed 50 rows at first and 25 afterwards."""
    here = measured_here([record_of(quick("DT"), lengths=[1000] + [100] * 25)])
    found = cost(quick("DT"), lengths=1000, episodes=25, here=here)
    assert found.playing == pytest.approx(500 * (25 * 1000) / (25 * 1000 + 25 * 100))


@pytest.mark.parametrize(
    "given",
    [
        {"status": "failed", "training": {}, "evaluations": []},
        {"machine": {**machine("cpu"), "threads": 7}},
        {"machine": {**machine("cpu"), "threads": 1, "device": "cuda"}},
        {"machine": {**machine("cpu"), "threads": 1, "processor": "another"}},
        {"evaluations": [{"seconds": 500.0, "episodes": [{"length": 9}, {}]}]},
        {"training": {"updates_per_second": 8.0}},
        {"task": {"name": "seqrl/hopper-medium-v1", "reference": None}},
    ],
    ids=["failed", "threads", "device", "processor", "length", "precision", "widths"],
)
def test_runs_of_which_nothing_follows_here_do_not_count(given: dict[str, Any]) -> None:
    """A results folder is carried about; a GPU's speed must not be promised to a laptop. Nor do
    those count that do not say enough."""
    assert measured_here([record_of(quick("DT"), **given)]) == []


def test_a_time_that_nobody_knows_is_not_taken() -> None:
    """A killed evaluation has no seconds; the training's speed is known all the same."""
    killed = {"seconds": None, "episodes": [{"length": 1000}]}
    here = measured_here([record_of(quick("DT"), evaluations=[killed])])
    found = cost(quick("DT"), here=here)
    assert found.training == pytest.approx(2000 / 8)
    assert found.playing == cost(quick("DT")).playing
    assert found.basis == "measured shape"


def test_another_agents_runs_do_not_count() -> None:
    """Of another class, or of other settings that take time."""
    here: list[Here] = measured_here([record_of(quick("BC")), record_of(quick("TT"))])
    assert cost(quick("DT"), here=here) == cost(quick("DT"))


# ---- calibration and words -------------------------------------------------------------------


def test_calibration_leaves_nothing_behind() -> None:
    """Neither threads nor chance of whoever calibrates; and it takes about as long as it is told.

    (How fast this machine is nobody knows here; only that it does something.)"""
    torch.manual_seed(5)
    before = torch.get_rng_state(), torch.get_num_threads()
    found = calibrate(0.05)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    assert 0 < found.training < math.inf and 0 < found.playing < math.inf


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "under a minute"),
        (59, "under a minute"),
        (60, "about 1 minute"),
        (89, "about 1 minute"),
        (25 * 60 + 20, "about 25 minutes"),
        (59.4 * 60, "about 59 minutes"),
        (59.8 * 60, "about 1 hour"),
        (2.1 * 3600, "about 2 hours"),
        (1.6 * 3600, "about 1.5 hours"),
        (23.9 * 3600, "about 1 day"),
        (36 * 3600, "about 1.5 days"),
        (123 * 86400, "about 120 days"),
        (1234 * 86400, "about 1,200 days"),
    ],
)
def test_times_are_said_as_roughly_as_they_are_known(seconds: float, words: str) -> None:
    """ "24 minutes 37 seconds" would be believed."""
    assert in_words(seconds) == words
