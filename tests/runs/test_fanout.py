"""Real Ray clusters on this machine: one worker or two, machines that share nothing, kill -9."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.evaluation import Evaluation
from seqrl.runs.cluster import own_cluster
from seqrl.runs.record import read_record
from tests.runs.launching import ONE_CPU, jobs_of, launched, results_of, without_times
from tests.runs.making import small, toy_source

ROOT = Path(__file__).parents[2]
MARK = uuid4().hex
"""In the environment of all that is started here."""


def test_inline_and_workers_give_equal_records(tmp_path: Path) -> None:
    """Numbers that depend on who ran them, or beside whom, are nobody's."""
    agents = [small(DecisionTransformer), small(BehaviourCloning)]
    jobs = jobs_of(agents, toy_source(), 3, evaluation=Evaluation(episodes=4, times=2))
    inline, one, two = (launched(jobs, tmp_path / str(workers), workers) for workers in (0, 1, 2))
    assert results_of(inline) == results_of(one) == results_of(two)
    assert len(results_of(two)) == 6
    for workers in (0, 1, 2):
        assert not list((tmp_path / str(workers) / ".work").iterdir())


# ---- the command, and what is killed ----------------------------------------------------------


def _bench(results: Path, *more: str) -> "subprocess.Popen[str]":
    """Start three runs of the experiment that takes its time."""
    return subprocess.Popen(
        [sys.executable, "-m", "seqrl", "bench", "file/toy", "--experiment",
         str(ROOT / "tests/runs/slow.py"), "--seeds", "3", "--results", str(results), *more],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "SEQRL_TEST_KEEP": "1", "SEQRL_TEST_MARK": MARK},
    )  # fmt: skip


KILLED = os.environ.get("SEQRL_TEST_KILLED", "driver raylet worker").split()
"""What is killed, one after another; `cluster` kills all that belongs to it."""

JOURNAL = ".work/*/episodes-200.jsonl"
"""Of a run's first evaluation."""


def _wait_for(
    what: Any, seconds: float = 120, process: "subprocess.Popen[str] | None" = None
) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)
    return found


