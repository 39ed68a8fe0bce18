"""Comparison: one checkpoint on the same episodes twice, as it is and acting in another way.

Every episode that has ended stays in the file; the same command goes on with the others.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from seqrl.agents.agent import Agent
from seqrl.data.alone import alone
from seqrl.data.whole import json_lines, replace_file, whole_lines
from seqrl.errors import DataError, SeqrlError, told_plainly
from seqrl.evaluation import Played, play
from seqrl.plain import declaration
from seqrl.policy import Policy
from seqrl.progress import Progress, silent
from seqrl.runs.experiment import with_settings
from seqrl.runs.identity import hash_over
from seqrl.runs.origin import Origin
from seqrl.runs.table import make_room
from seqrl.runs.underway import read_underway, write_underway


@dataclass(frozen=True, kw_only=True)
class Side:
    """The episodes of one way to act."""

    changes: tuple[str, ...]
    """Of the agent's fields, as they were said; none: as it was run."""
    origin: Origin
    returns: tuple[float, ...]
    """Of each episode, in their order."""
    lengths: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Mean return."""
        return statistics.fmean(self.returns)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two ways to act, episode by episode."""

    as_run: Side
    changed: Side

    @property
    def differences(self) -> list[float]:
        """How much more each episode returned when changed."""
        pairs = zip(self.changed.returns, self.as_run.returns, strict=True)
        return [changed - as_run for changed, as_run in pairs]

    @property
    def mean(self) -> float:
        """Mean difference of the returns."""
        return statistics.fmean(self.differences)

    @property
    def standard_error(self) -> float | None:
        """Of the mean difference; one pair has none."""
        if len(self.differences) < 2:
            return None
        return statistics.stdev(self.differences) / math.sqrt(len(self.differences))

    @property
    def better(self) -> int:
        """Episodes that returned more when changed."""
        return sum(difference > 0 for difference in self.differences)

    @property
    def worse(self) -> int:
        """Episodes that returned less when changed."""
        return sum(difference < 0 for difference in self.differences)


def compare(
    policy: Policy,
    origin: Origin,
    changes: Sequence[str],
    *,
    episodes: int,
    file: Path,
    progress: Progress = silent,
) -> Comparison:
    """Play what is not in `file` yet, as it is and changed."""
    import torch

    other = changed_agent(policy.agent, changes)
    tokenizer = policy.model.tokenizer
    other.model(tokenizer, torch.Generator())  # what cannot be done says so before it is played
    make_room(file)
    lock = file.with_name(f".{file.name}.lock")
    with alone(lock, f"playing for {file}", progress):
        as_run = _side(policy, origin, (), episodes, file, progress)
        played_so = replace(origin, facts=other.facts(tokenizer.data))
        changed = replace(policy, agent=other)
        found = _side(changed, played_so, tuple(changes), episodes, file, progress)
        lock.unlink(missing_ok=True)
    return Comparison(as_run=as_run, changed=found)


def changed_agent(agent: Agent, changes: Sequence[str]) -> Agent:
    """Change fields that say how an agent acts; those that its weights depend on are refused."""
    made, kind = with_settings(agent, changes), type(agent).__name__
    if made == agent:
        raise SeqrlError("Nothing is changed. Say --set FIELD=VALUE, e.g. search.window=full.")
    for field in fields(agent):
        changed = getattr(made, field.name) != getattr(agent, field.name)
        if changed and field.name not in agent.acts_by:
            acts_by = ", ".join(agent.acts_by) or "none"
            raise SeqrlError(
                f"{kind}: with another {field.name} the weights would be others too. What can be "
                f"compared with one checkpoint are fields that only say how it acts (acts_by): "
                f"{acts_by}. For the rest, train another with seqrl run."
            )
    if declaration(made.layout()) != declaration(agent.layout()):
        raise SeqrlError(
            f"{kind}: with these settings another thing stands in a step, so the weights would be "
            "others too. Train another with seqrl run."
        )
    return made


def _side(
    policy: Policy,
    origin: Origin,
    changes: tuple[str, ...],
    episodes: int,
    file: Path,
    progress: Progress,
) -> Side:
    """Play the episodes of one side that are missing."""
    settings = " ".join(changes)
    about = {"settings": settings, **asdict(origin)}
    lines = _lines_of(file)
    found = {line["number"]: line for line in _own(lines, about, file)}
    missing = [number for number in range(episodes) if number not in found]

    def told(played: Played) -> None:
        score = policy.task.scored(played.return_)
        line: dict[str, Any] = {**played.plain(), "score": score, **about}
        found[played.number] = line
        lines.append(line)
        with told_plainly(file, "writing a table"):
            replace_file(file, json_lines(lines))

    middle = file.with_name(f".{file.name}-{hash_over(about)[:12]}.underway")
    play(
        policy.agent,
        policy.model,
        policy.task,
        seed=origin.seed,
        numbers=missing,
        told=told,
        progress=progress,
        doing=settings or "as it was run",
        begun=read_underway(middle) if missing else None,
        keep=partial(write_underway, middle),
    )
    middle.unlink(missing_ok=True)
    rows = [found[number] for number in range(episodes)]
    returns, lengths = (tuple(row[name] for row in rows) for name in ("return", "length"))
    return Side(changes=changes, origin=origin, returns=returns, lengths=lengths)


def _lines_of(file: Path) -> list[dict[str, Any]]:
    """Read what is there; a file of something else is refused, and stays as it is."""
    try:
        with told_plainly(file, "reading a table"):
            lines = whole_lines(file)
            ours = bool(lines) or not file.exists() or not file.stat().st_size
    except UnicodeDecodeError:
        lines, ours = [], False
    if not ours or any(not isinstance(line, dict) or "settings" not in line for line in lines):
        raise DataError(f"{file} is no table of `seqrl compare`. Name another place with --out.")
    return lines


def _own(lines: list[dict[str, Any]], about: dict[str, Any], file: Path) -> list[dict[str, Any]]:
    """Return the lines of one side; a file that is of something else is refused."""
    own = [line for line in lines if line["settings"] == about["settings"]]
    for line in own:
        for name, value in about.items():
            if line.get(name) != value:
                raise DataError(
                    f"{file} holds returns of {name} {line.get(name)}, and these are of {value}: "
                    "they do not belong into one table. Name another place with --out, or remove "
                    "it."
                )
    return own
