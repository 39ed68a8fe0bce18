"""The D4RL catalogue, as data: file, environment, reference returns, what is known of the official
sets.

URLs and reference returns are those of the `d4rl` 1.1 package (`d4rl/infos.py`); a test compares
every one with a fixture read out of that package by `tests/tasks/read_d4rl_wheel.py`. Horizons are
those of its environment registrations.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from seqrl.tasks.task import Reference, Task

HOST = "http://rail.eecs.berkeley.edu/datasets/offline_rl/"
MIRRORS = (HOST, "https://huggingface.co/datasets/imone/D4RL/resolve/main/")
"""Tried in this order. The second holds the same files without folders, uploaded by a third party.
"""

REFERENCE_SOURCE = "d4rl 1.1, infos.py"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is published about the content of an official file: checked after every download."""

    episodes: int | None
    """Finished episodes; nothing where no source says it."""
    steps: int | None
    """Steps of finished episodes."""
    mean: float
    deviation: float
    minimum: float
    maximum: float

    source = "log of the DT authors' download script; random sets: docstring of a port of it"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One official data set."""

    task: Task
    file: str
    """Below `HOST`."""
    data_width: int
    """Observation width in the file; the task keeps the leading `task.observation_width` of it."""
    facts: Facts | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the file can be had, in order."""
        first, second = MIRRORS
        return first + self.file, second + self.file.rpartition("/")[2]


# body: (environment, kept observation, action, data observation, reference minimum, maximum)
BODIES = {
    "halfcheetah": ("HalfCheetah-v4", 17, 6, 17, -280.178953, 12135.0),
    "hopper": ("Hopper-v4", 11, 3, 11, -20.272305, 3234.3),
    "walker2d": ("Walker2d-v4", 17, 6, 17, 1.629008, 4592.3),
    # The file's 111 end in 84 contact forces, which Ant-v4 does not show.
    "ant": ("Ant-v4", 27, 8, 111, -325.6, 3879.7),
}
DATASETS = ("random", "medium", "expert", "medium-replay", "full-replay", "medium-expert")


def _facts(
    episodes: int | None,
    steps: int | None,
    mean: float,
    deviation: float,
    minimum: float,
    maximum: float,
) -> Facts:
    return Facts(
        episodes=episodes,
        steps=steps,
        mean=mean,
        deviation=deviation,
        minimum=minimum,
        maximum=maximum,
    )


FACTS = {
    "halfcheetah-random": _facts(1000, 1_000_000, -288.8, 80.4, -526.0, -85.4),
    "hopper-random": _facts(None, None, 18.4, 17.5, 2.9, 292.6),
    "walker2d-random": _facts(None, None, 1.9, 5.8, -17.0, 75.0),
    "halfcheetah-medium": _facts(1000, 1_000_000, 4770.3, 355.8, -310.2, 5309.4),
    "halfcheetah-medium-replay": _facts(202, 202_000, 3093.3, 1680.7, -638.5, 4985.1),
    "halfcheetah-expert": _facts(1000, 1_000_000, 10656.4, 441.7, 2045.8, 11252.0),
    "hopper-medium": _facts(2186, 999_906, 1422.1, 379.0, 315.9, 3222.4),
    "hopper-medium-replay": _facts(2041, 402_000, 467.3, 511.0, -1.4, 3192.9),
    "hopper-expert": _facts(1027, 999_494, 3511.4, 328.6, 1645.3, 3759.1),
    "walker2d-medium": _facts(1190, 999_995, 2852.1, 1095.4, -6.6, 4226.9),
    "walker2d-medium-replay": _facts(1093, 302_000, 682.7, 896.0, -50.2, 4132.0),
    "walker2d-expert": _facts(1000, 999_214, 4920.5, 136.4, 763.4, 5011.7),
}


def _locomotion() -> Iterator[Entry]:
    for body, (environment, kept, actions, width, low, high) in BODIES.items():
        for data in DATASETS:
            yield Entry(
                task=Task(
                    name=f"d4rl/{body}-{data}-v2",
                    environment=environment,
                    horizon=1000,
                    observation_width=kept,
                    action_width=actions,
                    reference=Reference(minimum=low, maximum=high, source=REFERENCE_SOURCE),
                ),
                file=f"gym_mujoco_v2/{body}_{data.replace('-', '_')}-v2.hdf5",
                data_width=width,
                facts=FACTS.get(f"{body}-{data}"),
            )


