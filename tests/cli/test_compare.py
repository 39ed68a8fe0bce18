"""`seqrl compare`: what it says, for people and for programs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended
from tests.playing import SMALL, trained

Run = Callable[..., Ended]


@pytest.fixture
def file(seqrl: Run, tmp_path: Path) -> Path:
    return Path(trained(seqrl, tmp_path, "DT", *SMALL, updates=5)["file"])


def test_it_says_both_and_the_difference(seqrl: Run, file: Path) -> None:
    """A difference without what it is of cannot be checked by anybody."""
    command = ("compare", file, "--set", "target=9.5", "--episodes", 4, "--seed", 2)
    ended = seqrl(*command, "--json")
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    for side, more in (("as_run", ()), ("changed", ("--target", 9.5))):
        played = json.loads(seqrl("play", file, "--episodes", 4, "--seed", 2, *more, "--json").out)
        assert found[side]["returns"] == [one["return"] for one in played["episodes"]]
        assert found[side]["origin"]["facts"] == played["facts"]
    both = [sum(found[side]["returns"]) / 4 for side in ("as_run", "changed")]
    assert found["difference"] == pytest.approx(both[1] - both[0])
    # The task's reference returns are 0 and 1000.
    assert found["score_difference"] == pytest.approx((both[1] - both[0]) / 10)
    said = seqrl(*command).out
    for words in ("as it was run", "target=9.5", "of score", "4 pairs", "Hopper-v4", "fingerprint"):
        assert words in said
    lines = [json.loads(line) for line in Path(found["file"]).read_text().splitlines()]
    assert len(lines) == 8 and all(line["data"] == lines[0]["data"] for line in lines)


def test_what_cannot_be_compared_ends_with_a_sentence(seqrl: Run, file: Path) -> None:
    """And not with a traceback, or after an hour."""
    for change, said in (
        ("network.layers=2", "the weights would be others"),
        ("nix=1", "no field 'nix'"),
    ):
        ended = seqrl("compare", file, "--set", change)
        assert ended.status == 2 and said in ended.err
    assert seqrl("compare", file).status == 2
