"""`seqrl play`: the returns of the record again, and a film of them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import imageio.v2 as imageio
import numpy as np
import pytest
from PIL import Image

from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.training.checkpoint import read_checkpoint, write_checkpoint
from tests.conftest import Ended
from tests.playing import SMALL, needs_drawing, trained
from tests.runs.making import small, toy_source, write_policy

Run = Callable[..., Ended]


def played(seqrl: Run, *arguments: object) -> Any:
    ended = seqrl("play", *arguments, "--device", "cpu", "--json")
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


@pytest.mark.parametrize("seed", [0, 3])
def test_episodes_are_those_of_the_record(
    seqrl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """What one watches must be what the table is made of, bit by bit, and with no data left."""
    record = trained(seqrl, tmp_path, "DT", *SMALL, seed=seed)
    monkeypatch.setenv("SEQRL_HOME", str(tmp_path / "elsewhere"))
    found = played(seqrl, record["file"], "--episodes", 3)
    expected = record["evaluations"][-1]
    assert [{k: v for k, v in e.items() if k != "score"} for e in found["episodes"]] == expected[
        "episodes"
    ]
    assert (found["return"], found["score"]) == (expected["return"], expected["score"])
    assert found["facts"] == record["facts"]
    assert found["checkpoint_sha256"] == record["checkpoint"]["sha256"]
    assert (found["updates"], found["training_seed"]) == (2, seed)
    more = played(seqrl, record["file"], "--episodes", 5)
    assert more["episodes"][:3] == found["episodes"], "more episodes must not change the first"
    other = played(seqrl, record["file"], "--episodes", 3, "--seed", 1 + seed)
    assert not {e["return"] for e in other["episodes"]} & {e["return"] for e in found["episodes"]}


def test_the_text_says_what_it_is_of(seqrl: Run, tmp_path: Path) -> None:
    """A number without its data, environment, seeds and versions is worth nothing."""
    record = trained(seqrl, tmp_path, "DT", *SMALL)
    text = seqrl("play", record["file"], "--episodes", 2, "--target", 700).out
    for said in (
        record["data"]["name"], record["data"]["fingerprint"][:8], "Hopper-v4", "for 2 updates",
        "DecisionTransformer", "2 episodes, seed 0", "target return 700.0", "target rule given",
        f"torch {record['versions']['torch']}", "terminated",
    ):  # fmt: skip
        assert said in text, said
    assert "trained with" not in text
    tensors, about = read_checkpoint(record["file"])
    older = {**about, "versions": {**about["versions"], "mujoco": "3.0.0"}}
    write_checkpoint(tmp_path / "older.safetensors", tensors, older)
    ended = seqrl("play", tmp_path / "older.safetensors", "--episodes", 1)
    assert "; trained with mujoco 3.0.0." in ended.out and "versions have changed" in ended.err


def test_a_target_is_for_agents_that_ask(seqrl: Run, tmp_path: Path) -> None:
    """A target that is silently ignored would be believed."""
    file = trained(seqrl, tmp_path, "BC", *SMALL)["file"]
    ended = seqrl("play", file, "--target", 1800)
    assert ended.status == 2 and "BehaviourCloning asks for no return" in ended.err
    assert not ended.out


# imageio-ffmpeg leaves the pipes of its own process open when it reads a film back.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_film_shows_the_first_episode_and_changes_nothing(seqrl: Run, tmp_path: Path) -> None:
    """Looking on must not move what is looked at; and no temporary file may stay."""
    needs_drawing()
    file = trained(seqrl, tmp_path, "DT", *SMALL)["file"]
    films = tmp_path / "films"
    films.mkdir()
    plain = played(seqrl, file, "--episodes", 2)
    for film in (films / "hopper.gif", films / "hopper.mp4"):
        found = played(seqrl, file, "--episodes", 2, "--video", film)
        assert found["episodes"] == plain["episodes"] and found["video"] == str(film)
        with imageio.get_reader(film) as reader:
            pictures = [np.asarray(picture) for picture in cast(Any, reader)]
        # Hopper's 125 steps a second, every fourth: about real time.
        expected = -(-plain["episodes"][0]["length"] // 4)
        assert len(pictures) == expected > 2, film
        assert pictures[0].shape[:2] == (480, 480)
        assert (pictures[0] != pictures[-1]).any()
    assert {entry.name for entry in films.iterdir()} == {"hopper.gif", "hopper.mp4"}


def test_a_film_is_whole_or_not_there(
    seqrl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a film, or an older one that is gone, is what a stopped command must not leave."""
    needs_drawing()
    file = trained(seqrl, tmp_path, "DT", *SMALL)["file"]
    films = tmp_path / "films"
    films.mkdir()
    (films / "a.gif").write_text("older")
    act = DecisionTransformer.act

    def stopped(self: Any, model: Any, history: Any) -> Any:
        if history.step == 5:
            raise KeyboardInterrupt
        return act(self, model, history)

    monkeypatch.setattr(DecisionTransformer, "act", stopped)
    assert seqrl("play", file, "--video", films / "a.gif").status == 130
    assert [(f.name, f.read_text()) for f in films.iterdir()] == [("a.gif", "older")]


