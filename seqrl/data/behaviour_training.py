"""The recipe of the behaviour policies: SAC in a body's environment, actors kept on the way.

The shipped actors (`policies/`) were made this way. A training leaves one folder,
`<folder>/<body>/`:

    0010000.safetensors           the actor after so many steps, as `ActorPolicy.load` reads it
    actions/0010000.safetensors   what SAC did in the steps up to there: an `ActionLog`
    log.jsonl                     one line an actor: returns of the last training episodes, seconds
    training.json                 seed, recipe, versions
    returns.csv                   what `measure` found

Every file is whole or absent. A killed training leaves all of this up to its last actor.
"""

import csv
import io
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqrl.data.player import play
from seqrl.data.policy import LAYERS, ActorPolicy
from seqrl.data.whole import replace_file
from seqrl.episodes import starts_of
from seqrl.errors import DataError, SeqrlError, UnknownName, need_extra, told_plainly
from seqrl.progress import Progress, silent
from seqrl.tasks.d4rl import BODIES, ENTRIES
from seqrl.tasks.task import Task

if TYPE_CHECKING:
    from seqrl.data.action_log import LoggedEnvironment

RECIPE: Mapping[str, Any] = {
    "policy_kwargs": {"net_arch": [256, 256]},
    # Eight steps, then eight updates: as many updates as the usual one and one, in fewer calls.
    "train_freq": 8,
    "gradient_steps": 8,
}
"""Settings of `sbx.SAC`; all others are its defaults."""

EVERY = 10_000
"""Training steps between two kept actors, unless told otherwise."""

LAST = 10
"""Episodes in the training return of a line of `log.jsonl`."""

_FLAX_NAMES = dict(zip(("Dense_0", "Dense_1", "Dense_2", "Dense_3"), LAYERS, strict=True))

_PACKAGES = ("sbx-rl", "stable-baselines3", "jax", "gymnasium", "mujoco", "numpy")


# ---- training ------------------------------------------------------------------------------------


def train(
    body: str,
    steps: int,
    folder: Path,
    *,
    seed: int = 0,
    keep_every: int = EVERY,
    progress: Progress = silent,
) -> Path:
    """Train a SAC policy, keep its actor every `keep_every` steps; return the body's folder."""
    need_extra("sbx", "behaviours", "Training behaviour policies")
    task = _task(body)
    _check_numbers(steps, keep_every, seed)
    from sbx import SAC

    from seqrl.data.action_log import LoggedEnvironment

    place = folder / body
    environment, fresh = LoggedEnvironment(task), LoggedEnvironment(task)
    # Only now, so that what cannot even start leaves nothing behind.
    _claim(place, {"body": body, "environment": task.environment, "seed": seed, "steps": steps})
    learner = SAC("MlpPolicy", environment, seed=seed, **RECIPE)
    keeper = _Keeper(place, environment, fresh)

    def after_step(_locals: dict[str, Any], _globals: dict[str, Any]) -> bool:
        done = int(learner.num_timesteps)
        if done % keep_every == 0:
            keeper.keep(done, learner.policy.actor_state.params)
        if done % 100 == 0:
            progress(f"training {body}", done, steps, "steps")
        return True

    learner.learn(steps, callback=after_step)
    return place


class _Keeper:
    """Puts on disk, at each kept step, the actions up to it, the actor, and a line of the log."""

    def __init__(
        self, place: Path, environment: "LoggedEnvironment", fresh: "LoggedEnvironment"
    ) -> None:
        self._place, self._environment = place, environment
        self._fresh = fresh
        """Follows the training open loop, as anyone who uses the log will."""
        self._start = time.monotonic()

    def keep(self, steps: int, parameters: Mapping[str, Any]) -> None:
        log = self._environment.take()
        if not self._fresh.repeat(log).same_as(log):
            raise DataError(
                f"The actions up to training step {steps:,}, taken again in a fresh environment, "
                "gave other rewards: this simulator does not repeat itself, so a log of actions is "
                "worth nothing. What was kept before is sound. Please report it, with "
                f"{self._place / 'training.json'}."
            )
        name = f"{steps:07d}.safetensors"
        # Actions first: where there is an actor, there is all that was done up to it.
        log.write(self._place / "actions" / name)
        write_actor(self._place / name, parameters)
        last = self._environment.returns[-LAST:]
        line = {
            "steps": steps,
            "seconds": round(time.monotonic() - self._start, 1),
            "episodes": len(self._environment.returns),
            "return_mean": float(np.mean(last)) if last else None,
        }
        with (
            told_plainly(self._place, "writing the training's log"),
            (self._place / "log.jsonl").open("a") as file,
        ):
            file.write(json.dumps(line) + "\n")


