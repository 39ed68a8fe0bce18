"""Tables in a terminal: nothing is cut, nothing is obeyed."""

import subprocess
import sys
from pathlib import Path

import pytest

from seqrl.cli.output import say_table


def test_cells_are_whole_and_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """A name of 500 letters must not push a number out of sight; a word between colons is no
    picture; whoever names an agent does not colour the terminal."""
    name = "x" * 500
    rows = [[name, "50.1 ± 0.4"], ["  :warning: [bold]", "1"], ["red\x1b[31m\u202e", "2"]]
    say_table(["agent", "score"], rows, right=(1,))
    head, *lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{name}  50.1 ± 0.4" and head.split() == ["agent", "score"]
    assert lines[1].startswith("  :warning: [bold] ") and lines[1].endswith("         1")
    assert lines[2].startswith("red\\x1b[31m\\u202e ")
    assert {len(line) for line in (head, *lines)} == {512}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", ["tasks", "tasks --json", "--version"])
def test_a_full_disk_is_said(arguments: str) -> None:
    """Half a table in a file must not look like a whole one, nor a full disk like a bug."""
    command = [str(Path(sys.executable).parent / "seqrl"), *arguments.split()]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert ended.returncode != 0
    assert ended.stderr.startswith("seqrl: The result could not be printed: No space left")
    assert "Traceback" not in ended.stderr
