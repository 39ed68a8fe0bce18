"""Experiments: which agents on which tasks with which seeds, as one Python constant.

An experiment is a file with a constant EXPERIMENT. Those that come with the package lie in
`seqrl/experiments`, as examples to copy.
"""

import fnmatch
import importlib.util
import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from seqrl.agents.agent import Agent
from seqrl.errors import SeqrlError, UnknownName
from seqrl.evaluation import Evaluation
from seqrl.nets.network import Network
from seqrl.plain import changed, changed_by_text, class_at, fields_of, module_of
from seqrl.planning.settings import Search
from seqrl.runs.record import no_name
from seqrl.training.settings import Training

SHIPPED = "seqrl.experiments"
LARGEST_SEED = 2**53
"""Larger numbers are not kept exactly by all readers of JSON."""


@dataclass(frozen=True)
class When:
    """For one agent, on tasks whose name fits a pattern, other values of some fields."""

    agent: str
    tasks: str
    fields: Mapping[str, Any]


def when(agent: str, tasks: str, **fields: Any) -> When:
    """Say it: `when("TT", "halfcheetah-*", horizon=5)`; inner fields as `training__updates=10`."""
    return When(agent, tasks, {name.replace("__", "."): value for name, value in fields.items()})


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One run: one agent, one task, one seed."""

    experiment: str
    name: str
    """What the experiment calls the agent."""
    agent: Agent
    task: str
    seed: int
    evaluation: Evaluation
    changed: tuple[str, ...] = ()
    """What was changed of the experiment's settings, as it was said, FIELD=VALUE."""

    def __str__(self) -> str:
        """Name it in a line."""
        return f"{self.name} on {self.task}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A table to be: agents x tasks x seeds, all under one evaluation."""

    about: str
    """What it is good for, and what not."""

    tasks: Sequence[str]
    agents: Mapping[str, Agent]
    seeds: Iterable[int]
    default_agents: Sequence[str] = ()
    """Run unless others are named; all, if empty."""
    evaluation: Evaluation = Evaluation()
    overrides: Sequence[When] = ()

    def __post_init__(self) -> None:
        """Refuse what would fail in the middle: all problems at once."""
        problems = self._problems_of_lists()
        if problems:
            raise SeqrlError("The experiment cannot be run. " + " ".join(problems))
        problems = [
            f"The agent's name {name!r}: use letters, digits and . _ % + -; it becomes a folder."
            for name in self.agents
            if not re.fullmatch(r"[\w%+-][\w.%+-]*", name)
        ]
        problems += [f"agents: {why}." for name in self.agents if (why := no_name(name))]
        problems += [
            f"default_agents: there is no such agent: {name!r}."
            for name in self.default_agents
            if name not in self.agents
        ]
        for override in self.overrides:
            if override.agent not in self.agents:
                problems.append(f"when({override.agent!r}, ...): there is no such agent.")
                continue
            try:
                _overridden(self.agents[override.agent], override)
            except SeqrlError as error:
                problems.append(f"when({override.agent!r}, {override.tasks!r}): {error}")
        if problems:
            raise SeqrlError("The experiment cannot be run. " + " ".join(problems))

    def _problems_of_lists(self) -> list[str]:
        """Say which of the lists are none, or hold something else."""
        wrong = []
        for name in ("tasks", "default_agents"):
            listed = getattr(self, name)
            if isinstance(listed, str) or not all(isinstance(text, str) for text in listed):
                wrong.append(f"{name} is {listed!r}; it must be a list of texts.")
        if not isinstance(self.agents, Mapping) or not all(
            isinstance(name, str) and isinstance(agent, Agent)
            for name, agent in self.agents.items()
        ):
            wrong.append("agents must give each name an agent: {'DT': DecisionTransformer()}.")
        seeds = [*self.seeds] if isinstance(self.seeds, Iterable) else [None]
        object.__setattr__(self, "seeds", seeds)  # what can be read only once has been read
        if any(type(seed) is not int or not 0 <= seed < LARGEST_SEED for seed in seeds):
            wrong.append(f"seeds must be whole numbers from 0 on, not {seeds!r}.")
        return wrong

    def agent(self, name: str, task: str) -> Agent:
        """Return an agent of the experiment as it is for a task."""
        if name not in self.agents:
            raise self._unknown([name])
        agent = self.agents[name]
        for override in self.overrides:
            if override.agent == name and any(
                fnmatch.fnmatch(known, override.tasks) for known in names_of(task)
            ):
                agent = _overridden(agent, override)
        return agent

    def runs(
        self,
        experiment: str,
        *,
        tasks: Sequence[str] | None = None,
        agents: Sequence[str] | None = None,
        seeds: Iterable[int] | None = None,
        settings: Sequence[str] = (),
    ) -> list[RunSpec]:
        """List all runs, or those that are selected. Other tasks and seeds replace the
        experiment's; `settings` are AGENT.FIELD=VALUE, or FIELD=VALUE for every agent that runs."""
        usual = self.default_agents or self.agents
        said = [*dict.fromkeys(usual if agents is None else agents)]
        if unknown := [name for name in said if ":" not in name and name not in self.agents]:
            raise self._unknown(unknown)
        names = [name.rpartition(":")[2] for name in said]
        changes, problems = _shared_out(settings, names, self.agents)
        kept_seeds = [*dict.fromkeys(self.seeds if seeds is None else seeds)]
        specs: list[RunSpec] = []
        for task in dict.fromkeys(self.tasks if tasks is None else tasks):
            for place, name in zip(said, names, strict=True):
                _, agent = agent_named(place, self, task)
                for change in changes[name]:
                    try:
                        agent = with_settings(agent, [change])
                    except SeqrlError as error:
                        problems.append(f"{name}: {error}")
                specs += [
                    RunSpec(
                        experiment=experiment,
                        name=name,
                        agent=agent,
                        task=task,
                        seed=seed,
                        evaluation=self.evaluation,
                        changed=tuple(changes[name]),
                    )
                    for seed in kept_seeds
                ]
        if problems:
            hint = "One agent alone is changed by --set AGENT.FIELD=VALUE." if settings else ""
            raise SeqrlError(" ".join([*dict.fromkeys(problems), hint]).strip())
        return specs

    def _unknown(self, names: Sequence[str]) -> UnknownName:
        return UnknownName(
            f"The experiment has no agent {', '.join(map(repr, names))}. It has "
            f"{', '.join(self.agents)}; an agent of your own is named module:Class."
        )


