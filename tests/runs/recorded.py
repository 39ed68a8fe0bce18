"""Records for tests, made of plain numbers: nothing is trained, nothing played."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seqrl.agents.agent import Agent
from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.evaluation import environment_seed
from seqrl.plain import to_plain
from seqrl.runs.identity import hash_over
from seqrl.runs.record import PROTOCOL, RunRecord, write_record

TASK = "seqrl/hopper-medium-v1"
REFERENCE = {"minimum": 0.0, "maximum": 200.0, "source": "a test"}
VERSIONS = {"python": "3.11.0", "seqrl": "0.1.0", "torch": "2.8.0+cpu", "gymnasium": "1.2.0"}


def recorded(
    returns: Sequence[float] = (),
    *,
    agent: Agent | None = None,
    task: str = TASK,
    seed: int = 0,
    fingerprint: str = "0123456789abcdef",
    environment: str = "Hopper-v4",
    task_horizon: int = 1000,
    protocol: int = PROTOCOL,
    torch: str = "2.8.0",
    facts: Mapping[str, Any] | None = None,
    reference: Mapping[str, Any] | None = REFERENCE,
    **given: Any,
) -> RunRecord:
    """Make a record of episodes with these returns; without any, of a failed run. A score is half
    of a return, and the data's own mean return is 50."""
    made = to_plain(agent or BehaviourCloning())
    identity = {
        "code": {},
        "data": task,
        "fingerprint": fingerprint,
        "environment": environment,
        "evaluation": {"episodes": len(returns) or 1, "times": 1, "precision": "float32"},
        "training_precision": "float32",
        "versions": {"torch": torch, "gymnasium": "1.2.0", "mujoco": "3.3.0"},
        "protocol": protocol,
    }
    mean = sum(returns) / len(returns) if returns else 0.0
    score = None
    if reference:
        low, high = reference["minimum"], reference["maximum"]
        score = 100 * (mean - low) / (high - low)
    episodes = [
        {
            "number": n,
            "seed": environment_seed(seed, task, n),
            "return": float(r),
            "terminated": True,
        }
        for n, r in enumerate(returns)
    ]
    evaluation = {
        "update": made["training"]["updates"],
        "return": mean,
        "score": score,
        "seconds": 60.0,
        "episodes": episodes,
    }
    done = {"updates": made["training"]["updates"], "precision": "float32", "seconds": 120.0}
    hash_ = hash_over({"agent": made, "seed": seed, **identity})
    usual: dict[str, Any] = {
        "status": "done" if returns else "failed",
        "hash": hash_,
        "experiment": "quick",
        "changed": [],
        "name": "BC",
        "agent": made,
        "seed": seed,
        "identity": identity,
        "task": {
            "name": task,
            "environment": environment,
            "horizon": task_horizon,
            "reference": dict(reference) if reference else None,
        },
        "data": {
            "name": task,
            "fingerprint": fingerprint,
            "episodes": 20,
            "steps": 2000,
            "best_return": 190.0,
            "mean_return": 50.0,
            "mean_score": 25.0 if reference else None,
        },
        "facts": dict(facts or {}),
        "training": {**done, "updates_per_second": round(done["updates"] / 120, 4)}
        if returns
        else {},
        "checkpoint_rule": "last",
        "evaluations": [evaluation] if returns else [],
        "checkpoint": {"file": "x.safetensors", "sha256": hash_} if returns else None,
        "versions": {**VERSIONS, "torch": torch, "mujoco": "3.3.0", "numpy": "2.1.0"},
        "machine": {"device": "cpu", "processor": "AVX2", "threads": 2, "gpu": None},
        "written": "2026-11-25T10:20:30+00:00",
        "error": None if returns else "Traceback: it broke\n",
    }
    return RunRecord(**usual | given)


def place_of(results: Path, record: RunRecord) -> Path:
    """Return where a run would leave it."""
    folders = record.experiment, record.task["name"].replace("/", "-"), record.name
    return results.joinpath("runs", *folders, f"seed-{record.seed}-{record.hash[:8]}.json")


def write_all(results: Path, *records: RunRecord) -> list[Path]:
    """Write records where runs would."""
    files = [place_of(results, record) for record in records]
    for file, record in zip(files, records, strict=True):
        write_record(file, record)
    return files


def evaluated(times: Sequence[Sequence[float]], **given: Any) -> RunRecord:
    """Make a record of a run that was evaluated several times, with these returns each time."""
    made = recorded(times[-1], **given)
    updates = made.agent["training"]["updates"]
    evaluations = [
        {**recorded(returns, **given).evaluations[0], "update": round(updates * n / len(times))}
        for n, returns in enumerate(times, 1)
    ]
    planned = {**made.identity["evaluation"], "times": len(times)}
    identity = {**made.identity, "evaluation": planned}
    hash_ = hash_over({"agent": made.agent, "seed": made.seed, **identity})
    return replace(made, identity=identity, hash=hash_, evaluations=evaluations)
