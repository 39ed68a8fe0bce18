"""The embedded sets: `seqrl/<body>-<quality>-v1`, played by shipped policies, complete with no
network.

They are not D4RL: the policies were trained for this package (see `seqrl behaviours train`), and
the environments are today's. They are collected as D4RL collected: actions sampled from a SAC
policy, one million steps, cut at the end; `medium-snapshots` stands in for medium-replay, without
being a replay. `hopper-tiny` is small, built in seconds, and for proving a machine alone.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seqrl.data.cache import Origin, Prepared, current, entry_folder, look_up, prepare
from seqrl.data.player import ROWS
from seqrl.data.policy import FOLDER, GRID
from seqrl.data.recording import SEEDS_A_SHARE, Recording, Share, cores
from seqrl.data.whole import sha256_of
from seqrl.episodes import fingerprint_of
from seqrl.errors import DataError, UnknownName, told_plainly
from seqrl.progress import Progress, silent
from seqrl.tasks.d4rl import BODIES
from seqrl.tasks.d4rl import ENTRIES as D4RL
from seqrl.tasks.environment import Environments
from seqrl.tasks.task import Task

STEPS = 1_000_000
"""Of every set but the snapshots, as in D4RL."""

MEDIUM = {"halfcheetah": 180_000, "hopper": 330_000, "walker2d": 290_000}
"""Training steps of each medium policy: of the actors kept every 10,000 steps, the one whose
measured return is nearest to the official medium set's, mean before spread."""

REPLAY_STEPS = {"halfcheetah": 202_000, "hopper": 402_000, "walker2d": 302_000}
"""Length of the official medium-replay sets, taken for the snapshots."""

RANDOM_SHARD = 16 * ROWS
"""Episodes of random actions are short: more of them make a file of work."""

SNAPSHOTS = 10
"""Actors in a snapshots set, evenly spaced up to the medium one; an equal share of random actions
first."""

QUALITIES = ("random", "medium", "medium-snapshots")

NOT_SHIPPED = {
    "medium-replay": "a real replay needs the actions that SAC itself took, which were not logged; "
    "medium-snapshots is the nearest",
    "medium-expert": "no expert policy is shipped yet",
    "expert": "no expert policy is shipped yet",
}

TINY_STEPS = 20_000
"""Of hopper-tiny, which the medium policy plays in seconds."""

TINY_SHARD = 16
"""Episodes: few enough that a second process has work too."""

TINY_NOTE = "for proving a machine and for tests, not for results"

OFFICIAL_QUALITY = {"medium-snapshots": "medium-replay", "tiny": "medium"}
"""Whose statistics to show beside a set, where the qualities' names differ."""


@dataclass(frozen=True)
class Embedded:
    """One embedded set: which policies play it, and how much each."""

    task: Task
    shares: tuple[Share, ...]
    official: str
    """Full name of the official set of the same quality."""
    note: str = ""
    """What it is for, where that is not comparing agents."""

    @property
    def short(self) -> str:
        """`hopper-medium`."""
        return self.task.name.removeprefix("seqrl/").removesuffix("-v1")


def snapshot_steps(body: str) -> list[int]:
    """Return the training steps of a body's snapshots, among the kept ones."""
    return [
        int(MEDIUM[body] * i / SNAPSHOTS / 10_000 + 0.5) * 10_000 for i in range(1, SNAPSHOTS + 1)
    ]


def _actor(body: str, steps: int) -> str:
    return f"{body}/{steps:07d}"


def _shares(body: str, quality: str) -> tuple[Share, ...]:
    if quality == "random":
        return (Share("", STEPS, RANDOM_SHARD),)
    if quality == "medium":
        return (Share(_actor(body, MEDIUM[body]), STEPS),)
    if quality == "tiny":
        return (Share(_actor(body, MEDIUM[body]), TINY_STEPS, TINY_SHARD),)
    policies = ["", *(_actor(body, steps) for steps in snapshot_steps(body))]
    whole, rest = divmod(REPLAY_STEPS[body], len(policies))
    return tuple(
        Share(policy, whole + (i < rest), ROWS if policy else RANDOM_SHARD)
        for i, policy in enumerate(policies)
    )


def _embedded(body: str, quality: str) -> Embedded:
    official = f"d4rl/{body}-{OFFICIAL_QUALITY.get(quality, quality)}-v2"
    like = D4RL[official].task
    task = Task(
        name=f"seqrl/{body}-{quality}-v1",
        environment=like.environment,
        horizon=like.horizon,
        observation_width=like.observation_width,
        action_width=like.action_width,
        reference=like.reference,
    )
    return Embedded(task, _shares(body, quality), official, TINY_NOTE if quality == "tiny" else "")


