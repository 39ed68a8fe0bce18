"""Launches on the toy world, by every backend."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from seqrl.agents.agent import Agent
from seqrl.runs.board import Board
from seqrl.runs.cluster import Resources, own_cluster
from seqrl.runs.experiment import RunSpec
from seqrl.runs.fanout import Fanout
from seqrl.runs.inline import run_inline
from seqrl.runs.job import Job
from seqrl.runs.launch import Launch
from seqrl.runs.ledger import Ledger
from seqrl.runs.record import RunRecord
from seqrl.runs.source import Source
from tests.runs.making import spec_of

ONE_CPU = Resources(1, 0.0, "cpu")


def jobs_of(agents: Sequence[Agent], source: Source, seeds: int, **given: Any) -> list[Job]:
    """Make runs ready: every agent with every seed, in float32."""
    specs = [
        spec_of(agent, source, name=f"{type(agent).__name__}-{number}", seed=seed, **given)
        for number, agent in enumerate(agents)
        for seed in range(seeds)
    ]
    return [Job.of(spec, source, "float32") for spec in map(_in_float32, specs)]


def _in_float32(spec: RunSpec) -> RunSpec:
    training = replace(spec.agent.training, precision="float32")
    return replace(spec, agent=replace(spec.agent, training=training))


def launched(jobs: Sequence[Job], results: Path, workers: int = 0) -> Board:
    """Do them, inline or by so many workers."""
    board = Board(tuple(jobs), workers=max(1, workers))
    launch = Launch(board, Ledger(results))
    board.begin()
    if workers:
        with own_cluster(workers, ONE_CPU):
            Fanout(launch, ONE_CPU, workers).all()
    else:
        run_inline(launch, device="cpu", threads=1)
    return board


def without_times(record: RunRecord) -> dict[str, Any]:
    """Return all of a record that must be equal wherever it was run."""
    plain = asdict(record)
    del plain["written"]
    plain["training"] = {
        name: value for name, value in plain["training"].items() if "second" not in name
    }
    for evaluation in plain["evaluations"]:
        del evaluation["seconds"]
    return plain


def results_of(board: Board) -> list[dict[str, Any]]:
    """Return what all runs came to, but for times."""
    records = [board[job].record for job in board.jobs]
    return [without_times(record) for record in records if record]
