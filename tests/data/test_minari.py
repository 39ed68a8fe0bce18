"""Minari sets as a source: what is read, what is refused, and what one is told."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from minari.data_collector import EpisodeBuffer

from seqrl.data.cache import prepare
from seqrl.data.minari import origin
from seqrl.data.names import Name
from seqrl.data.source import obtain, open_episodes
from seqrl.errors import DataError, UnknownName

NAME = "minari/test/hopper-v0"
REFERENCES = {"ref_min_score": 10.0, "ref_max_score": 110.0}


@pytest.fixture(autouse=True)
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep Minari's sets in the test's own folder, and let nothing be downloaded."""

    def refuse(dataset_id: str) -> None:
        raise ConnectionError(f"no network for {dataset_id}\nand a long story")

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setattr(minari, "download_dataset", refuse)
    return tmp_path / "minari"


def episode(ends: str = "terminations", steps: int = 4, seed: int = 0) -> EpisodeBuffer:
    """Play Hopper with random actions; `ends` says how Minari is told that it ended."""
    with warnings.catch_warnings():
        # Gymnasium says of every -v4 that a -v5 exists.
        warnings.filterwarnings("ignore", message=".*is out of date.*")
        environment = gymnasium.make("Hopper-v4")
    environment.action_space.seed(seed)
    seen: list[Any] = [environment.reset(seed=seed)[0]]
    actions: list[Any] = [environment.action_space.sample() for _ in range(steps)]
    rewards = []
    for action in actions:
        observation, reward, *_ = environment.step(action)
        seen.append(observation)
        rewards.append(reward)
    ended = {"terminations": np.zeros(steps, bool), "truncations": np.zeros(steps, bool)}
    if ends:
        ended[ends][-1] = True
    return EpisodeBuffer(observations=seen, actions=actions, rewards=rewards, **ended)


def write(
    *episodes: EpisodeBuffer, env: Any = "Hopper-v4", metadata: Any = REFERENCES, **spaces: Any
) -> Path:
    """Write a set as its authors would, with Minari alone; its metadata file."""
    with warnings.catch_warnings():
        # Minari misses authors, and Gymnasium says of every -v4 that a -v5 exists.
        warnings.filterwarnings("ignore", message=".*(is None|set to None|is out of date).*")
        dataset = minari.create_dataset_from_buffers("test/hopper-v0", [*episodes], env, **spaces)
    dataset.storage.update_metadata({**metadata, "author": {"B", "A"}})
    return Path(dataset.storage.data_path) / "metadata.json"


def describe(metadata: Path, **changes: Any) -> None:
    """Change what a set says of its environment."""
    said = json.loads(metadata.read_text())
    said["env_spec"] = json.dumps({**json.loads(said["env_spec"]), **changes})
    metadata.write_text(json.dumps(said))


def test_reads_what_was_seen_before_and_after_every_step() -> None:
    """A Minari episode has T+1 observations: off by one, and every transition is wrong."""
    first, second = episode(), episode("truncations", steps=7, seed=1)
    write(first, second)

    episodes = open_episodes(NAME)

    assert list(episodes.lengths) == [4, 7]
    for read, written in zip(episodes, (first, second), strict=True):
        seen = np.asarray(written.observations, np.float32)
        assert read.next_observations is not None
        np.testing.assert_array_equal(read.observations, seen[:-1])
        np.testing.assert_array_equal(read.next_observations, seen[1:])
        np.testing.assert_array_equal(read.actions, np.asarray(written.actions, np.float32))
        np.testing.assert_array_equal(read.rewards, np.asarray(written.rewards, np.float32))
    assert [(e.terminated, e.timed_out) for e in episodes] == [(True, False), (False, True)]


def test_the_set_brings_its_own_task() -> None:
    """A score measured by D4RL's references, or in another environment, would not be Minari's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is out of date.*")  # see `episode`
        environment = gymnasium.make(
            "Hopper-v4", max_episode_steps=30, ctrl_cost_weight=0.5, render_mode="rgb_array"
        )
    write(episode(), env=environment)

    task = obtain(Name.parse(NAME)).task

    assert (task.environment, task.horizon) == ("Hopper-v4", 30)
    assert task.environment_settings == {"ctrl_cost_weight": 0.5}
    assert (task.observation_width, task.action_width) == (11, 3)
    assert (task.action_low, task.action_high) == ((-1.0,) * 3, (1.0,) * 3)
    assert task.score(60.0) == 50.0
    assert not task.not_playable


def test_an_environment_of_another_package_is_named_with_it() -> None:
    """Gymnasium finds the environments of gymnasium_robotics only after that is imported."""
    describe(write(episode()), entry_point="elsewhere.bodies:Body", id="Body-v1")

    assert origin(NAME, download=False).task.environment == "elsewhere:Body-v1"


def test_wrappers_make_a_task_that_cannot_be_played() -> None:
    """An agent must not be played without the wrappers that its data went through."""
    wrapper = {"name": "ClipAction", "entry_point": "gymnasium.wrappers:ClipAction", "kwargs": {}}
    describe(write(episode()), additional_wrappers=[wrapper])

    assert "ClipAction" in origin(NAME, download=False).task.not_playable


def test_an_episode_without_an_end_is_timed_out_and_told() -> None:
    """Two episodes must not flow into one; only the last one of all can be cut off."""
    write(episode(""), episode(), episode(""))

    episodes = open_episodes(NAME)

    assert [(e.terminated, e.timed_out) for e in episodes] == [(False, True), (True, False)]
    assert episodes.cut_off_steps == 4
    assert episodes.provenance["episodes_marked_as_timed_out"] == 1


def test_an_end_in_the_middle_is_refused() -> None:
    """Splitting there would invent an episode that begins in mid-air."""
    broken = episode()
    broken.terminations[1] = True
    write(broken)

    with pytest.raises(DataError, match=r"Episode 0 .* goes on after step 1"):
        open_episodes(NAME)


def test_a_missing_last_observation_is_refused() -> None:
    """With T observations there is no last next observation, and none must be made up."""
    broken = episode()
    assert isinstance(broken.observations, list)
    broken.observations.pop()
    write(broken)

    with pytest.raises(DataError, match="4 rewards and 4 observations"):
        open_episodes(NAME)


def test_without_reference_scores_one_is_told_to_give_them() -> None:
    """D4RL's references would silently give other scores; half a pair is none."""
    write(episode(), metadata={"ref_max_score": 110.0})

    with pytest.raises(DataError, match=f"fetch {NAME} --reference MINIMUM MAXIMUM"):
        obtain(Name.parse(NAME))

    given = prepare(origin(NAME, download=False, reference=(0.0, 50.0)))
    assert given.task.score(25.0) == 50.0
    assert obtain(Name.parse(NAME)).task.reference == given.task.reference