def _shared_out(
    settings: Sequence[str], names: Sequence[str], known: Iterable[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """Return the changes of each agent that runs, without its name in front; and what is wrong."""
    problems = [
        f"Two agents are called {name}, and their runs could not be told apart."
        for name in names
        if names.count(name) > 1
    ]
    changes: dict[str, list[str]] = {name: [] for name in names}
    for setting in map(str.strip, settings):
        owners = [name for name in {*names, *known} if setting.startswith(f"{name}.")]
        if not owners:
            for each in changes.values():
                each.append(setting)
            continue
        owner = max(owners, key=len)  # names may have dots in them
        if owner in changes:
            changes[owner].append(setting.removeprefix(f"{owner}."))
        else:
            problems.append(
                f"--set {setting}: {owner} is not among the agents that run, {', '.join(names)}."
            )
    return changes, problems


def names_of(task: str) -> set[str]:
    """Return all that a pattern may call a task: its whole name, without what follows a + or an @,
    without its family, and without its version."""
    entry = re.split(r"[+@]", task)[0]
    versioned = entry.rpartition("/")[2]
    return {task, entry, versioned, re.sub(r"-v\d+$", "", versioned)}


def _overridden(agent: Agent, override: When) -> Agent:
    for path, value in override.fields.items():
        agent = changed(agent, path, value)
    return agent


def shipped() -> list[str]:
    """List the experiments that come with the package."""
    found = importlib.util.find_spec(SHIPPED)
    places = (found.submodule_search_locations if found else None) or []
    return sorted(
        file.stem for place in places for file in Path(place).glob("*.py") if file.stem[0] != "_"
    )


def experiment_named(name: str) -> Experiment:
    """Return an experiment: a shipped one, or a file `mine.py`."""
    if name in shipped():
        module = import_module(f"{SHIPPED}.{name}")
    elif name.endswith(".py"):
        if why := no_name(Path(name).stem):
            raise SeqrlError(f"{name}: {why}.")
        module = _of_ones_own(name)
    else:
        raise UnknownName(
            f"There is no experiment {name!r}. There are {', '.join(shipped())}; one of your own "
            "is named by its file, mine.py."
        )
    experiment = getattr(module, "EXPERIMENT", None)
    if not isinstance(experiment, Experiment):
        raise SeqrlError(f"{name} has no constant EXPERIMENT that is an Experiment.")
    return experiment


def _of_ones_own(file: str) -> ModuleType:
    """Run an experiment's file; what is wrong in it is said with its line."""
    try:
        return module_of(file)
    except SeqrlError:
        raise
    except (Exception, SystemExit) as error:
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename) == Path(file).expanduser().resolve()
        ]
        where = f" (line {lines[-1]})" if lines else ""
        raise SeqrlError(
            f"{file} cannot be run{where}: {type(error).__name__}: {error}.{_fields_meant(error)}"
        ) from error


def _fields_meant(error: BaseException) -> str:
    """After a misspelt field, say which there are."""
    found = re.match(r"(\w+)\.__init__\(\) got an unexpected keyword argument", str(error))
    kinds = [Experiment, Evaluation, Training, Network, *_all_below(Agent), *_all_below(Search)]
    kind = next((kind for kind in kinds if found and kind.__name__ == found[1]), None)
    return f" {kind.__name__} has: {', '.join(fields_of(kind))}." if kind else ""


def _all_below(kind: type[Any]) -> list[type[Any]]:
    below: list[type[Any]] = kind.__subclasses__()
    return [kind, *(one for inner in below for one in _all_below(inner))]


def agent_named(name: str, experiment: Experiment, task: str) -> tuple[str, Agent]:
    """Return an agent and what to call it: one of the experiment, or module:Class of one's own."""
    if ":" not in name:
        return name, experiment.agent(name, task)
    kind: type[Agent] = class_at(name, Agent)  # type: ignore[type-abstract]
    if why := no_name(kind.__name__):
        raise SeqrlError(f"{name}: {why}.")
    try:
        return kind.__name__, kind()
    except TypeError as error:
        raise SeqrlError(f"{name} cannot be made without arguments: {error}.") from error


def with_settings(agent: Agent, changes: Iterable[str]) -> Agent:
    """Return an agent with fields changed as FIELD=VALUE says."""
    for change in changes:
        field, equals, value = change.partition("=")
        if not equals:
            raise SeqrlError(
                f"--set {change}: say FIELD=VALUE, e.g. training.updates=10000. --set help lists "
                "the fields."
            )
        agent = changed_by_text(agent, field.strip(), value.strip())
    return agent
