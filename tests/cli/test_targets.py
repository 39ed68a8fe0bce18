"""`seqrl targets`: the returns of `seqrl play`, kept, continued, and drawn."""

import csv
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqrl.evaluation import play
from seqrl.policy import Policy
from seqrl.runs.origin import Origin
from seqrl.runs.targets import play_targets
from tests.conftest import Ended
from tests.playing import SMALL, trained

Run = Callable[..., Ended]


@pytest.fixture
def file(seqrl: Run, tmp_path: Path) -> Path:
    return Path(trained(seqrl, tmp_path, "DT", *SMALL, updates=5)["file"])


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open() as text:
        return list(csv.DictReader(text))


def test_every_row_is_an_episode_that_play_gives(seqrl: Run, file: Path) -> None:
    """A figure of other returns than one can watch is of nothing."""
    ended = seqrl("targets", file, "--targets", "0,400", "--episodes", 2, "--seed", 3, "--json")
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    table = file.with_name(f"{file.stem}-targets.csv")
    assert (found["table"], found["figure"]) == (str(table), str(table.with_suffix(".png")))
    rows = rows_of(table)
    for number, asked in enumerate((0.0, 400.0)):
        chosen = ("--target", asked, "--episodes", 2, "--seed", 3)
        played = json.loads(seqrl("play", file, *chosen, "--json").out)
        own = [row for row in rows if float(row["asked"]) == asked]
        assert [float(row["return"]) for row in own] == [e["return"] for e in played["episodes"]]
        assert [int(row["environment_seed"]) for row in own] == [
            episode["seed"] for episode in played["episodes"]
        ]
        assert found["targets"][number]["mean"] == played["return"]
        assert found["targets"][number]["score"] == pytest.approx(played["score"])
        for row in own:
            assert row["data"] == played["data"] and row["seed"] == "3"
            assert row["checkpoint_sha256"] == played["checkpoint_sha256"]
            assert row["torch"] == played["versions"]["torch"]
    assert table.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_it_goes_on_where_it_was(
    seqrl: Run, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of playing must survive a kill; and end in the same table as without it."""
    asked = []

    def counted(agent: Any, *rest: Any, **more: Any) -> Any:
        asked.append(agent.target)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return play(agent, *rest, **more)

    monkeypatch.setattr("seqrl.runs.targets.play", counted)
    command = ("targets", file, "--points", 4, "--episodes", 2, "--out")
    assert seqrl(*command, tmp_path / "a").status == 130
    assert len(rows_of(tmp_path / "a.csv")) == 4 and not (tmp_path / "a.png").exists()
    assert seqrl(*command, tmp_path / "a").status == 0
    assert len(asked) == 5 and asked[2] == asked[3], "two were kept, two were missing"
    assert seqrl(*command, tmp_path / "a").status == 0 and len(asked) == 5
    folder = tmp_path / "folder"
    folder.mkdir()
    assert seqrl(*command, folder).status == 0
    (table,) = folder.glob("*.csv")
    assert table.read_text() == (tmp_path / "a.csv").read_text()
    assert not list(tmp_path.glob(".a*")), "locks and half-written files"
    other = seqrl("targets", file, "--points", 4, "--episodes", 3, "--out", tmp_path / "a")
    assert other.status == 2 and "returns of episodes 2, and these are of 3" in other.err


def test_two_at_once_keep_all_rows(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would put its own table in the place of the other's."""
    table, policy, waits = tmp_path / "a.csv", Policy.load(file), threading.Event()
    origin = Origin.of(file, policy)

    def second() -> None:
        def progress(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
            if "another process" in doing:
                waits.set()

        play_targets(policy, origin, [2.0], episodes=1, file=table, progress=progress)

    other = threading.Thread(target=second)

    def played(*arguments: Any, **more: Any) -> Any:
        if not other.ident:
            other.start()
            assert waits.wait(60), "the second did not wait for the first"
        return play(*arguments, **more)

    monkeypatch.setattr("seqrl.runs.targets.play", played)
    play_targets(policy, origin, [1.0], episodes=1, file=table)
    other.join()
    assert [float(row["asked"]) for row in rows_of(table)] == [1.0, 2.0]


def test_the_text_is_honest_about_what_was_measured(seqrl: Run, file: Path) -> None:
    """A correlation without its range, its interval and what the interval leaves out is a claim."""
    text = seqrl("targets", file, "--points", 7, "--episodes", 2).out
    assert "(5 targets)" in text and "rank correlation of asked and mean achieved" in text
    assert "nothing of other trainings" in text and "file/small+" in text
    few = seqrl("targets", file, "--targets", "0", "--out", file.with_name("few")).out
    assert "too few targets" in few


def test_an_agent_that_asks_for_nothing(seqrl: Run, tmp_path: Path) -> None:
    """A flat line for it would look like a finding."""
    other = trained(seqrl, tmp_path, "BC", *SMALL)["file"]
    ended = seqrl("targets", other)
    assert ended.status == 2 and "BehaviourCloning asks for no return" in ended.err
    assert not list(other.parent.glob("*-targets*"))
