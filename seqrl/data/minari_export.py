"""Episodes as a local Minari set, which Minari's own tools and the name `minari/<Minari id>` read.

All that Minari has of what is seen after a step is the next observation; an episode holds one
observation more than steps.
"""

import copy
import shutil
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from seqrl.data.minari import checked_id
from seqrl.episodes import Episodes
from seqrl.errors import DataError, need_extra, told_plainly
from seqrl.progress import Progress, silent
from seqrl.tasks.environment import make
from seqrl.tasks.task import Task

_NO_PLACE = ("states", "log_probabilities")
"""Columns that a Minari set does not take; its description names those that were left out."""


def export_minari(
    episodes: Episodes, task: Task, dataset_id: str, progress: Progress = silent
) -> Path:
    """Write `episodes` as the local Minari set `dataset_id`, one by one; the folder of the set.

    The environment of `task` must be one that can be made here: a Minari set describes it in full.
    """
    need_extra("minari", "minari", "Writing Minari data")
    import minari
    from minari.storage import get_dataset_path

    folder: Path = get_dataset_path(checked_id(dataset_id))
    _refuse(episodes, dataset_id, folder)
    make(task).close()  # says in words what is wrong with the environment, if anything is
    with told_plainly(folder, "writing"), warnings.catch_warnings():
        # Gymnasium says of every -v4 that a -v5 exists. Minari asks for authors and a link to code,
        # which belong to whoever recorded the data: the description says where it comes from.
        warnings.filterwarnings("ignore", message=".*is out of date.*")
        warnings.filterwarnings("ignore", message=".*is set to None.*")
        dataset = minari.create_dataset_from_buffers(
            dataset_id,
            [],
            env=_spec(task),
            observation_space=_space(-np.inf, np.inf, task.observation_width),
            action_space=_space(task.action_low, task.action_high, task.action_width),
            description=_description(episodes),
        )
        try:
            dataset.storage.update_episodes(_buffers(episodes, progress))
            if task.reference:
                # Minari would note them as averages of 100 episodes if it got them while creating.
                low, high = task.reference.minimum, task.reference.maximum
                dataset.storage.update_metadata({"ref_min_score": low, "ref_max_score": high})
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return folder


def _refuse(episodes: Episodes, dataset_id: str, folder: Path) -> None:
    if folder.exists():
        raise DataError(
            f"The Minari set {dataset_id} is on this machine already, in {folder}. Choose another "
            f"id, the next version for instance, or remove that one: `minari delete {dataset_id}`."
        )
    if "next_observations" not in episodes.columns:
        raise DataError(
            f"{episodes.name} does not hold what was seen after a step (`next_observations`), and "
            "Minari needs that of the last step of every episode. Export a file in D4RL's layout, "
            "which can do without."
        )


def _spec(task: Task) -> Any:
    """Describe the environment of the task, with its settings and its time limit."""
    import gymnasium

    spec = copy.deepcopy(gymnasium.spec(task.environment))
    spec.kwargs.update(task.environment_settings)
    spec.max_episode_steps = task.horizon
    return spec


def _space(low: float | tuple[float, ...], high: float | tuple[float, ...], width: int) -> Any:
    """Describe rows of float32 numbers: what the episodes hold, whatever the environment shows."""
    from gymnasium.spaces import Box

    return Box(np.full(width, low, np.float32), np.full(width, high, np.float32), dtype=np.float32)


def _description(episodes: Episodes) -> str:
    left_out = [name for name in _NO_PLACE if name in episodes.columns]
    return (
        f"{episodes.name}, fingerprint {episodes.fingerprint}, exported by seqrl {version('seqrl')}"
        + (f" without {' and '.join(left_out)}" if left_out else "")
    )


def _buffers(episodes: Episodes, progress: Progress) -> Iterator[Any]:
    """Give the episodes in the form that Minari takes; one at a time is in memory."""
    from minari.data_collector import EpisodeBuffer

    for index, episode in enumerate(episodes):
        assert episode.next_observations is not None
        if not np.array_equal(episode.next_observations[:-1], episode.observations[1:]):
            raise DataError(
                f"In episode {index} of {episodes.name}, what was seen after a step is not what "
                "was seen before the next one, and Minari keeps only one of the two. Export a file "
                "in D4RL's layout, which keeps both."
            )
        ended = np.zeros((2, len(episode)), bool)
        ended[:, -1] = episode.terminated, episode.timed_out
        yield EpisodeBuffer(
            observations=np.concatenate([episode.observations, episode.next_observations[-1:]]),
            actions=np.asarray(episode.actions),
            rewards=np.asarray(episode.rewards),
            terminations=ended[0],
            truncations=ended[1],
        )
        progress(f"writing {episodes.name}", index + 1, len(episodes), "episodes")
