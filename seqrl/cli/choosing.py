"""Which agent a command is about: its name, the experiment it comes from, the fields changed."""

from typing import TYPE_CHECKING, Annotated

import typer

from seqrl.cli.output import say

if TYPE_CHECKING:
    from seqrl.agents.agent import Agent
    from seqrl.runs.experiment import Experiment

AGENT = Annotated[
    str,
    typer.Argument(help="Its name in the experiment (DT, BC, ...), or module:Class of yours."),
]
TASK = Annotated[str, typer.Argument(help="Full or short name, e.g. hopper-medium.")]
EXPERIMENT = Annotated[
    str,
    typer.Option(
        help="Where agents and settings come from: quick, paper, smoke, hf_course, or mine.py."
    ),
]
SETTINGS = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Change a field of the agent, e.g. training.updates=10000 or target=1800; as "
        "often as you like. --set help lists them all.",
    ),
]


def chosen(
    agent: str, task: str, experiment: str, settings: list[str] | None
) -> "tuple[Experiment, str, Agent] | None":
    """Return the experiment, what it calls the agent, and the agent as it is for the task.

    Nothing, if all that was wanted is the list of fields: it has been said.
    """
    from seqrl.runs.experiment import agent_named, experiment_named, with_settings

    found = experiment_named(experiment)
    name, made = agent_named(agent, found, task)
    changes = settings or []
    if "help" in changes:
        _say_fields(made)
        return None
    return found, name, with_settings(made, changes)


def _say_fields(agent: "Agent", path: str = "") -> None:
    from dataclasses import is_dataclass

    from seqrl.plain import fields_of, in_words, kinds_of

    for name, hint in fields_of(type(agent)).items():
        value = getattr(agent, name)
        if is_dataclass(value):
            if kinds_of(hint):
                say(f"{path}{name}={type(value).__name__}  ({in_words(hint)})")
            _say_fields(value, f"{path}{name}.")  # type: ignore[arg-type]
        else:
            say(f"{path}{name}={value}  ({in_words(hint)})")
