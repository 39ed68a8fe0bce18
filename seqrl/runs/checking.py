"""Checking a launch: everything that would fail later, found all at once before anything starts.

It makes every network and one environment of every task, and needs no data. What only the data can
tell (whether it is here, whether a target suits it) it does not know.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

import numpy as np

from seqrl.errors import SeqrlError
from seqrl.evaluation import Evaluation
from seqrl.plain import declaration, from_plain, to_plain
from seqrl.runs.description import network_of
from seqrl.runs.experiment import RunSpec
from seqrl.tasks.environment import Environments
from seqrl.tasks.task import Task


def problems_of(specs: Sequence[RunSpec], task_of: Callable[[str], Task]) -> list[str]:
    """Say everything that is wrong with these runs: each problem once, with its agents and tasks.

    `task_of` finds the task of a name, and raises a `SeqrlError` if there is none.
    """
    found: dict[str, list[RunSpec]] = {}
    tasks: dict[str, tuple[Task | None, list[str]]] = {}
    for spec in _but_for_seeds(specs):
        if spec.task not in tasks:
            tasks[spec.task] = _looked_at(spec.task, task_of)
        task, problems = tasks[spec.task]
        for problem in [*problems, *_problems_of_agent(spec, task)]:
            found.setdefault(problem, []).append(spec)
    return [
        f"{agents} on {', '.join(where)}: {problem}"
        for problem, affected in found.items()
        for agents, where in _together(affected)
    ]


def _but_for_seeds(specs: Sequence[RunSpec]) -> list[RunSpec]:
    """Return one run of those that differ in nothing but their seed."""
    different = {
        (spec.name, spec.task, declaration(spec.agent), spec.evaluation): spec for spec in specs
    }
    return list(different.values())


def _together(specs: Sequence[RunSpec]) -> list[tuple[str, list[str]]]:
    """Gather the tasks on which the same agents have a problem."""
    agents: dict[str, list[str]] = {}
    for spec in specs:
        agents.setdefault(spec.task, []).append(spec.name)
    tasks: dict[str, list[str]] = {}
    for task, names in agents.items():
        tasks.setdefault(", ".join(dict.fromkeys(names)), []).append(task)
    return list(tasks.items())


def _looked_at(name: str, task_of: Callable[[str], Task]) -> tuple[Task | None, list[str]]:
    """Return the task, if networks can be made for it, and what is wrong with it."""
    try:
        task = task_of(name)
    except SeqrlError as error:
        return None, [str(error)]
    unbounded = _problem(partial(refuse_unbounded, task))
    unplayable = _problem(
        lambda: Environments(task, 1).close(), f"the environment {task.environment}"
    )
    return None if unbounded else task, unbounded + unplayable


def refuse_unbounded(task: Task) -> None:
    """Refuse a task whose actions may be of any size."""
    if not np.isfinite([*task.action_low, *task.action_high]).all():
        raise SeqrlError(
            f"The actions of {task.name} have no bounds, and agents need some: give the "
            "environment's action space finite ones."
        )


def _problems_of_agent(spec: RunSpec, task: Task | None) -> list[str]:
    """Say what is wrong with an agent on a task, or with how it is evaluated."""
    agent, evaluation = spec.agent, spec.evaluation
    if of_other_types := [
        *_problem(lambda: from_plain(type(agent), to_plain(agent))),
        *_problem(lambda: from_plain(Evaluation, asdict(evaluation))),
    ]:
        return of_other_types
    problems = _problem(lambda: evaluation.milestones(agent.training.updates))
    if task is not None:
        problems += _problem(partial(network_of, agent, task), "its network")
    return problems


def _problem(attempt: Callable[[], object], what: str = "it") -> list[str]:
    """Return what is wrong, if anything is. What is tried may be the user's own, and raise
    anything."""
    try:
        attempt()
    except SeqrlError as error:
        return [str(error)]
    except (Exception, SystemExit) as error:
        return [f"{what} cannot be made ({type(error).__name__}: {error})."]
    return []
