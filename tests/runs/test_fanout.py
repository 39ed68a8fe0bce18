"""Real Ray clusters on this machine: one worker or two, machines that share nothing, kill -9."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.evaluation import Evaluation
from seqrl.runs.board import Board
from seqrl.runs.cluster import own_cluster
from seqrl.runs.fanout import Fanout
from seqrl.runs.launch import Launch
from seqrl.runs.ledger import Ledger
from tests.runs.launching import ONE_CPU, jobs_of, launched, results_of
from tests.runs.making import small, toy_source
from tests.runs.slow import Slow

ROOT = Path(__file__).parents[2]


def test_inline_and_workers_give_equal_records(tmp_path: Path) -> None:
    """Numbers that depend on who ran them, or beside whom, are nobody's."""
    agents = [small(DecisionTransformer), small(BehaviourCloning)]
    jobs = jobs_of(agents, toy_source(), 3, evaluation=Evaluation(episodes=4, times=2))
    inline, one, two = (
        launched(jobs, tmp_path / str(workers), workers) for workers in (0, 1, 2)
    )
    assert results_of(inline) == results_of(one) == results_of(two)
    assert len(results_of(two)) == 6
    for workers in (0, 1, 2):
        assert not list((tmp_path / str(workers) / ".work").iterdir())
