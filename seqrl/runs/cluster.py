"""Cluster: the machines that runs are sent to. One of our own on this machine, or one to join.

Our own listens on the loopback address only, asks for a token that nobody else has, has no
dashboard, and leaves neither a process nor a file behind: what a killed launch leaves in the
temporary folder is swept up by the next one.
"""

import io
import logging
import os
import secrets
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from seqrl.errors import SeqrlError
from seqrl.runs.scratch import scratch

OWN = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # a run is what was asked for, not what happens in the background
    "RAY_gcs_rpc_server_reconnect_timeout_s": "20",  # how long to wait for a part that has died
}
QUIET = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "0"}

MOST_CHARACTERS = 20
"""Of the temporary folder: Ray needs the rest."""

STORE_BYTES = 300_000_000
"""Of our own cluster's memory for what travels: unfinished runs. Data is read from disk."""


@dataclass(frozen=True)
class Resources:
    """What one run takes."""

    threads: int
    gpus: float
    """A fraction lets so many runs share one; nobody watches over its memory but they."""
    device: str

    def slots_in(self, machine: Mapping[str, float]) -> int:
        """Count how many runs fit at once."""
        fit = int(machine.get("CPU", 0.0) // self.threads)
        return min(fit, int(machine.get("GPU", 0.0) / self.gpus + 1e-6)) if self.gpus else fit


@contextmanager
def own_cluster(workers: int, resources: Resources) -> Iterator[None]:
    """Start a cluster on this machine for a while, with room for so many runs at once."""
    with ExitStack() as stack:
        folder = stack.enter_context(scratch(_short()))
        settings = {**OWN, **QUIET, "RAY_AUTH_TOKEN": _token(), "TMPDIR": str(folder)}
        stack.enter_context(_environment(settings))
        stack.enter_context(_nothing_printed())
        import ray
        from ray._private import ray_constants
        from ray._raylet import Config  # type: ignore[attr-defined]

        Config.initialize("")  # who has imported Ray before has settled that there is no token
        # Without it Ray takes the machine's own address in place of the loopback one: what keeps
        # it from firewalls' questions on other systems keeps it from the network here.
        before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
        try:
            ray.init(
                address="local",
                num_cpus=workers * resources.threads,
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
                _node_ip_address="127.0.0.1",
                _temp_dir=str(folder),
                **_silent(),
            )
        except (RuntimeError, OSError, ValueError, ConnectionError) as error:
            ray.shutdown()
            raise SeqrlError(
                f"Ray could not be started on this machine: {_first_line(error)}. --backend inline "
                "does the same runs one after another, without it."
            ) from error
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = before
        try:
            with _terminated_gently():
                yield
        finally:
            ray.shutdown()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _short() -> Path:
    """Return a folder for sockets, whose whole paths may have no more than some hundred
    characters."""
    usual = Path(tempfile.gettempdir())
    return usual if len(str(usual)) <= MOST_CHARACTERS else Path("/tmp")


@cache
def _token() -> str:
    """Make a token; only once in a process, as Ray remembers the first."""
    return secrets.token_hex()


@contextmanager
def joined_cluster(address: str) -> Iterator[None]:
    """Join a running cluster for a while."""
    _answers(address)
    with _environment(QUIET), _nothing_printed():
        import ray

        try:
            ray.init(address=address, **_silent())
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise SeqrlError(
                f"No cluster can be joined at {address}: {_first_line(error)}. "
                "Start one with `ray start --head` on this machine, or say --address auto on one "
                "of its machines; where it asks for a token, RAY_AUTH_MODE=token and "
                "RAY_AUTH_TOKEN_PATH must be set here too."
            ) from error
        try:
            with _terminated_gently():
                yield
        finally:
            ray.shutdown()


def _answers(address: str) -> None:
    """Refuse an address where nobody is: Ray would ask for minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()) or "://" in address:
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise SeqrlError(
            f"Nobody answers at --address {address} ({error}). It is host:port of a cluster's "
            "head, as `ray start --head` has printed it."
        ) from error


@contextmanager
def _terminated_gently() -> Iterator[None]:
    """Let SIGTERM, as a batch system sends it, do what Ctrl-C does; Ray's own way is to abort."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _silent() -> dict[str, Any]:
    return {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}


def _nothing_printed() -> AbstractContextManager[Any]:
    """Keep Ray's own tales off stdout, where results go; what concerns a run, its record says."""
    return redirect_stdout(io.StringIO())


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
