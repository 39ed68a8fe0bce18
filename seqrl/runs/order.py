"""Order: a run as it travels to a machine that shares nothing with this one, and what comes back.

All of it is plain data and bytes. The agent travels as its settings, and the files of a class of
the user's own as text; the data does not travel with it: it is looked for there, by fingerprint.
"""

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seqrl.agents.agent import Agent
from seqrl.errors import SeqrlError, told_plainly
from seqrl.evaluation import Evaluation
from seqrl.plain import from_plain, module_of, to_plain
from seqrl.runs.experiment import RunSpec
from seqrl.runs.identity import own_code
from seqrl.runs.job import Job


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to do."""

    hash: str
    identity: Mapping[str, Any]
    """What the hash is made of, to say what differs where another hash comes out."""
    spec: Mapping[str, Any]
    data: str
    """Full name."""
    reason: str
    """Why this data was chosen; the record says it."""
    fingerprint: str
    """Of the data as it is prepared, without the views that a name may ask for."""
    code: Mapping[str, bytes]
    """Files of the user's own: what their module is called, and their text."""
    kept: Mapping[str, bytes]
    """What there is to go on from."""
    device: str
    threads: int


@dataclass(frozen=True)
class Begun:
    """Somebody is at work on it."""

    where: str


@dataclass(frozen=True)
class Going:
    """How far it is."""

    doing: str
    done: float
    total: float
    unit: str
    note: str


@dataclass(frozen=True)
class Kept:
    """What is needed to go on from here, the files that have changed."""

    files: Mapping[str, bytes]


@dataclass(frozen=True)
class DataMissing:
    """The data is not on that machine, or another content under its name."""

    node: str


@dataclass(frozen=True)
class Finished:
    """It is done: the files' contents."""

    record: bytes
    checkpoint: bytes
    metrics: bytes


@dataclass(frozen=True)
class Failed:
    """It raised."""

    error: str
    """The traceback, or a sentence."""
    record: bytes | None
    """Its failed record, if it came that far."""


Message = Begun | Going | Kept | DataMissing | Finished | Failed


def order_of(job: Job, *, kept: Mapping[str, bytes], device: str, threads: int) -> Order:
    """Write an order."""
    spec = job.spec
    return Order(
        hash=job.hash,
        identity=job.identity,
        spec={
            "experiment": spec.experiment,
            "name": spec.name,
            "agent": to_plain(spec.agent),
            "task": spec.task,
            "seed": spec.seed,
            "evaluation": asdict(spec.evaluation),
            "changed": list(spec.changed),
        },
        data=job.task.name,
        reason=job.source.choice.reason,
        fingerprint=job.source.fingerprint,
        code=_own_code(job),
        kept=kept,
        device=device,
        threads=threads,
    )


def spec_in(order: Order) -> RunSpec:
    """Read what it asks for. Its own code must be importable by now."""
    plain = dict(order.spec)
    return RunSpec(
        experiment=plain["experiment"],
        name=plain["name"],
        agent=from_plain(Agent, plain["agent"]),
        task=plain["task"],
        seed=plain["seed"],
        evaluation=Evaluation(**plain["evaluation"]),
        changed=tuple(plain["changed"]),
    )


def _own_code(job: Job) -> dict[str, bytes]:
    """Return the user's own files that the agent and the environment are made of."""
    code = own_code(job.spec.agent)
    module, colon, _ = job.task.environment.partition(":")
    file = _file_here(module) if colon and module not in code else None
    if file and "site-packages" not in file.parts:
        with told_plainly(file, "reading your code"):
            code[module] = file.read_bytes()
    return code


def make_importable(code: Mapping[str, bytes], folder: Path) -> None:
    """Let the user's own modules be found as they are at whoever gave the order, whatever this
    machine has under their names."""
    for name, text in code.items():
        here = _file_here(name)
        if name in sys.modules or (here and here.exists() and here.read_bytes() == text):
            continue
        file = folder / (f"{Path(name).stem}.py" if name.endswith(".py") else _path_of(name))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
        if name.endswith(".py"):
            module_of(name, file)
        elif str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
            importlib.invalidate_caches()


def _file_here(module: str) -> Path | None:
    """Return the file of a module on this machine, if there is one."""
    if module.endswith(".py"):
        return Path(module).expanduser()
    try:
        found = importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError):
        return None
    return Path(found.origin) if found and found.origin else None


def _path_of(module: str) -> str:
    return f"{module.replace('.', '/')}.py"


class OtherConditions(SeqrlError):
    """This machine would run something else than what was asked for."""
