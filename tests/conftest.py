"""What every test gets: a home of its own, no network but 127.0.0.1, the command as a function."""

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from seqrl.cli.main import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep tests away from the user's data, and tell them where theirs is."""
    folder = tmp_path / "home"
    monkeypatch.setenv("SEQRL_HOME", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("D4RL_DATASET_DIR", raising=False)
    return folder


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections go to this machine only, so that no test depends on the world."""
    connect = socket.socket.connect

    def only_here(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "localhost", "::1"):
            raise ConnectionRefusedError(f"a test wanted to reach {address}")
        connect(self, address)

    def resolve_here(host: Any, *rest: Any, **more: Any) -> Any:
        if host not in ("127.0.0.1", "localhost", "::1", None):
            raise socket.gaierror(-2, "Name or service not known")
        return resolve(host, *rest, **more)

    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket.socket, "connect", only_here)
    monkeypatch.setattr(socket, "getaddrinfo", resolve_here)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def seqrl(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """Run `seqrl ARGUMENTS...` in this process, through the same door as the shell."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["seqrl", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capsys.readouterr()
        return Ended(status, out, err)

    return run
