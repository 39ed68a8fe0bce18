"""Runs on the toy world: data, and agents small enough to train in a second."""

from dataclasses import fields, replace
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from typing import Any

import torch

import seqrl.agents
from seqrl.agents.agent import Agent
from seqrl.data.source import import_data
from seqrl.evaluation import Evaluation
from seqrl.nets.model import Model
from seqrl.nets.network import Network
from seqrl.planning.settings import Search
from seqrl.policy import about_policy
from seqrl.runs.experiment import RunSpec
from seqrl.runs.source import Source
from seqrl.tokens.layout import Bins
from seqrl.tokens.tokenizer import fit
from seqrl.training.checkpoint import tensors_of, write_checkpoint
from seqrl.training.settings import Training
from tests.toy import ENVIRONMENT

TRAINING = Training(updates=30, batch=8, learning_rate=3e-3, decay="cosine")
EVALUATION = Evaluation(episodes=5)


def agent_classes() -> list[type[Agent]]:
    """Every agent that has a page: whoever adds one is tested by having added it."""
    found = set()
    for file in sorted(Path(seqrl.agents.__file__).parent.glob("*.py")):
        module = import_module(f"seqrl.agents.{file.stem}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Agent) and not isabstract(value):
                found.add(value)
    return sorted(found, key=lambda kind: kind.__name__)


def small(kind: type[Agent], **given: Any) -> Agent:
    """Make an agent with little to learn and little to learn it with."""
    names = {field.name for field in fields(kind)}
    less: dict[str, Any] = {
        "training": TRAINING,
        "context_steps": 4,
        "width": 16,
        "window_steps": 4,
        "bins": Bins(count=20),
    }
    kept = {name: value for name, value in less.items() if name in names}
    made = kind(**kept | given)
    if "search" in names:
        search: Search = made.search  # type: ignore[attr-defined]
        search = given.get("search") or replace(search, horizon=3, beam_width=4, context_steps=2)
        made = replace(made, search=search)  # type: ignore[call-arg]
    network: Network | None = getattr(made, "network", None)
    if network is None:
        return made
    return replace(made, network=replace(network, layers=2, width=16))  # type: ignore[call-arg]


def toy_source(views: str = "") -> Source:
    """Import the toy's data, and open it."""
    known = import_data(
        "tests.toy:episodes",
        name="toy",
        environment=ENVIRONMENT,
        reference=(-10.0, 20.0),
        replacing=True,
    )
    return Source.of(known.name + views)


def spec_of(agent: Agent, source: Source, **given: Any) -> RunSpec:
    """Describe a run of it."""
    usual: dict[str, Any] = {
        "experiment": "quick",
        "name": type(agent).__name__,
        "agent": agent,
        "task": source.task.name,
        "seed": 0,
        "evaluation": EVALUATION,
    }
    return RunSpec(**usual | given)


def write_policy(agent: Agent, source: Source, file: Path) -> Model:
    """Write a checkpoint of an agent that has learnt nothing; its model."""
    tokenizer = fit(agent.layout(), source.episodes)
    model = agent.model(tokenizer, torch.Generator().manual_seed(0)).eval()
    write_checkpoint(file, tensors_of(model), about_policy(agent, source.task, tokenizer))
    return model
