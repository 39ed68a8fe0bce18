"""`seqrl audit`: a table in, a verdict out, and a status that a script can use."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Ended
from tests.report.test_audit import GOOD, HEAD

Run = Callable[..., Ended]


def test_verdicts_and_status(seqrl: Run, tmp_path: Path) -> None:
    """0: nothing is known to differ; 1: something is."""
    file = tmp_path / "t.csv"
    file.write_text(f"{HEAD}\n{GOOD}\n{GOOD}\n")
    ended = seqrl("audit", file)
    assert ended.status == 0 and "Of 2 cells, 2 can be compared" in ended.out
    file.write_text(f"\ufeff{HEAD}\n{GOOD}\n{GOOD}\n{GOOD.replace('Hopper-v4', 'Hopper-v5')}\n")
    ended = seqrl("audit", file)
    assert ended.status == 1, "a mark at the beginning, as spreadsheets write it, is no column"
    assert "its environment is Hopper-v5; most here have Hopper-v4" in ended.out
    assert "1 are known to differ" in ended.out
    found = json.loads(seqrl("audit", file, "--json").out)
    assert [cell["verdict"] for cell in found] == ["comparable", "comparable", "differs"]


def test_a_terminal_obeys_no_table(seqrl: Run, tmp_path: Path) -> None:
    """Whoever writes a table does not colour the terminal of its reader, nor does its name."""
    file = tmp_path / "red\x1b[31m.csv"
    red = GOOD.replace("hopper", "hop\x1b[31mper")
    file.write_text(f"{HEAD}\n{red}\n")
    assert "hop\\x1b[31mper" in (ended := seqrl("audit", file)).out and "\x1b" not in ended.out
    file.write_text("agent\n")
    assert "red\\x1b[31m.csv" in (ended := seqrl("audit", file)).err and "\x1b[31m" not in ended.err


def test_what_is_no_table(seqrl: Run, tmp_path: Path) -> None:
    """A folder, a file that is not there, a picture: a sentence and status 2."""
    picture = tmp_path / "p.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    for place in (tmp_path, tmp_path / "nowhere.csv", picture):
        ended = seqrl("audit", place)
        assert ended.status == 2 and str(place) in ended.err, ended.err
