"""Published scores, as other people printed them, with where they stand and what is known of how
they were made. They are shown apart from ours and never averaged with them.
"""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SCORES = Path(__file__).with_name("published.csv")
SOURCES = Path(__file__).with_name("published_sources.json")

SHOWN = ("DT", "TT(quantile)", "TT(uniform)", "BC", "10%BC")
"""The agents that stand beside ours; some write a space before BC."""
FROM = ("DT2021", "TT2021", "CORL_last", "d3rlpy_final")
"""Whose numbers: the authors of the two papers, and two libraries that ran them again, each at the
last checkpoint."""

COPIED = re.compile(
    r"(?<!not )(?<!hyperparameters )\bcopied\b|taken by .* authors from|"
    r"numbers? (?:are )?taken from|(?<!not )\bnumbers? from the \w+ paper|"
    r"equal (?:the DT paper|other papers)|as reported (?:in|by)\b"
)
"""How notes say that a number is not of its source's own runs."""


@dataclass(frozen=True, kw_only=True)
class PublishedScore:
    """One cell of somebody's table, as printed."""

    source: str
    """Key of `source_of`."""
    agent: str
    task: str
    """As D4RL names it, without a family: hopper-medium-v2."""
    mean: float
    error: float | None
    error_kind: str
    seeds: int | None
    notes: str

    @property
    def copied(self) -> bool:
        """Say whether the source took it from elsewhere."""
        return COPIED.search(self.notes) is not None


@dataclass(frozen=True, kw_only=True)
class PublishedBlock:
    """What stands beside a table of ours."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


@cache
def published() -> tuple[PublishedScore, ...]:
    """Return all that is known."""
    with SCORES.open(newline="", encoding="utf-8") as rows:
        return tuple(
            PublishedScore(
                source=row["source_key"],
                agent=row["agent"],
                task=row["task"],
                mean=float(row["mean"]),
                error=float(row["error"]) if row["error"] else None,
                error_kind=row["error_kind"],
                seeds=int(row["n_seeds"]) if row["n_seeds"] else None,
                notes=row["notes"],
            )
            for row in csv.DictReader(rows)
        )


@cache
def sources() -> Mapping[str, Mapping[str, str]]:
    """Return of each source its citation, where its numbers were read, how far that can be trusted
    (A: the authors' own, B: a benchmark's own, C: a transcription), and what is known of seeds,
    episodes, checkpoint, target, error, environment."""
    found: Mapping[str, Mapping[str, str]] = json.loads(SOURCES.read_text(encoding="utf-8"))
    return found


def counterpart(task: str) -> str:
    """Return what D4RL calls the task that a full name of ours comes nearest to."""
    entry = re.split(r"[+@]", task)[0].partition("/")[2]
    short = re.sub(r"-v\d+$", "", entry).replace("medium-snapshots", "medium-replay")
    return f"{short}-v2"


def block_for(tasks: Sequence[str]) -> PublishedBlock | None:
    """Return what is published of the counterparts of some tasks; nothing if nothing is."""
    columns = {task: counterpart(task) for task in tasks if task.startswith(("d4rl/", "seqrl/"))}
    found = {
        (one.agent.replace("% BC", "%BC"), one.source, one.task): one
        for one in published()
        if one.source in FROM and not one.copied
    }
    heads = [name for name in dict.fromkeys(columns.values()) if any(k[2] == name for k in found)]
    if not heads:
        return None
    columns = {task: name for task, name in columns.items() if name in heads}
    rows, used = [], set()
    for agent in SHOWN:
        for source in FROM:
            cells = [found.get((agent, source, name)) for name in heads]
            if any(cells):
                rows.append((f"{agent}, {source}", *map(_cell, cells)))
                used.add(source)
    return PublishedBlock(
        title="Published by others on D4RL's data: not ours, and not to be averaged with ours",
        head=("agent, source", *(f"d4rl/{name}" for name in heads)),
        rows=tuple(rows),
        notes=(_what_differs(columns), *(_of_source(key) for key in FROM if key in used)),
    )


def _cell(one: PublishedScore | None) -> str:
    if one is None:
        return "-"
    return f"{one.mean:z.1f}" + ("" if one.error is None else f" ± {one.error:.1f}")


def _what_differs(columns: Mapping[str, str]) -> str:
    other = {t: name for t, name in columns.items() if t.partition("@")[0] != f"d4rl/{name}"}
    pairs = "; ".join(f"{task} is not d4rl/{name}" for task, name in other.items())
    return (
        (f"Other data: {pairs}. " if other else "")
        + "Other simulators: these were played with mujoco-py in older gym environments (v2, v3), "
        "ours in Gymnasium's with today's MuJoCo. ± means something else in each source:"
    )


def _of_source(key: str) -> str:
    about = sources()[key]
    known = [
        f"{name} {about[name]}"
        for name in ("seeds", "episodes", "checkpoint", "target", "environment")
        if name in about
    ]
    error = [f"± is {about['error']}"] if "error" in about else []
    return (
        f"{key}: {about['citation']}. {'; '.join([*error, *known])}. Read in: {about['read_in']}."
    )
