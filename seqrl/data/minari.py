"""Minari, Farama's data sets: `minari/<Minari id>` is the set of that id, here or downloaded.

A Minari set carries its task with it: environment, widths, bounds, time limit, reference
returns. `minari/mujoco/hopper/medium-v0` is other data than `d4rl/hopper-medium-v2`: other
policies, other physics.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from seqrl.data.cache import Origin, entry_folder
from seqrl.episodes import Array
from seqrl.errors import DataError, SeqrlError, UnknownName, need_extra, told_plainly
from seqrl.progress import Progress, silent
from seqrl.tasks.task import Reference, Task

_BY_HAND = (
    "A function of yours can read the set and give what is needed: `seqrl data import "
    "module:function --name NAME --environment ID --horizon STEPS`."
)

_TOLD = (
    "dataset_id",
    "minari_version",
    "code_permalink",
    "author",
    "author_email",
    "algorithm_name",
    "description",
    "requirements",
    "combined_datasets",
)
"""What is kept of a set's metadata."""


def origin(
    name: str,
    *,
    download: bool,
    reference: tuple[float, float] | None = None,
    progress: Progress = silent,
) -> Origin:
    """Describe the Minari set of a full name, downloading it first if need be and allowed.

    `reference`, minimum and maximum return, takes the place of the set's own. An episode that ends
    with neither a termination nor a truncation counts as timed out, and the provenance says how
    many did; only the very last one is cut off instead, as in any other data.
    """
    need_extra("minari", "minari", "Reading Minari data")
    reading = _Reading(name, _dataset(name, download, progress))
    task = reading.task(reference)
    numbers = 2 * task.observation_width + task.action_width + 1
    return Origin(
        task=task,
        read=lambda scratch, progress: reading.pieces(progress),
        stamp={**reading.stamp(), "given_reference": reference},
        provenance=reading.provenance,
        bytes_needed=reading.dataset.total_steps * (4 * numbers + 2),
    )


# ---- finding a set -------------------------------------------------------------------------------


def checked_id(dataset_id: str) -> str:
    """Refuse ids that Minari cannot hold, among them all that would lead out of its folder."""
    word = "[A-Za-z0-9_][A-Za-z0-9_-]*"
    if not re.fullmatch(rf"(?:{word}/)*{word}-v[0-9]+", dataset_id):
        raise UnknownName(
            f"{dataset_id!r} is no Minari id. Allowed are letters, digits, _ and - between slashes "
            "and a version at the end, as in mujoco/hopper/medium-v0; `minari list remote` lists "
            "Farama's sets."
        )
    return dataset_id


def _dataset(name: str, download: bool, progress: Progress) -> Any:
    """Open the set; processes that miss it wait for the one that downloads it."""
    import minari
    from minari.storage import get_dataset_path

    dataset_id = checked_id(name.removeprefix("minari/"))
    folder, entry = get_dataset_path(dataset_id), entry_folder(name)
    with told_plainly(entry, "fetching"):
        entry.mkdir(parents=True, exist_ok=True)
        with FileLock(entry / ".fetching"):
            if not (folder / "data").exists():
                if not download:
                    raise DataError(
                        f"{name} is not on this machine: {folder} does not exist. Fetch it with "
                        f"`seqrl data fetch {name}`."
                    )
                progress(f"downloading {name}", 0, 0, "")
                _download(dataset_id, folder)
    with _readable(name, folder):
        return minari.load_dataset(dataset_id)


