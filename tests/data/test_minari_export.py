"""Episodes as a Minari set: read back, they are the same; what Minari cannot hold is refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest

from seqrl.data.cache import Origin, open_prepared, prepare
from seqrl.data.minari_export import export_minari
from seqrl.data.names import Name
from seqrl.data.player import play
from seqrl.data.policy import UniformPolicy
from seqrl.data.source import obtain, open_episodes
from seqrl.episodes import Episodes
from seqrl.errors import DataError, SeqrlError, UnknownName
from seqrl.tasks.task import Reference, Task

TASK = Task(
    name="file/played",
    environment="Hopper-v5",
    environment_settings={"ctrl_cost_weight": 0.5},
    horizon=25,
    observation_width=11,
    action_width=3,
    reference=Reference(minimum=-20.0, maximum=3200.0, source="here"),
)


@pytest.fixture(autouse=True)
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep Minari's sets in the test's own folder."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))


@pytest.fixture
def episodes() -> Episodes:
    """Play some episodes of which some fall and some last to the horizon."""
    columns = play(TASK, UniformPolicy(), "test", range(12))
    played = Origin(task=TASK, read=lambda scratch, progress: [columns], stamp={})
    found = open_prepared(prepare(played))
    assert found.terminated.any() and found.timed_out.any()
    return found


def with_column(episodes: Episodes, **columns: Any) -> Episodes:
    """Put other columns in the place of some; None leaves one out."""
    changed = {**episodes.columns, **columns}
    return replace(episodes, columns={n: c for n, c in changed.items() if c is not None})


def test_what_was_exported_is_read_back(episodes: Episodes) -> None:
    """A value that is shifted, rounded or lost on the way would change results silently."""
    export_minari(episodes, TASK, "test/hopper-v0")

    back = open_episodes("minari/test/hopper-v0")

    np.testing.assert_array_equal(back.starts, episodes.starts)
    kept = ["observations", "actions", "rewards", "terminated", "timed_out", "next_observations"]
    assert list(back.columns) == kept
    assert back.digests == {name: episodes.digests[name] for name in kept}


def test_the_task_is_read_back(episodes: Episodes) -> None:
    """Played in another environment, or scored by other references, it is another task."""
    export_minari(episodes, TASK, "test/hopper-v0")

    back = obtain(Name.parse("minari/test/hopper-v0")).task

    assert back.reference is not None
    source = back.reference.source
    assert replace(back, name=TASK.name, reference=replace(back.reference, source="here")) == TASK
    assert source == "metadata of minari/test/hopper-v0"


def test_the_description_says_where_the_data_comes_from(episodes: Episodes) -> None:
    """A Minari set that is passed on must not lose its origin, nor that columns were left out."""
    folder = export_minari(episodes, TASK, "test/hopper-v0")

    said = json.loads((folder / "data" / "metadata.json").read_text())["description"]

    assert said.startswith(
        f"{episodes.name}, fingerprint {episodes.fingerprint}, exported by seqrl"
    )
    assert said.endswith("without states and log_probabilities")


def test_a_set_that_exists_is_left_alone(episodes: Episodes) -> None:
    """Nobody's recorded data may be overwritten by an export."""
    export_minari(episodes, TASK, "test/hopper-v0")

    with pytest.raises(DataError, match=r"already.*minari delete test/hopper-v0"):
        export_minari(episodes, TASK, "test/hopper-v0")
    assert minari.load_dataset("test/hopper-v0").total_episodes == len(episodes)


def test_without_next_observations_nothing_is_made_up(episodes: Episodes) -> None:
    """The last observation of an episode is not known then; repeating one would be a lie."""
    with pytest.raises(DataError, match="`next_observations`"):
        export_minari(with_column(episodes, next_observations=None), TASK, "test/hopper-v0")


def test_what_minari_cannot_hold_leaves_nothing_behind(episodes: Episodes) -> None:
    """Half a set would be taken for a whole one, and would block the id."""
    after = np.array(episodes.columns["next_observations"])
    after[episodes.starts[3]] += 1.0
    with pytest.raises(DataError, match=r"In episode 3 .* Minari keeps only one of the two"):
        export_minari(with_column(episodes, next_observations=after), TASK, "test/hopper-v0")

    export_minari(episodes, TASK, "test/hopper-v0")


def test_an_interrupted_export_leaves_nothing_behind(episodes: Episodes) -> None:
    """Ctrl-C in the middle must not leave a set that looks complete."""

    def interrupt(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_minari(episodes, TASK, "test/hopper-v0", interrupt)
    assert not list(minari.list_local_datasets())


def test_an_environment_that_does_not_exist_is_refused(episodes: Episodes) -> None:
    """A set whose environment nobody can make could not be evaluated on."""
    with pytest.raises(SeqrlError, match="NoSuchBody-v0"):
        export_minari(episodes, replace(TASK, environment="NoSuchBody-v0"), "test/hopper-v0")


def test_an_impossible_id_is_refused(episodes: Episodes) -> None:
    """An id that leads out of Minari's folder must not be written to."""
    with pytest.raises(UnknownName, match="no Minari id"):
        export_minari(episodes, TASK, "../hopper-v0")


def test_episodes_are_written_one_at_a_time(
    episodes: Episodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million steps must not stand in memory a second time."""
    given: list[int] = []
    one_by_one = Episodes.__iter__

    def counted(self: Episodes) -> Iterator[Any]:
        for episode in one_by_one(self):
            given.append(len(episode))
            yield episode

    def progress(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        assert len(given) == done

    monkeypatch.setattr(Episodes, "__iter__", counted)
    export_minari(episodes, TASK, "test/hopper-v0", progress)
    assert len(given) == len(episodes)
