"""`seqrl tasks` and `seqrl score`."""

from typing import Annotated

import typer

from seqrl.cli.output import one_decimal, say, say_json, say_table

JSON = Annotated[bool, typer.Option("--json", help="Print plain data for a program.")]


def tasks(
    match: Annotated[str, typer.Argument(help="Show only names that contain this.")] = "",
    as_json: JSON = False,
) -> None:
    """List every task: its full name, its environment, the returns worth 0 and 100, whether it can
    be played.

    A short name such as hopper-medium means the official data if this machine has it or can fetch
    it, else the embedded set. d4rl/ names are the official files; seqrl/ names are embedded sets,
    which are not D4RL.
    """
    from seqrl.data.behaviours import SETS
    from seqrl.errors import UnknownName
    from seqrl.tasks.d4rl import ENTRIES

    listed = [entry.task for entry in ENTRIES.values()] + [chosen.task for chosen in SETS.values()]
    found = [task for task in listed if match.lower() in task.name]
    if not found:
        raise UnknownName(
            f"No task name contains {match!r}; `seqrl tasks` lists all {len(listed)}."
        )
    if as_json:
        say_json(
            [
                {
                    "name": task.name,
                    "environment": task.environment,
                    "horizon": task.horizon,
                    "observation_width": task.observation_width,
                    "action_width": task.action_width,
                    "reference": vars(task.reference) if task.reference else None,
                    "not_playable": task.not_playable,
                }
                for task in found
            ]
        )
        return
    playable = {name: f"yes, {chosen.note}" for name, chosen in SETS.items() if chosen.note}
    say_table(
        ["task", "environment", "horizon", "obs", "act", "0 is", "100 is", "playable"],
        [
            [
                task.name,
                task.environment,
                str(task.horizon),
                str(task.observation_width),
                str(task.action_width),
                f"{task.reference.minimum:.6g}" if task.reference else "-",
                f"{task.reference.maximum:.6g}" if task.reference else "-",
                f"no: {task.not_playable}" if task.not_playable else playable.get(task.name, "yes"),
            ]
            for task in found
        ],
        right=(2, 3, 4, 5, 6),
    )


def score(
    task: Annotated[str, typer.Option(help="Full or short task name, e.g. hopper-medium.")],
    return_: Annotated[
        float, typer.Option("--return", help="Return of an episode: the raw sum of its rewards.")
    ],
    as_json: JSON = False,
) -> None:
    """Turn a return into a score: 0 is a random policy, 100 an expert, never clipped."""
    from math import isfinite

    from seqrl.data.source import task_named
    from seqrl.errors import SeqrlError

    if not isfinite(return_):
        raise SeqrlError(f"--return must be a finite number, not {return_}.")
    chosen = task_named(task)
    value = chosen.score(return_)
    if not isfinite(value):
        raise SeqrlError(f"--return {return_} is too large to be a return.")
    if as_json:
        reference = vars(chosen.reference) if chosen.reference else None
        say_json({"task": chosen.name, "return": return_, "score": value, "reference": reference})
    else:
        say(one_decimal(value).replace(",", ""))