@pytest.fixture
def raylets(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Two machines, and a head without room for runs, which share no folder."""
    with tempfile.TemporaryDirectory(prefix="sq-") as short:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.runs.raylets", short, "2"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        with process:
            assert process.stdin and process.stdout
            yield {**json.loads(process.stdout.readline()), "folder": Path(short)}
            process.stdin.close()
            process.wait()
        left = [line for line in _processes() if short in line]
    assert not left, left


def _processes() -> list[str]:
    commands = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(file.read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return commands


def test_a_lost_machine_costs_no_run(tmp_path: Path, raylets: dict[str, Any]) -> None:
    """Machines that share nothing: what a run has come to must not be lost with one of them."""
    toy_source()
    results = tmp_path / "results"
    with _bench(results, "--address", raylets["address"]) as process:
        _wait_for(
            lambda: sum(f.stat().st_size > 0 for f in results.glob(JOURNAL)) == 2, process=process
        )
        os.kill(raylets["raylets"][1], signal.SIGKILL)
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "sent out again" in err and "| slow |" in out, err
    records = [json.loads(file.read_text()) for file in results.rglob("seed-*.json")]
    assert len(records) == 3 and {record["status"] for record in records} == {"done"}
    gone_on = [record for record in records if record["evaluations"][0]["seconds"] is None]
    assert gone_on, "it began anew"
    assert not list((results / ".work").iterdir())
    copies = [*raylets["folder"].glob("home-[12]/copies/*/data/file/toy/episodes.json")]
    assert len(copies) == 2 and not list(raylets["folder"].glob("home-0/*"))


def _of_cluster(kind: str) -> list[int]:
    """Return the processes of clusters that were started here. (Two agents that Ray starts beside a
    raylet outlive it by a minute if it is killed.)"""
    signs = {"raylet": "raylet/raylet ", "gcs_server": "gcs_server ", "worker": "ray::slow on "}
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode()
            environment = (file.parent / "environ").read_bytes()
        except OSError:
            continue
        if signs[kind] in command and MARK.encode() in environment:
            found.append(int(file.parent.name))
    return found


def _kill(kind: str, process: "subprocess.Popen[str]") -> None:
    victims = {
        "driver": lambda: [process.pid],
        "worker": lambda: _of_cluster("worker")[:1],
        "raylet": lambda: _of_cluster("raylet"),
        "cluster": lambda: [
            pid for kind in ("gcs_server", "raylet", "worker") for pid in _of_cluster(kind)
        ],
    }[kind]()
    assert victims, f"there was no {kind} to kill"
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_killed_at_any_moment_the_same_command_loses_nothing(tmp_path: Path) -> None:
    """Whatever dies, the same command must end with the records of a launch that nothing
    disturbed."""
    toy_source()
    chance = random.Random(time.time_ns())
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    undisturbed = _bench(whole, "--backend", "inline")
    for kind in KILLED:
        with _bench(cut, "--workers", "2") as process:
            _wait_for(
                lambda: [*cut.glob(".work/*/metrics.jsonl")] and _of_cluster("worker"),
                process=process,
            )
            time.sleep(chance.random() * 3)
            _kill(kind, process)
            _, err = process.communicate(timeout=240)
        # Without its raylet Ray ends this process, if we do not come first with a sentence.
        expected = {"worker": {0}, "raylet": {1, 2}, "driver": {-signal.SIGKILL}, "cluster": {1, 2}}
        assert process.returncode in expected[kind], (kind, err)
        _wait_for(lambda: not any(_of_cluster(k) for k in ("gcs_server", "raylet", "worker")), 30)
    if not _comparable(cut):  # the last one was killed too
        with _bench(cut, "--workers", "2") as process:
            assert process.communicate(timeout=240) and process.returncode == 0
    with undisturbed:
        assert undisturbed.communicate(timeout=240) and undisturbed.returncode == 0
    assert _comparable(cut) == _comparable(whole) and len(_comparable(cut)) == 3
    assert not list((cut / ".work").iterdir())


def _comparable(results: Path) -> list[dict[str, Any]]:
    files = sorted(results.rglob("seed-*.json"))
    return [without_times(read_record(file)) for file in files]


IMPATIENT = "RAY_gcs_rpc_server_connect_timeout_s"
CURIOUS = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_keys(b"")
"""


def test_our_own_cluster_is_nobody_elses() -> None:
    """An open port is an invitation to run code here; a folder left behind fills the disk."""
    import ray

    before = _below(os.getpid())
    with own_cluster(1, ONE_CPU):
        address = ray.get_runtime_context().gcs_address
        ours = {os.getpid(), *_below(os.getpid())}
        ports = {place for pid in ours for place in _listens(pid)}
        assert len(ports) > 3 and address.startswith("127.0.0.1:")
        assert {host for host, _ in ports} <= {"0100007F", LOOPBACK_6}, ports
        asked = subprocess.run(
            [sys.executable, "-c", CURIOUS, address], capture_output=True, text=True, timeout=90,
            env={**os.environ, "RAY_AUTH_TOKEN": "0" * 64, IMPATIENT: "1"},
        )  # fmt: skip
        assert asked.returncode != 0 and "InvalidAuthToken" in asked.stderr, asked.stderr
        folder = Path(str(ray._private.worker._global_node.get_session_dir_path())).parent  # type: ignore[attr-defined]
        assert folder.name.startswith("seqrl-") and folder.is_dir()
    assert not list(folder.parent.glob(f"{folder.name}*")) and _below(os.getpid()) == before
    assert "RAY_AUTH_TOKEN" not in os.environ


LOOPBACK_6 = "0000000000000000FFFF00000100007F"


def _below(pid: int) -> list[int]:
    """Return the processes that a process has started, and theirs, which still run."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *_below(child)]
    return found


def _listens(pid: int) -> set[tuple[str, int]]:
    """Return the addresses, as the kernel writes them, at which a process listens."""
    sockets = set()
    for file in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            sockets.add(str(file.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                host, _, port = fields[1].partition(":")
                found.add((host, int(port, 16)))
    return found
