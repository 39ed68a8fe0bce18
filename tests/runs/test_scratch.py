"""Folders for a while: gone in the end, however the end comes."""

import subprocess
import sys
from pathlib import Path

import pytest

from seqrl.runs.scratch import scratch

HOLD = """
import sys
from pathlib import Path
from seqrl.runs.scratch import scratch
with scratch(Path(sys.argv[1])) as folder:
    (folder / "deep").mkdir()
    (folder / "deep/file").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_it_is_gone_in_the_end(tmp_path: Path) -> None:
    """A sweep of a thousand runs must not leave a thousand folders."""
    with pytest.raises(ZeroDivisionError), scratch(tmp_path) as folder:
        (folder / "file").write_text("x")
        assert folder.is_dir() and folder.stat().st_mode & 0o077 == 0
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_what_was_killed_is_swept_and_what_lives_is_not(tmp_path: Path) -> None:
    """A sweeper that takes the living for dead ends somebody's run."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdin
        held = Path(process.stdout.readline().strip())
        with scratch(tmp_path) as other:
            assert (held / "deep/file").exists() and other != held
        assert (held / "deep/file").exists()
        process.kill()
        process.wait()
    assert held.exists()
    with scratch(tmp_path) as other:
        assert not held.exists() and other.exists()
    assert not list(tmp_path.iterdir())
