"""Records that are none: told by name, with a sentence; one of many ends nothing."""

import json
import os
from pathlib import Path

import pytest

from seqrl.errors import DataError
from seqrl.runs.finding import chosen_from
from seqrl.runs.record import write_record
from seqrl.runs.sound import read_sound
from tests.runs.recorded import recorded, write_all


def test_returns_beyond_all_measure(tmp_path: Path) -> None:
    """Their mean may be 0; their deviation is no number."""
    (file,) = write_all(tmp_path, recorded([1e308, -1e308]))
    with pytest.raises(DataError, match=r"episodes.return is not what it should be"):
        read_sound(file)


def test_names_of_half_a_character(tmp_path: Path) -> None:
    """JSON can hold what no file of text can; whole ones beyond 16 bits it writes as two halves."""
    whole, half = tmp_path / "a.json", tmp_path / "b.json"
    write_record(whole, recorded([1.0], name="BC \N{ROCKET}"))
    assert read_sound(whole).name == "BC \N{ROCKET}"
    half.write_text(whole.read_text().replace("\\ude80", ""))
    with pytest.raises(DataError, match="is not a whole record"):
        read_sound(half)


def test_what_is_no_file(tmp_path: Path) -> None:
    """A pipe would keep us waiting for ever; a link to itself leads nowhere."""
    one, pipe, loop = write_all(
        tmp_path, recorded([1.0]), recorded([2.0], seed=1), recorded([3.0], seed=2)
    )
    pipe.unlink()
    os.mkfifo(pipe)
    loop.unlink()
    loop.symlink_to(loop)
    found = chosen_from([tmp_path])
    assert [of.file for of in found.found] == [one]
    assert sorted(of.file for of in found.unread) == sorted([pipe, loop])


def test_what_older_episodes_lack(tmp_path: Path) -> None:
    """Some fields came later; without a return there is no episode."""
    (file,) = write_all(tmp_path, recorded([1.0, 2.0]))
    plain = json.loads(file.read_text())
    first, second = plain["evaluations"][0]["episodes"]
    first |= {"length": 7, "terminated": True, "outside": 0}
    for name in ("length", "terminated", "outside"):
        second.pop(name, None)
    file.write_text(json.dumps(plain))
    (columns,) = read_sound(file).columns
    assert columns["length"] == (7, None) and columns["return"] == (1.0, 2.0)
    del second["return"]
    file.write_text(json.dumps(plain))
    with pytest.raises(DataError, match=r"episodes.return is not what it should be"):
        read_sound(file)
