"""Killed in the middle."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from seqrl.data.cache import entry_folder, look_up, open_prepared, verify
from tests.conftest import Ended
from tests.data.bad_input.telling import FETCH, IMPORT, Seqrl, nothing_half, only_good, said
from tests.data.bad_input.test_content import WRONG
from tests.data.making import layout, write_hdf5

SLOW = """
import os, sys
import numpy as np
from tests.data.making import layout

def episodes():
    columns = layout((400,))
    for number in range(3000):
        if number == 200:  # enough that some of it is on disk
            print("under way", flush=True)
            sys.stdin.readline()
        yield dict(observations=columns["observations"], actions=columns["actions"],
                   rewards=columns["rewards"] + number, terminated=True)
        if number == 300:
            return
"""


def _environment(*more: Path) -> dict[str, str]:
    root = Path(__file__).parents[3]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [root, *more]))}


def test_a_kill_in_the_middle_loses_nothing_and_the_same_command_succeeds(
    tmp_path: Path, seqrl: Seqrl
) -> None:
    """Prevents: a killed preparation that leaves a half set, a lock for ever, or spoils the old."""
    file = write_hdf5(tmp_path / "mine.hdf5", layout())
    assert seqrl("data", "import", file, *IMPORT).status == 0
    known = look_up("file/mine")
    assert known
    fingerprint = open_prepared(known).fingerprint
    (tmp_path / "slow_module.py").write_text(SLOW)
    command = [sys.executable, "-m", "seqrl", "data", "import", "slow_module:episodes", *IMPORT]
    command.append("--replace")
    with subprocess.Popen(
        command,
        env=_environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as killed:
        assert killed.stdout and killed.stdout.readline() == b"under way\n"
        folder = entry_folder("file/mine")
        assert len(list(folder.glob("columns-*"))) == 2, "it is writing"
        killed.send_signal(signal.SIGKILL)
    again = look_up("file/mine")
    assert again and again.folder == known.folder
    assert open_prepared(again).fingerprint == fingerprint and verify(again) == []
    # Even a command that fails makes room again, and first of all.
    bad = write_hdf5(tmp_path / "bad.hdf5", WRONG["nan in rewards"][0])
    said(seqrl("data", "import", bad, *IMPORT), str(bad))
    only_good(known, fingerprint)
    done = subprocess.run(
        command, env=_environment(tmp_path), input=b"\n", capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    after = look_up("file/mine")
    assert after and after.episodes == 301
    assert [place.name for place in folder.glob("columns-*")] == [after.folder]
    assert nothing_half(folder)
    assert not (folder / "unfinished").exists()


def test_the_shell_sees_status_2_and_a_sentence(tmp_path: Path) -> None:
    """Prevents: what holds in the test's own process and not for the real command."""
    file = tmp_path / "bad.hdf5"
    file.write_bytes(b"<html>")
    done = subprocess.run(
        [sys.executable, "-m", "seqrl", "data", "import", str(file), *IMPORT],
        env=_environment(),
        capture_output=True,
        check=False,
        text=True,
    )
    said(Ended(done.returncode, done.stdout, done.stderr), str(file), "web page", FETCH)
