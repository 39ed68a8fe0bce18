"""`seqrl predict`: from a checkpoint to table and figure."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended
from tests.playing import SMALL, trained

Run = Callable[..., Ended]

AGENT = "seqrl.agents.trajectory_transformer:TrajectoryTransformer"
SETTINGS = (
    "network.layers=1", "network.width=16", "window_steps=4", "search.horizon=1",
    "search.beam_width=2", "search.context_steps=2",
)  # fmt: skip


@pytest.fixture
def file(seqrl: Run, tmp_path: Path) -> Path:
    return Path(trained(seqrl, tmp_path, AGENT, *SETTINGS, updates=5)["file"])


def test_table_figure_and_numbers_are_one(seqrl: Run, file: Path) -> None:
    """Numbers that disagree, or do not say what they are of, are worth nothing."""
    chosen = ("predict", file, "--steps", 8, "--episodes", 3, "--seed", 2)
    ended = seqrl(*chosen, "--json")
    assert ended.status == 0, ended.err
    assert "training the Markov model" in ended.err
    found, table = json.loads(ended.out), file.with_name(f"{file.stem}-predict.csv")
    assert (found["table"], found["figure"]) == (str(table), str(table.with_suffix(".png")))
    assert found["windows"] == {"checkpoint": 4, "markov": 2} and found["seed"] == 2
    assert table.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    with table.open() as text:
        rows = list(csv.DictReader(text))
    models = ["checkpoint", "markov", "unchanged", "bins"]
    assert list(dict.fromkeys(row["model"] for row in rows)) == models
    assert [float(row["error"]) for row in rows] == [row["error"] for row in found["errors"]]
    played = json.loads(seqrl("play", file, "--episodes", 3, "--seed", 2, "--json").out)
    for row in rows:
        assert row["checkpoint_sha256"] == played["checkpoint_sha256"]
        assert row["markov_sha256"] == found["markov_sha256"]
        assert row["data"] == played["data"] and row["torch"] == played["versions"]["torch"]
        assert "2 beams" in row["plays"]
    longest = max(episode["length"] for episode in played["episodes"])
    assert len(rows) == 4 * min(8, longest - 2)
    again = seqrl(*chosen)
    assert again.status == 0 and "Markov model" not in again.err
    assert f"{float(rows[0]['error']):.3f}" in again.out and "file/small+" in again.out


def test_without_a_markov_model_nothing_is_trained(seqrl: Run, file: Path, tmp_path: Path) -> None:
    """Who has no data must still see how the checkpoint does."""
    ended = seqrl("predict", file, "--episodes", 1, "--without-markov", "--out", tmp_path / "a.csv")
    assert ended.status == 0 and "training" not in ended.err
    assert "markov" not in ended.out.splitlines()[0] and "Markov" not in ended.out
    assert (tmp_path / "a.csv").exists() and (tmp_path / "a.png").exists()
    assert not list(file.parent.glob("*markov*"))


def test_an_agent_that_says_nothing_of_what_will_be_seen(seqrl: Run, tmp_path: Path) -> None:
    """A sentence, before anything is played."""
    other = trained(seqrl, tmp_path, "DT", *SMALL)["file"]
    ended = seqrl("predict", other)
    assert ended.status == 2
    assert "DecisionTransformer does not say what will be seen" in ended.err
