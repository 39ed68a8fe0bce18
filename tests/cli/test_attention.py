"""`seqrl attention`: the numbers of the table, in words and as JSON, and a figure."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from seqrl.agents.behaviour_cloning import MlpBehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.cli.attention import _say_layers
from tests.conftest import Ended
from tests.report.making import looks_of
from tests.runs.making import small, toy_source, write_policy

Run = Callable[..., Ended]


def test_table_figure_and_numbers_agree(
    seqrl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three ways to say one thing must say one thing; and no data is needed."""
    file = tmp_path / "tt.safetensors"
    write_policy(small(TrajectoryTransformer), toy_source(), file)
    monkeypatch.setenv("SEQRL_HOME", str(tmp_path / "elsewhere"))
    ended = seqrl("attention", file, "--episodes", 2, "--seed", 5, "--device", "cpu", "--json")
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    table = tmp_path / "tt-attention.csv"
    assert (found["table"], found["figure"]) == (str(table), str(table.with_suffix(".png")))
    with table.open() as text:
        rows = list(csv.DictReader(text))
    tokens = {"observation": 3, "action": 2, "reward": 1}
    for layer in (1, 2):
        said = found["layers"][layer - 1]
        for back in range(4):
            own = [r for r in rows if (r["layer"], r["steps_back"]) == (str(layer), str(back))]
            sums = sum(float(row["share"]) * tokens[row["from_part"]] for row in own)
            heads = len({row["head"] for row in own})
            assert said["by_steps_back"][back] == pytest.approx(sums / heads / 6)
        assert said["layer"] == layer and sum(said["by_steps_back"]) == pytest.approx(1)
        assert len(said["strongest"]) == 3
    assert rows[0]["data"] == found["data"] and rows[0]["seed"] == "5"
    assert rows[0]["checkpoint_sha256"] == found["checkpoint_sha256"]
    with Image.open(found["figure"]) as image:
        assert "2 episodes" in image.info["Description"] and "file/toy" in image.info["Description"]
    assert {entry.name for entry in tmp_path.glob("*attention*")} == {
        table.name,
        "tt-attention.png",
    }


def test_the_text(seqrl: Run, tmp_path: Path) -> None:
    """What the columns mean, what it is of, and where the files are."""
    file, out = tmp_path / "dt.safetensors", tmp_path / "new" / "looks"
    write_policy(small(DecisionTransformer), toy_source(), file)
    ended = seqrl("attention", file, "--episodes", 3, "--out", out)
    head, *rows = ended.out.splitlines()
    assert head.split("  ")[0] == "layer" and "3+ back" in head and "next before" in head
    assert [row.split()[0] for row in rows[:3]] == ["1", "2", "even"]
    for said in ("Next before", "target return", "windows of 4 steps", f"{out}.csv", f"{out}.png"):
        assert said in ended.out


def test_a_network_without_attention(seqrl: Run, tmp_path: Path) -> None:
    """A sentence and no file."""
    file = tmp_path / "mlp.safetensors"
    write_policy(small(MlpBehaviourCloning), toy_source(), file)
    ended = seqrl("attention", file)
    assert ended.status == 2 and "MlpBehaviourCloning has no attention" in ended.err
    assert not ended.out and not list(tmp_path.glob("*attention*"))


def test_goals_have_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    """What goes to a goal goes to no step, and would be missed in the sum."""
    looks = looks_of(steps=2, goals=1)
    _say_layers(looks)
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:7] == ["layer", "0", "back", "1", "back", "goals", "own"]
    expected = [*looks.by_steps_back()[0].mean(0)]
    expected.append(1 - sum(expected))
    assert rows[0].split()[1:4] == [f"{100 * share:.0f}%" for share in expected]
