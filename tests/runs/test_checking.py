"""A launch is checked as a whole, without data: all that would fail later, said once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from seqrl.agents.agent import Agent
from seqrl.agents.behaviour_cloning import BehaviourCloning, MlpBehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.data.cache import everything
from seqrl.data.source import task_named
from seqrl.errors import SeqrlError, UnknownName
from seqrl.evaluation import Evaluation
from seqrl.runs.checking import problems_of
from seqrl.runs.description import network_of
from seqrl.runs.experiment import Experiment, RunSpec
from seqrl.tasks.task import Task
from seqrl.training.settings import Training
from tests.runs.making import small
from tests.toy import ENVIRONMENT, Toy


@dataclass(frozen=True, kw_only=True)
class Careless(BehaviourCloning):
    """Its network cannot be made."""

    def model(self, tokenizer: Any, generator: Any) -> Any:
        """Fail as people's code does."""
        raise KeyError("no such layer")


@dataclass(frozen=True, kw_only=True)
class Picky(BehaviourCloning):
    """Only for bodies."""

    def model(self, tokenizer: Any, generator: Any) -> Any:
        """Refuse narrow observations."""
        if tokenizer.widths["observation"] < 10:
            raise SeqrlError("Picky needs observations of ten numbers or more.")
        return super().model(tokenizer, generator)


class Choosing(Toy):
    """Takes one of five actions."""

    action_space = Discrete(5)  # type: ignore[assignment]


class Seeing(Toy):
    """Shows pictures."""

    observation_space = Box(0, 255, (4, 4, 3), np.uint8)


class Broken(Toy):
    """Cannot even be made."""

    def __init__(self) -> None:
        raise OSError("no robot on port 3")


for _kind in ("Choosing", "Seeing", "Broken"):
    if f"{_kind}-v0" not in gymnasium.registry:
        gymnasium.register(f"{_kind}-v0", f"{__name__}:{_kind}")

TOY = Task(
    name="file/toy",
    environment=ENVIRONMENT,
    horizon=12,
    observation_width=3,
    action_width=2,
    reference=None,
)
TASKS = {
    "toy": TOY,
    "endless": replace(TOY, name="file/endless", action_high=(1.0, float("inf"))),
    "locked": replace(TOY, name="file/locked", not_playable="its door is shut"),
    "both": replace(TOY, name="file/both", not_playable="it is lost", action_low=(-np.inf, 0.0)),
    "broken": replace(TOY, name="file/broken", environment="Broken-v0"),
    "wide": replace(TOY, name="file/wide", observation_width=5),
    "choosing": replace(TOY, name="file/choosing", environment="Choosing-v0"),
    "nowhere": replace(TOY, name="file/nowhere", environment="Nowhere-v0"),
}


def task_of(name: str) -> Task:
    """Find a task as the catalogue does."""
    if name not in TASKS:
        raise UnknownName(f"There is no task named {name!r}.")
    return TASKS[name]


def launch(tasks: Sequence[str], agents: dict[str, Agent], times: int = 1) -> list[RunSpec]:
    experiment = Experiment(
        about="",
        tasks=tasks,
        agents=agents,
        seeds=range(3),
        evaluation=Evaluation(episodes=2, times=times),
    )
    return experiment.runs("mine")


GOOD: dict[str, Agent] = {"DT": small(DecisionTransformer), "MLP": small(MlpBehaviourCloning)}


def test_what_can_be_run_has_no_problems() -> None:
    """A check that cries wolf is switched off; and it must not need the data."""
    assert problems_of(launch(["toy"], GOOD), task_of) == []
    catalogue = launch(["hopper-medium", "seqrl/hopper-tiny-v1@v5", "ant-expert"], GOOD)
    assert problems_of(catalogue, task_named) == [] and everything() == []


def test_every_kind_of_problem_is_found_at_once() -> None:
    """Found one by one, each after hours of training, they cost a weekend."""
    brief = replace(GOOD["DT"], training=Training(updates=4))
    agents = {**GOOD, "brief": brief, "careless": Careless(), "picky": Picky()}
    tasks = ["toy", "endless", "locked", "wide", "choosing", "nowhere", "unknown"]
    found = problems_of(launch(tasks, agents, times=5), task_of)
    everybody = "DT, MLP, brief, careless, picky on"

    def said(text: str) -> str:
        (problem,) = [problem for problem in found if text in problem]
        return problem

    assert said("no bounds").startswith(f"{everybody} endless: The actions of file/endless")
    assert said("its door is shut").startswith(f"{everybody} locked: ")
    assert said("observations of 5 numbers").startswith(f"{everybody} wide: ")
    assert "takes Discrete(5)" in said(f"{everybody} choosing: ")
    assert "'Nowhere-v0' could not be made" in said(f"{everybody} nowhere: ")
    assert said("no task named") == f"{everybody} unknown: There is no task named 'unknown'."
    can_be_made = "toy, locked, wide, choosing, nowhere"
    assert said("KeyError") == (
        f"careless on {can_be_made}: its network cannot be made (KeyError: 'no such layer')."
    )
    assert said("Picky needs").startswith(f"picky on {can_be_made}: ")
    assert said("5 evaluations do not fit").startswith(f"brief on {', '.join(tasks)}: ")
    assert len(found) == 9


def test_one_task_may_have_several_problems() -> None:
    """The second must not wait until the first is mended."""
    first, second = problems_of(launch(["both"], {"DT": GOOD["DT"]}), task_of)
    assert "no bounds" in first and "it is lost" in second
    (broken,) = problems_of(launch(["broken"], {"DT": GOOD["DT"]}), task_of)
    assert broken == (
        "DT on broken: the environment Broken-v0 cannot be made (OSError: no robot on port 3)."
    )


def test_what_cannot_be_recorded_is_found() -> None:
    """A field that no record can hold fails at the end of the first training."""
    odd = replace(small(DecisionTransformer), target=float("nan"))  # type: ignore[call-arg]
    (problem,) = problems_of(launch(["toy"], {"odd": odd}), task_of)
    assert problem.startswith("odd on toy: nan cannot be written down")


def test_seeds_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network for every seed would make the check slower than the launch."""
    made: list[tuple[Agent, str]] = []

    def counted(agent: Agent, task: Task) -> Any:
        made.append((agent, task.name))
        return network_of(agent, task)

    monkeypatch.setattr("seqrl.runs.checking.network_of", counted)
    asked: list[str] = []

    def asking(name: str) -> Task:
        asked.append(name)
        return TASKS["toy"]

    specs = launch(["toy", "again"], GOOD)
    assert len(specs) == 12 and problems_of(specs, asking) == []
    assert len(made) == 4 and asked == ["toy", "again"]


def test_an_observation_that_is_no_row_is_refused() -> None:
    """Pictures have no place in the token layer; the task says nothing of them."""

    tasks = {"seeing": replace(TOY, name="file/seeing", environment="Seeing-v0")}
    (problem,) = problems_of(launch(["seeing"], {"DT": GOOD["DT"]}), tasks.__getitem__)
    assert problem.startswith("DT on seeing: file/seeing has observations of 3 numbers, but")