@pytest.mark.parametrize(
    ("kind", "spaces"),
    [
        ("Dict", {"observation_space": Dict({"eye": Box(0, 1, (2,))})}),
        (r"Box of shape \(64, 64, 3\)", {"observation_space": Box(0, 255, (64, 64, 3), np.uint8)}),
        ("Discrete", {"action_space": Discrete(3)}),
    ],
)
def test_what_is_no_row_of_numbers_is_refused(kind: str, spaces: dict[str, Any]) -> None:
    """A dictionary, an image or a choice would fail much later, deep in the token layer."""
    write(metadata={}, **spaces)

    with pytest.raises(DataError, match=f"{kind}. Only rows of numbers"):
        origin(NAME, download=False)


def test_without_an_environment_or_time_limit_the_set_is_refused() -> None:
    """Without them the task could be neither played nor cut to episodes."""
    metadata = write(episode())
    describe(metadata, max_episode_steps=None)
    with pytest.raises(DataError, match="does not name the time limit"):
        origin(NAME, download=False)

    metadata.write_text(json.dumps({**json.loads(metadata.read_text()), "env_spec": None}))
    with pytest.raises(DataError, match="does not name the environment"):
        origin(NAME, download=False)


def test_a_failed_download_is_told_in_a_sentence() -> None:
    """A person without network must learn what to do, not read an HTTP client's traceback."""
    with pytest.raises(
        DataError, match=r"no network for test/hopper-v0\).*minari download"
    ) as told:
        obtain(Name.parse(NAME))
    assert "long story" not in str(told.value)


def test_nothing_is_downloaded_unless_allowed() -> None:
    """What is only looked up must not start a download of gigabytes."""
    with pytest.raises(DataError, match=f"seqrl data fetch {NAME}"):
        origin(NAME, download=False)


def test_a_download_leaves_standard_output_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Minari prints while downloading, which would spoil output that a program reads."""

    def download(dataset_id: str) -> None:
        print("Downloading", dataset_id)  # noqa: T201 - as Minari does
        write(episode())

    monkeypatch.setattr(minari, "download_dataset", download)

    assert obtain(Name.parse(NAME)).episodes == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("id_", ["../hopper-v0", "/hopper-v0", "hopper", "mujoco//hopper-v0", ""])
def test_an_impossible_id_is_refused(id_: str) -> None:
    """An id that leads out of Minari's folder must not be looked for, nor downloaded."""
    with pytest.raises(UnknownName, match="no Minari id"):
        origin(f"minari/{id_}", download=True)


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"half a file")])
def test_a_damaged_set_is_told_with_its_place(damage: Callable[[Path], Any], sets: Path) -> None:
    """A download that was killed leaves part of a set; which folder to remove must be said."""
    damage(write(episode()).with_name("main_data.hdf5"))

    with pytest.raises(DataError, match=f"remove {sets / 'test' / 'hopper-v0'} and fetch it again"):
        prepare(origin(NAME, download=False))


def test_another_content_under_the_same_id_is_noticed() -> None:
    """After the set was replaced, fetching it must not give the old episodes."""
    write(episode())
    before = prepare(origin(NAME, download=False))
    assert prepare(origin(NAME, download=False)) == before

    minari.delete_dataset("test/hopper-v0")
    write(episode(seed=1))
    assert prepare(origin(NAME, download=False)).digests != before.digests


def test_provenance_is_plain_data() -> None:
    """Minari keeps authors as a set, which JSON cannot hold and which has no order."""
    write(episode())

    provenance = origin(NAME, download=False).provenance()

    assert json.loads(json.dumps(provenance)) == provenance
    assert (provenance["dataset_id"], provenance["author"]) == ("test/hopper-v0", ["A", "B"])