SETS = {
    f"seqrl/{body}-{quality}-v1": _embedded(body, quality)
    for body in BODIES
    if body in MEDIUM
    for quality in (*QUALITIES, *(["tiny"] if body == "hopper" else []))
}
"""Every embedded set, by full name."""


def embedded(name: str) -> Embedded:
    """Return the embedded set of that full name, or say why there is none."""
    if name in SETS:
        return SETS[name]
    for quality, reason in NOT_SHIPPED.items():
        if name in {f"seqrl/{body}-{quality}-v1" for body in MEDIUM}:
            raise UnknownName(f"{name} is not shipped yet: {reason}.")
    raise UnknownName(f"There is no embedded set {name}. There are: {', '.join(SETS)}.")


def golden() -> dict[str, dict[str, str]]:
    """Return the known fingerprints: simulator version -> name -> fingerprint."""
    text = Path(__file__).with_name("golden.json").read_text()
    found: dict[str, dict[str, str]] = json.loads(text)
    return found


def simulator_version() -> str:
    """Return what the golden fingerprints are filed under."""
    return f"mujoco {version('mujoco')}"


def build(name: str, *, processes: int | None = None, progress: Progress = silent) -> Prepared:
    """Return the prepared embedded set, playing it first if need be."""
    chosen = embedded(name)
    if processes is not None and processes < 1:
        raise DataError(f"--processes must be at least 1, not {processes}.")
    workers = processes or cores()
    ready = look_up(name)
    if ready and ready.name != name and _may_become_real(ready):
        with told_plainly(entry_folder(name), "removing"):
            (entry_folder(name) / "episodes.json").unlink(missing_ok=True)
    # Asked before the simulator is even imported: opening what is there takes no time.
    return current(name, _recipe(chosen)) or prepare(_origin(chosen, workers), progress)


def _may_become_real(local: Prepared) -> bool:
    """Say whether building anew may give the real name: other versions play, or more is known."""
    return local.provenance["versions"] != _versions() or _is_known(local)


def _is_known(prepared: Prepared) -> bool:
    name = prepared.name.partition("+")[0]
    return fingerprint_of(prepared.digests) in {names.get(name) for names in golden().values()}


def _origin(chosen: Embedded, workers: int) -> Origin:
    recipe = _recipe(chosen)

    def read(scratch: Path, progress: Progress) -> Any:
        digest = hashlib.sha256(json.dumps([recipe, _versions()]).encode()).hexdigest()[:16]
        recording = Recording(chosen.task, chosen.short, chosen.shares, scratch / digest)
        recording.run(workers, progress)
        return recording.pieces()

    (simulator,) = Environments(chosen.task, 1).simulators([0])
    width = chosen.task.observation_width * 8 + chosen.task.action_width * 4 + simulator.width * 8
    return Origin(
        task=chosen.task,
        read=read,
        stamp=recipe,
        provenance=lambda: {
            "kind": "played by shipped behaviour policies; not D4RL data"
            + (chosen.note and f"; {chosen.note}"),
            "versions": _versions(),
            **recipe,
        },
        accept=_name_by_content,
        state_parts=simulator.parts,
        # the shards and, for a moment, the columns made of them
        bytes_needed=2 * (width + 16) * sum(share.steps for share in chosen.shares),
    )


def _recipe(chosen: Embedded) -> dict[str, Any]:
    """Return all that a set is made from, as plain data."""
    return {
        "environment": chosen.task.environment,
        "policies": [
            {"actor": share.policy or "uniformly random", "steps": share.steps}
            | (
                {"sha256": sha256_of(FOLDER / f"{share.policy}.safetensors")}
                if share.policy
                else {}
            )
            for share in chosen.shares
        ],
        "seeds": f"episode i of share k: {SEEDS_A_SHARE} k + i",
        "action_grid": GRID,
    }


def _versions() -> dict[str, str]:
    return {package: version(package) for package in ("mujoco", "gymnasium", "numpy")}


def _name_by_content(prepared: Prepared) -> str:
    """Give the real name only to the real content."""
    if _is_known(prepared):
        return prepared.name
    return f"{prepared.name}+local.{fingerprint_of(prepared.digests)[:8]}"


def why_local(known: Prepared) -> str:
    """Say why a build did not get the real name; empty if it did."""
    if "+local." not in known.name:
        return ""
    name, made_with = (
        known.name.partition("+")[0],
        f"mujoco {known.provenance['versions']['mujoco']}",
    )
    versions: Mapping[str, Any] = golden()
    if made_with not in versions:
        return (
            f"it was played with {made_with}, and the fingerprint of {name} is known for "
            f"{', '.join(versions) or 'no version'} only"
        )
    return (
        f"its content differs from that of {name} although it was played with {made_with} too: "
        "another processor architecture, or other versions of gymnasium and numpy "
        f"({known.provenance['versions']})"
    )