def write_actor(file: Path, parameters: Mapping[str, Any]) -> None:
    """Write SAC's actor, its parameters named by flax, as `ActorPolicy.load` reads it."""
    from safetensors.numpy import save

    layers = parameters["params"]
    if set(layers) != set(_FLAX_NAMES):
        raise DataError(
            f"The actor that sbx-rl made has the layers {', '.join(sorted(layers))}; expected are "
            f"{', '.join(_FLAX_NAMES)}, as sbx-rl 0.28 names them. Install that version: pip "
            "install 'sbx-rl==0.28.*'"
        )
    arrays: dict[str, NDArray[np.float32]] = {
        f"{ours}.{part}": np.ascontiguousarray(layers[theirs][part], np.float32)
        for theirs, ours in _FLAX_NAMES.items()
        for part in ("kernel", "bias")
    }
    with told_plainly(file, "keeping an actor"):
        replace_file(file, save(arrays))


def _task(body: str) -> Task:
    if body not in BODIES:
        raise UnknownName(f"There is no body {body!r}. There are: {', '.join(BODIES)}.")
    return ENTRIES[f"d4rl/{body}-medium-v2"].task


def _check_numbers(steps: int, keep_every: int, seed: int) -> None:
    if keep_every < 1:
        raise SeqrlError(f"An actor can be kept every 1 or more steps, not every {keep_every}.")
    if steps < keep_every or steps % keep_every:
        raise SeqrlError(
            f"Actors are kept every {keep_every:,} training steps, so --steps must be a multiple "
            f"of that, not {steps:,}: the steps after the last kept actor would be lost."
        )
    if not 0 <= seed < 2**32:
        raise SeqrlError(f"The seed must lie between 0 and {2**32 - 1}, not at {seed}.")


def _claim(place: Path, about: Mapping[str, Any]) -> None:
    """Make the folder of a new training, or refuse where something is already."""
    with told_plainly(place, "starting a training"):
        place.mkdir(parents=True, exist_ok=True)
        if any(place.iterdir()):
            kept = _actors(place)
            found = f"its last actor is {kept[-1].name}" if kept else "no actor yet"
            raise SeqrlError(
                f"{place} already holds files of a training or of something else ({found}). A "
                "training cannot be continued, and two in one folder could not be told apart. "
                "Choose another folder (--out), or move this one away."
            )
        versions = {package: version(package) for package in _PACKAGES}
        # "x": of two trainings that start at the same moment, one is refused
        with (place / "training.json").open("x") as file:
            json.dump({**about, "recipe": RECIPE, "versions": versions}, file, indent=2)
        (place / "actions").mkdir()


# ---- measuring -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """How one actor played: a row of `returns.csv`."""

    steps: int
    """Training steps after which it was kept."""
    episodes: int
    return_mean: float
    return_std: float
    return_min: float
    return_max: float
    length_mean: float
    score_mean: float


def measure(folder: Path, episodes: int = 20, *, progress: Progress = silent) -> list[Measured]:
    """Play every actor in `<...>/<body>`, from fixed seeds; also written there as `returns.csv`.

    Actions are sampled, as when data is collected. Only whole episodes count: those still under way
    when collecting stops would be the long, good ones.
    """
    if episodes < 1:
        raise SeqrlError(f"At least 1 episode must be played to measure an actor, not {episodes}.")
    body, actors = folder.resolve().name, _actors(folder)
    if body not in BODIES or not actors:
        raise SeqrlError(
            f"{folder} is not a folder of kept actors. Give one that is named after its body "
            f"({', '.join(BODIES)}) and holds files such as 0010000.safetensors: the folder that "
            "`seqrl behaviours train` named at its end."
        )
    measured = []
    for i, actor in enumerate(actors):
        progress(f"measuring {body}", i, len(actors), "actors")
        measured.append(_measured(body, actor, episodes))
    progress(f"measuring {body}", len(actors), len(actors), "actors")
    with told_plainly(folder, "writing what was measured"):
        replace_file(folder / "returns.csv", _as_csv(measured))
    return measured


def _actors(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.safetensors"), key=lambda file: int(file.stem))


def _measured(body: str, actor: Path, episodes: int) -> Measured:
    task = _task(body)
    columns = play(task, ActorPolicy.load(actor), f"measure-{body}", range(episodes))
    starts, _ = starts_of(columns["terminated"], columns["timed_out"])
    returns = np.add.reduceat(columns["rewards"].astype(np.float64), starts[:-1])
    mean = float(returns.mean())
    return Measured(
        steps=int(actor.stem),
        episodes=episodes,
        return_mean=mean,
        return_std=float(returns.std()),
        return_min=float(returns.min()),
        return_max=float(returns.max()),
        length_mean=float(np.diff(starts).mean()),
        score_mean=task.score(mean),  # linear, so this is also the mean of the scores
    )


def _as_csv(measured: list[Measured]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(column.name for column in fields(Measured))
    for row in measured:
        table.writerow(
            round(value, 2) if isinstance(value, float) else value for value in asdict(row).values()
        )
    return text.getvalue()
