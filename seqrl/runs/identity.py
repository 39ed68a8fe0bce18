"""Identity: what a run's numbers depend on, and the hash over it that says "already run"."""

import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from seqrl.agents.agent import Agent
from seqrl.errors import told_plainly
from seqrl.evaluation import PRECISION
from seqrl.plain import to_plain
from seqrl.runs.experiment import RunSpec
from seqrl.runs.record import PROTOCOL, RunRecord
from seqrl.tasks.task import Task

version = cache(metadata.version)
"""Version of an installed package."""

PACKAGES = ("seqrl", "torch", "gymnasium", "mujoco", "numpy")


def identity_of(spec: RunSpec, fingerprint: str, task: Task, precision: str) -> dict[str, Any]:
    """Return everything that a run's numbers depend on, besides agent and seed.

    (The number of CPU threads and the device, which move last bits, are in the record alone.)
    """
    return {
        "code": code_of(spec.agent),
        "data": task.name,
        "fingerprint": fingerprint,
        "environment": task.environment,
        "environment_settings": task.environment_settings,
        "horizon": task.horizon,
        "reference": task.reference and [task.reference.minimum, task.reference.maximum],
        "evaluation": {**asdict(spec.evaluation), "precision": PRECISION},
        "training_precision": precision,
        # Without what follows a +: the builds of one version for CPU and GPU are one version.
        "versions": {n: version(n).partition("+")[0] for n in ("torch", "gymnasium", "mujoco")},
        "protocol": PROTOCOL,
    }


def hash_of(spec: RunSpec, identity: Mapping[str, Any]) -> str:
    """Return the hash that says whether a run has been run already."""
    return hash_over({"agent": to_plain(spec.agent), "seed": spec.seed, **identity})


def hash_in(record: RunRecord) -> str:
    """Return the hash over what a record says; if it says the truth, it is the record's own."""
    return hash_over({"agent": record.agent, "seed": record.seed, **record.identity})


def hash_over(plain: Mapping[str, Any]) -> str:
    """Return the hash over plain data, whatever the order it was written in."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def code_of(agent: Agent) -> dict[str, str]:
    """Return the SHA-256 of every file of the user's own that an agent's class is made of.

    (Ours are known by version and protocol number.)
    """
    code = own_code(agent)
    return {module: hashlib.sha256(text).hexdigest() for module, text in code.items()}


def own_code(agent: Agent) -> dict[str, bytes]:
    """Return the files of the user's own that an agent's class is made of, by their modules: as
    they were when they were first asked for, which is right after they were loaded."""
    own = [kind for kind in type(agent).__mro__ if kind.__module__.partition(".")[0] != "seqrl"]
    modules = {kind.__module__: sys.modules.get(kind.__module__) for kind in own}
    return {
        name: _text_of(module)
        for name, module in modules.items()
        if module is not None and name != "abc" and getattr(module, "__file__", None)
    }


@cache
def _text_of(module: ModuleType) -> bytes:
    file = Path(str(module.__file__))
    with told_plainly(file, "reading your code"):
        return file.read_bytes()


def versions() -> dict[str, str]:
    """Return the versions that a number depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def machine(device: str) -> dict[str, Any]:
    """Say what a run ran on."""
    import torch

    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return {
        "device": device,
        "gpu": gpu,
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "platform": platform.platform(terse=True),
    }