def _listed_only(
    name: str,
    file: str,
    *,
    horizon: int,
    widths: tuple[int, int],
    reference: tuple[float, float],
    reason: str,
    data_width: int | None = None,
) -> Entry:
    """Build the entry of a task whose data can be read, but which cannot be played here yet."""
    return Entry(
        task=Task(
            name=f"d4rl/{name}",
            environment=name,
            horizon=horizon,
            observation_width=widths[0],
            action_width=widths[1],
            reference=Reference(
                minimum=reference[0], maximum=reference[1], source=REFERENCE_SOURCE
            ),
            not_playable=reason,
        ),
        file=file,
        data_width=widths[0] if data_width is None else data_width,
    )


_ANTMAZE = (
    # task, file infix, horizon
    ("umaze", "u-maze_noisy_multistart_False_multigoal_False", 700),
    ("umaze-diverse", "u-maze_noisy_multistart_True_multigoal_True", 700),
    ("medium-play", "big-maze_noisy_multistart_True_multigoal_False", 1000),
    ("medium-diverse", "big-maze_noisy_multistart_True_multigoal_True", 1000),
    ("large-play", "hardest-maze_noisy_multistart_True_multigoal_False", 1000),
    ("large-diverse", "hardest-maze_noisy_multistart_True_multigoal_True", 1000),
)


def _antmaze() -> Iterator[Entry]:
    for version, folder, ending in (("v2", "ant_maze_v2", "_fixed"), ("v0", "ant_maze_new", "")):
        for maze, infix, horizon in _ANTMAZE:
            yield _listed_only(
                f"antmaze-{maze}-{version}",
                f"{folder}/Ant_maze_{infix}_sparse{ending}.hdf5",
                horizon=horizon,
                widths=(29, 8),
                reference=(0.0, 1.0),
                reason="D4RL's ant maze has no checked equal in gymnasium-robotics yet",
            )


_MAZE2D = {
    # maze: (horizon, sparse reference, dense reference)
    "umaze": (300, (23.85, 161.86), (68.537689, 193.66285642381482)),
    "medium": (600, (13.13, 277.39), (44.264742, 297.4552547777125)),
    "large": (800, (6.7, 273.99), (30.569041, 303.4857382709002)),
}


def _maze2d() -> Iterator[Entry]:
    for maze, (horizon, sparse, dense) in _MAZE2D.items():
        for name, kind, reference in ((maze, "sparse", sparse), (f"{maze}-dense", "dense", dense)):
            yield _listed_only(
                f"maze2d-{name}-v1",
                f"maze2d/maze2d-{maze}-{kind}-v1.hdf5",
                horizon=horizon,
                widths=(4, 2),
                reference=reference,
                reason="D4RL's point maze has no checked equal in gymnasium-robotics yet",
            )


_KITCHEN = {
    "complete": "mini_kitchen_microwave_kettle_light_slider",
    "partial": "kitchen_microwave_kettle_light_slider",
    "mixed": "kitchen_microwave_kettle_bottomburner_light",
}


def _kitchen() -> Iterator[Entry]:
    for name, file in _KITCHEN.items():
        yield _listed_only(
            f"kitchen-{name}-v0",
            f"kitchen/{file}-v0.hdf5",
            horizon=280,
            # The last 30 of the 60 are the goal, the same at every step.
            widths=(30, 9),
            data_width=60,
            reference=(0.0, 4.0),
            reason="D4RL's kitchen has no checked equal in gymnasium-robotics yet",
        )


_ADROIT = {
    # hand task: (horizon, observation, action, reference)
    "pen": (100, 45, 24, (96.262799, 3076.8331017826877)),
    "hammer": (200, 46, 26, (-274.856578, 12794.134825156867)),
    "door": (200, 39, 28, (-56.512833, 2880.5693087298737)),
    "relocate": (200, 39, 30, (-6.425911, 4233.877797728884)),
}


def _adroit() -> Iterator[Entry]:
    for hand, (horizon, observation, action, reference) in _ADROIT.items():
        for data in ("human", "cloned", "expert"):
            yield _listed_only(
                f"{hand}-{data}-v1",
                f"hand_dapg_v1/{hand}-{data}-v1.hdf5",
                horizon=horizon,
                widths=(observation, action),
                reference=reference,
                reason="D4RL's hand tasks have no checked equal in gymnasium-robotics yet",
            )


def _fourrooms() -> Iterator[Entry]:
    for name, file in (
        ("fourrooms", "minigrid4rooms"),
        ("fourrooms-random", "minigrid4rooms_random"),
    ):
        yield _listed_only(
            f"minigrid-{name}-v0",
            f"minigrid/{file}.hdf5",
            horizon=50,
            widths=(147, 1),
            reference=(0.01442, 2.89685),
            reason="discrete actions and grid observations have no place in the token layer yet",
        )


ENTRIES: dict[str, Entry] = {
    entry.task.name: entry
    for family in (_locomotion, _antmaze, _maze2d, _kitchen, _adroit, _fourrooms)
    for entry in family()
}
"""Every official data set that seqrl knows, by full name."""