def test_films_that_cannot_be_written_are_refused_first(
    seqrl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ten minutes of playing is the wrong moment to hear of a missing package."""
    file = tmp_path / "none.safetensors"
    wrong = seqrl("play", file, "--video", "film.avi")
    assert wrong.status == 2 and ".mp4 or a .gif" in wrong.err
    nowhere = seqrl("play", file, "--video", tmp_path / "no" / "a.gif")
    assert nowhere.status == 2 and "There is no folder" in nowhere.err
    monkeypatch.setattr("seqrl.errors.find_spec", lambda module: None)
    extra = seqrl("play", file, "--video", tmp_path / "a.mp4")
    assert extra.status == 2 and "pip install 'seqrl[video]'" in extra.err


def test_plans_are_drawn_and_change_nothing(seqrl: Run, tmp_path: Path) -> None:
    """Looking on must not move what is looked at; and all files are told."""
    file = tmp_path / "tt.safetensors"
    write_policy(small(TrajectoryTransformer), toy_source(), file)
    plain = played(seqrl, file, "--episodes", 2)
    assert (plain["plans"], plain["plans_table"]) == (None, None)
    picture = tmp_path / "plans" / "a.png"
    picture.parent.mkdir()
    found = played(seqrl, file, "--episodes", 2, "--plans", picture)
    assert found["episodes"] == plain["episodes"]
    assert (found["plans"], found["plans_table"]) == (
        str(picture),
        str(picture.with_suffix(".csv")),
    )
    assert {entry.name for entry in picture.parent.iterdir()} == {"a.png", "a.csv"}
    with Image.open(picture) as image:
        said = image.info["Description"]
    for word in ("TrajectoryTransformer", "file/toy", "episode 0 (environment seed", "4 beams"):
        assert word in said
    text = seqrl("play", file, "--episodes", 1, "--plans", picture).out
    assert f"plans of episode 0: {picture}, table {picture.with_suffix('.csv')}" in text


def test_plans_that_cannot_be_drawn_are_refused_first(seqrl: Run, tmp_path: Path) -> None:
    """After an hour of planning is the wrong moment."""
    file = tmp_path / "none.safetensors"
    wrong = seqrl("play", file, "--plans", "plans.pdf")
    assert wrong.status == 2 and "A figure is a .png file" in wrong.err
    nowhere = seqrl("play", file, "--plans", tmp_path / "no" / "a.png")
    assert nowhere.status == 2 and "There is no folder" in nowhere.err
    write_policy(small(DecisionTransformer), toy_source(), file)
    ended = seqrl("play", file, "--plans", tmp_path / "a.png")
    assert ended.status == 2 and "DecisionTransformer makes no plans" in ended.err
    assert not ended.out and "playing" not in ended.err and not (tmp_path / "a.png").exists()


def test_no_checkpoint(seqrl: Run, tmp_path: Path) -> None:
    """The record lies beside the checkpoint and is easily named in its place."""
    (tmp_path / "seed-0.json").write_text("{}")
    for file in (tmp_path / "seed-0.json", tmp_path / "none.safetensors", tmp_path):
        ended = seqrl("play", file)
        assert ended.status == 2 and str(file) in ended.err and not ended.out


def test_a_useless_graphics_setting_is_explained(seqrl: Run, tmp_path: Path) -> None:
    """MuJoCo refuses to be imported with it, even by somebody who wants no picture."""
    file = trained(seqrl, tmp_path, "DT", *SMALL)["file"]
    done = subprocess.run(
        [sys.executable, "-m", "seqrl", "play", str(file)],
        env={**os.environ, "MUJOCO_GL": "nonsense"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "MUJOCO_GL=nonsense" in done.stderr
    assert "Traceback" not in done.stderr