def _download(dataset_id: str, folder: Path) -> None:
    import minari

    try:
        # Minari prints where it is; standard output belongs to the answer of the command.
        with told_plainly(folder, "downloading"), redirect_stdout(sys.stderr):
            minari.download_dataset(dataset_id)
    except SeqrlError:
        raise
    except Exception as error:  # of Minari, its hosts' clients, and theirs: no common class
        raise DataError(
            f"The Minari set {dataset_id} is not on this machine and could not be downloaded "
            f"({_first_line(error)}). Check the network, and the id with `minari list remote`; or "
            f"run `minari download {dataset_id}` where there is a network and copy the folder to "
            f"{folder}."
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__


@contextmanager
def _readable(name: str, folder: Path) -> Iterator[None]:
    """Say of a set that Minari cannot read where it lies and what helps."""
    try:
        yield
    except SeqrlError:
        raise
    except Exception as error:  # of h5py, json, Minari's own checks: damage shows in any way
        raise DataError(
            f"Minari cannot read {name} ({_first_line(error)}). If that names a package or a "
            f"version, install it; else the set is damaged or incomplete: remove {folder} and "
            "fetch it again."
        ) from error


# ---- reading a set -------------------------------------------------------------------------------


@dataclass
class _Reading:
    """One set being read: its task, its steps, and what is to be said about it."""

    name: str
    dataset: Any
    marked: int = 0
    """Episodes that are not marked as ended and were marked as timed out here."""

    def task(self, given: tuple[float, float] | None) -> Task:
        """Put together what the set says of its task, or say why it is none for us."""
        spec = self.dataset.env_spec
        if spec is None or not spec.max_episode_steps:
            missing = "environment" if spec is None else "time limit of the environment"
            raise DataError(f"{self.name} does not name the {missing} it was played in. {_BY_HAND}")
        seen, done = self.dataset.observation_space, self.dataset.action_space
        self._expect_rows_of_numbers("observations", seen)
        self._expect_rows_of_numbers("actions", done)
        wrappers = ", ".join(wrapper.name for wrapper in spec.additional_wrappers)
        return Task(
            name=self.name,
            environment=_environment(spec),
            horizon=spec.max_episode_steps,
            observation_width=seen.shape[0],
            action_width=done.shape[0],
            action_low=tuple(map(float, done.low)),
            action_high=tuple(map(float, done.high)),
            reference=self._reference(given),
            # How somebody watched the recording is not part of the task.
            environment_settings={k: v for k, v in spec.kwargs.items() if k != "render_mode"},
            not_playable=f"its data was played through {wrappers}, which {spec.id} does not include"
            if wrappers
            else "",
        )

    def _expect_rows_of_numbers(self, what: str, space: Any) -> None:
        from gymnasium.spaces import Box

        if not isinstance(space, Box) or len(space.shape) != 1:
            shape = f" of shape {space.shape}" if isinstance(space, Box) else ""
            raise DataError(
                f"The {what} of {self.name} are a {type(space).__name__}{shape}. Only rows of "
                "numbers (a one-dimensional Box) can be used, no images, dictionaries or choices. "
                f"{_BY_HAND}"
            )

    def _reference(self, given: tuple[float, float] | None) -> Reference:
        if given:
            return Reference(minimum=given[0], maximum=given[1], source="given when fetching")
        metadata = self.dataset.storage.metadata
        low, high = metadata.get("ref_min_score"), metadata.get("ref_max_score")
        if low is None or high is None:
            raise DataError(
                f"{self.name} has no reference scores (ref_min_score and ref_max_score) in its "
                "metadata, so a return cannot be turned into a score. Say which returns are worth "
                f"0 and 100: `seqrl data fetch {self.name} --reference MINIMUM MAXIMUM`."
            )
        source = f"metadata of {self.name}"
        return Reference(minimum=float(low), maximum=float(high), source=source)

    def stamp(self) -> dict[str, Any]:
        """Identify the content without reading it."""
        folder: Path = self.dataset.storage.data_path
        files = [file.stat() for file in folder.rglob("*") if file.is_file()]
        return {
            "minari": self.dataset.id,
            "episodes": self.dataset.total_episodes,
            "steps": self.dataset.total_steps,
            "size": sum(file.st_size for file in files),
            "changed": max(file.st_mtime_ns for file in files),
        }

    def provenance(self) -> dict[str, Any]:
        """Return what the set says of itself, as plain data."""
        metadata = self.dataset.storage.metadata
        told = {key: metadata[key] for key in _TOLD if key in metadata}
        plain = {key: sorted(v) if isinstance(v, set) else v for key, v in told.items()}
        marked = {"episodes_marked_as_timed_out": self.marked} if self.marked else {}
        return {"kind": "Minari data set", **plain, **marked}

    def pieces(self, progress: Progress) -> Iterator[dict[str, Array]]:
        """Give the episodes one by one."""
        done, self.marked = 0, 0
        last = self.dataset.total_episodes - 1
        with _readable(self.name, self.dataset.storage.data_path.parent):
            for index, episode in enumerate(self.dataset.iterate_episodes()):
                piece = self._piece(index, episode)
                if index < last and not (piece["terminated"] | piece["timed_out"])[-1]:
                    piece["timed_out"][-1] = True
                    self.marked += 1
                yield piece
                done += len(piece["rewards"])
                progress(f"preparing {self.name}", done, self.dataset.total_steps, "steps")

    def _piece(self, index: int, episode: Any) -> dict[str, Array]:
        steps, seen = len(episode.rewards), np.asarray(episode.observations)
        if not steps or len(seen) != steps + 1:
            raise DataError(
                f"Episode {index} of {self.name} has {steps} rewards and {len(seen)} observations. "
                "A Minari episode has at least one step and one observation more than steps. "
                f"{_BY_HAND}"
            )
        terminated = np.array(episode.terminations, bool)
        timed_out = np.array(episode.truncations, bool)
        if (ended := (terminated | timed_out)[:-1]).any():
            raise DataError(
                f"Episode {index} of {self.name} goes on after step {int(np.argmax(ended))}, which "
                f"is marked as its end; there is no telling which of the two is meant. {_BY_HAND}"
            )
        return {
            "observations": seen[:-1],
            "actions": np.asarray(episode.actions),
            "rewards": np.asarray(episode.rewards),
            "terminated": terminated,
            "timed_out": timed_out,
            "next_observations": seen[1:],
        }


def _environment(spec: Any) -> str:
    """Name the environment so that Gymnasium finds it: one of another package with that package."""
    package = re.split("[.:]", spec.entry_point)[0]
    return str(spec.id) if package == "gymnasium" else f"{package}:{spec.id}"
