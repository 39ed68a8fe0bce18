"""The catalogue against the tables of the d4rl package itself."""

import json

import pytest

from seqrl.errors import SeqrlError, UnknownName
from seqrl.tasks.d4rl import BODIES, DATASETS, ENTRIES, FACTS, HOST
from tests.tasks.read_d4rl_wheel import FIXTURE

INFOS = json.loads(FIXTURE.read_text())


@pytest.mark.parametrize("name", ENTRIES)
def test_url_and_reference_are_those_of_the_package(name: str) -> None:
    """A mistyped digit would shift every score of a task."""
    entry, short = ENTRIES[name], name.removeprefix("d4rl/")
    assert entry.urls[0] == INFOS["urls"][short]
    assert entry.task.reference is not None
    assert entry.task.reference.minimum == INFOS["minimum"][short]
    assert entry.task.reference.maximum == INFOS["maximum"][short]


def test_catalogue_is_complete() -> None:
    """A family left out would go unnoticed."""
    wanted = [
        name
        for name, url in INFOS["urls"].items()
        if ("gym_mujoco_v2/" in url)
        or ("ant_maze_v2/" in url)
        or ("ant_maze_new/" in url)
        or ("/maze2d/" in url and name.endswith("-v1") and "eval" not in name)
        or ("/kitchen/" in url)
        or ("hand_dapg_v1/" in url)
        or ("minigrid/" in url)
    ]
    assert sorted(ENTRIES) == sorted(f"d4rl/{name}" for name in wanted)
    assert len(wanted) == len(BODIES) * len(DATASETS) + 12 + 6 + 3 + 12 + 2


def test_mirror_holds_the_same_file_names() -> None:
    """The second host has the files without folders: a wrong path would make it useless."""
    for entry in ENTRIES.values():
        first, second = entry.urls
        assert first.startswith(HOST)
        assert first.rpartition("/")[2] == second.rpartition("/")[2]


@pytest.mark.parametrize(
    ("name", "return_", "score"),
    [
        ("hopper-medium-v2", 1985.0, 61.6),
        ("hopper-expert-v2", 3759.1, 116.1),
        ("halfcheetah-medium-v2", 4770.3, 40.7),
        ("walker2d-medium-v2", 2852.1, 62.1),
        ("walker2d-random-v2", -17.0, -0.4),
        ("antmaze-umaze-v2", 0.5, 50.0),
    ],
)
def test_score_as_published(name: str, return_: float, score: float) -> None:
    """Percent, not a fraction; above 100 and below 0 too."""
    assert ENTRIES[f"d4rl/{name}"].task.score(return_) == pytest.approx(score, abs=0.05)


def test_facts_agree_with_published_scores() -> None:
    """A slip in the facts would make us refuse the official file, or accept a wrong one."""
    published = {  # normalized mean and maximum, from the same log
        "halfcheetah-random": (-0.1, 1.6),
        "hopper-random": (1.2, 9.6),
        "walker2d-random": (0.0, 1.6),
        "halfcheetah-medium": (40.7, 45.0),
        "halfcheetah-medium-replay": (27.2, 42.4),
        "halfcheetah-expert": (88.1, 92.9),
        "hopper-medium": (44.3, 99.6),
        "hopper-medium-replay": (15.0, 98.7),
        "hopper-expert": (108.5, 116.1),
        "walker2d-medium": (62.1, 92.0),
        "walker2d-medium-replay": (14.8, 90.0),
        "walker2d-expert": (107.1, 109.1),
    }
    assert set(FACTS) == set(published)
    for short, (mean, maximum) in published.items():
        task = ENTRIES[f"d4rl/{short}-v2"].task
        assert task.score(FACTS[short].mean) == pytest.approx(mean, abs=0.06)
        assert task.score(FACTS[short].maximum) == pytest.approx(maximum, abs=0.06)


def test_another_environment_version_is_another_environment() -> None:
    """v5 numbers must never be filed under v4."""
    task = ENTRIES["d4rl/ant-medium-v2"].task
    assert task.environment == "Ant-v4"
    newer = task.on("v5")
    assert newer.environment == "Ant-v5"
    assert newer.environment_settings == {"include_cfrc_ext_in_observation": False}
    assert newer.on("Ant-v4") == task
    with pytest.raises(UnknownName, match="Ant-v4 or Ant-v5"):
        task.on("Hopper-v4")


def test_what_cannot_be_played_says_why() -> None:
    """A listed task that only fails deep inside a run would cost hours."""
    for entry in ENTRIES.values():
        playable = entry.task.environment in {environment for environment, *_ in BODIES.values()}
        assert bool(entry.task.not_playable) != playable
    with pytest.raises(SeqrlError, match="no checked equal"):
        ENTRIES["d4rl/kitchen-mixed-v0"].task.on("v5")
