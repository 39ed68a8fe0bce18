"""`seqrl show`: how an agent sees a task, before anything is trained."""

from typing import TYPE_CHECKING

from seqrl.cli.choosing import AGENT, EXPERIMENT, SETTINGS, TASK, chosen
from seqrl.cli.output import say, say_json, say_table
from seqrl.cli.tasks import JSON

if TYPE_CHECKING:
    from seqrl.tokens.description import TokenRow


def show(
    agent: AGENT,
    task: TASK,
    experiment: EXPERIMENT = "quick",
    settings: SETTINGS = None,
    as_json: JSON = False,
) -> None:
    """Show the tokens of one step, the window, the network and the training of an agent.

    Needs no data: only the task's widths. The table is what the agent's layout() declares, and what
    follows from it.
    """
    from dataclasses import asdict

    from seqrl.data.source import task_named
    from seqrl.runs.description import describe

    choice = chosen(agent, task, experiment, settings)
    if choice is None:
        return
    _, name, made = choice
    found = describe(made, task_named(task))
    if as_json:
        say_json({"name": name, **asdict(found)})
        return
    say(f"{name} ({found.agent.rpartition(':')[2]}) on {found.task}, played in {found.environment}")
    say()
    say_table(
        ["", "token", "signal", "encoding", "attended", "read from", "loss"],
        [_cells(row, found.by_reading_rule) for row in found.tokens],
        right=(0, 6),
    )
    say()
    for title, text in found.window.items():
        say(f"{title}: {text}")
    say(f"network: {found.network}")
    say(f"weights: {found.weights:,}")
    say("settings: " + ", ".join(f"{name} {value}" for name, value in found.settings.items()))
    say(f"training: {found.training}")


def _cells(row: "TokenRow", by_reading_rule: bool) -> list[str]:
    read_from = row.read_from if by_reading_rule or row.read_from is None else "see network"
    return [
        "goal" if row.number is None else str(row.number),
        row.label,
        row.signal,
        row.encoding,
        "seen" if row.attended else "hidden",
        read_from or "-",
        f"{row.loss:g}" if row.loss else "-",
    ]
