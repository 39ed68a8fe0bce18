"""Recording: behaviour policies play episodes in parallel processes, each episode from its own
seed.

The work is cut into shards of episodes. A finished shard is a file in the scratch folder, so a
killed build goes on where it was. What is recorded depends on nothing but the set, the policies and
the simulator.
"""

import hashlib
import logging
import os
import signal
import threading
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from seqrl.data.policy import FOLDER, ActorPolicy, Policy, UniformPolicy
from seqrl.episodes import Array
from seqrl.errors import DataError
from seqrl.progress import Progress
from seqrl.tasks.environment import Environments
from seqrl.tasks.task import Task

ROWS = 64
"""Episodes that one process plays at a time."""

SEEDS_A_SHARE = 1_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Share:
    """A part of a set that one policy plays: whole episodes, at least `steps` steps."""

    policy: str
    """A shipped actor, `hopper/0140000`, or empty for uniformly random actions."""

    steps: int
    shard: int = ROWS
    """Episodes in a file of work; what is recorded does not depend on it."""

    def load(self) -> Policy:
        """Return the policy itself."""
        return (
            ActorPolicy.load(FOLDER / f"{self.policy}.safetensors")
            if self.policy
            else UniformPolicy()
        )


def play(
    task: Task, policy: Policy, set_name: str, seeds: range, counter: Any = None
) -> dict[str, Array]:
    """Play one episode from each seed; all columns, in the order of the seeds."""
    rows = min(ROWS, len(seeds))
    environments = Environments(task, rows)
    simulators = environments.simulators(range(rows))
    buffers = _buffers(rows, task, simulators[0].width)
    noise = np.empty((rows, task.horizon, task.action_width))
    seed_of, steps, seen = (
        np.zeros(rows, int),
        np.zeros(rows, int),
        buffers["observations"][:, 0].copy(),
    )
    finished: dict[int, dict[str, Array]] = {}
    waiting = iter(seeds)
    set_key = int.from_bytes(hashlib.sha256(set_name.encode()).digest()[:8], "big")

    def begin(row: int) -> None:
        if (seed := next(waiting, None)) is not None:
            seed_of[row], steps[row] = seed, 0
            seen[row] = environments.start([seed], [row])[0]
            generator = np.random.default_rng([set_key, seed])
            noise[row] = policy.noise(generator, task.horizon, task.action_width)

    for row in range(rows):
        begin(row)
    while len(playing := environments.playing):
        at = steps[playing]
        actions, log_probabilities = policy.act(seen[playing], noise[playing, at])
        buffers["observations"][playing, at] = seen[playing]
        buffers["actions"][playing, at] = actions
        buffers["log_probabilities"][playing, at] = log_probabilities
        for row, step in zip(playing, at, strict=True):
            buffers["states"][row, step] = simulators[row].read()
        outcome = environments.step(actions.astype(np.float32))
        buffers["rewards"][playing, at] = outcome.rewards
        buffers["next_observations"][playing, at] = outcome.observations
        buffers["terminated"][playing, at] = outcome.terminated
        buffers["timed_out"][playing, at] = outcome.timed_out
        seen[playing] = outcome.observations
        steps[playing] += 1
        for row in playing[outcome.terminated | outcome.timed_out]:
            finished[seed_of[row]] = {
                name: buffer[row, : steps[row]].copy() for name, buffer in buffers.items()
            }
            begin(row)
        if counter is not None:
            with counter.get_lock():
                counter.value += len(playing)
    return {name: np.concatenate([finished[seed][name] for seed in seeds]) for name in buffers}


def _buffers(rows: int, task: Task, state_width: int) -> dict[str, Array]:
    def room(*width: int, dtype: Any = np.float32) -> Array:
        return np.zeros((rows, task.horizon, *width), dtype)

    return {
        "observations": room(task.observation_width),
        "actions": room(task.action_width),
        "rewards": room(),
        "terminated": room(dtype=np.bool_),
        "timed_out": room(dtype=np.bool_),
        "next_observations": room(task.observation_width),
        "states": room(state_width, dtype=np.float64),
        "log_probabilities": room(),
    }


# ---- many shards, many processes -----------------------------------------------------------------


@dataclass(frozen=True)
class _Work:
    task: Task
    set_name: str
    share: Share
    place: int
    """Which share of the set."""
    number: int
    """Which shard of the share."""
    file: Path

    @property
    def seeds(self) -> range:
        first = self.place * SEEDS_A_SHARE + self.number * self.share.shard
        return range(first, first + self.share.shard)


class Recording:
    """The recording of one set under way: which shards exist, which are still needed."""

    def __init__(self, task: Task, set_name: str, shares: Sequence[Share], scratch: Path) -> None:
        """Count what an earlier, killed recording left."""
        self.task, self.set_name, self.shares, self.scratch = task, set_name, shares, scratch
        scratch.mkdir(parents=True, exist_ok=True)
        self._lengths: list[dict[int, int]] = [{} for _ in shares]
        for place in range(len(shares)):
            number = 0
            while (length := _length_of(self._file(place, number))) is not None:
                self._lengths[place][number] = length
                number += 1

    @property
    def total(self) -> int:
        """Steps of the whole set."""
        return sum(share.steps for share in self.shares)

    @property
    def done(self) -> int:
        """Steps recorded that the set needs."""
        return sum(
            min(sum(lengths.values()), share.steps)
            for lengths, share in zip(self._lengths, self.shares, strict=True)
        )

    def run(self, processes: int, progress: Progress) -> None:
        """Play until every share has its steps."""
        context = get_context("spawn")
        counter = context.Value("q", 0)
        under_way: dict[Future[int], _Work] = {}
        before, doing = self.done, f"playing {self.set_name}"
        progress(doing, before, self.total, "steps")
        if self._next(under_way) is None:
            return
        with ProcessPoolExecutor(processes, context, _prepare_worker, (counter,)) as pool:
            try:
                while True:
                    while len(under_way) < processes and (work := self._next(under_way)):
                        under_way[pool.submit(_record, work)] = work
                    if not under_way:
                        break
                    finished, _ = wait(under_way, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in finished:
                        work = under_way.pop(future)
                        self._lengths[work.place][work.number] = future.result()
                    progress(doing, min(before + counter.value, self.total), self.total, "steps")
            except BrokenProcessPool as error:
                raise DataError(
                    f"A process that was {doing} died (killed, or out of memory?). Run the same "
                    "command "
                    "again: what is finished is kept. Fewer processes need less memory: "
                    "--processes 1."
                ) from error
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in (pool._processes or {}).values():
                    process.terminate()
                raise
        progress(doing, self.total, self.total, "steps")

    def _next(self, under_way: dict[Future[int], _Work]) -> _Work | None:
        """Return the first shard that is still needed, judging those under way by the lengths so
        far."""
        for place, share in enumerate(self.shares):
            lengths = self._lengths[place]
            flying = {work.number for work in under_way.values() if work.place == place}
            typical = (
                sum(lengths.values()) / len(lengths) if lengths else share.shard * self.task.horizon
            )
            if sum(lengths.values()) + typical * len(flying) < share.steps:
                number = next(n for n in range(10**6) if n not in lengths and n not in flying)
                return _Work(
                    self.task, self.set_name, share, place, number, self._file(place, number)
                )
        return None

    def _file(self, place: int, number: int) -> Path:
        return self.scratch / f"share-{place:02d}.shard-{number:05d}.npz"

    def pieces(self) -> Iterator[dict[str, Array]]:
        """Give the set: of each share the first whole episodes that fill it, cut at the set's
        length."""
        written, wanted = 0, 0
        for place, share in enumerate(self.shares):
            wanted += share.steps
            for number in range(len(self._lengths[place])):
                if written >= wanted:
                    break
                piece = _read(self._file(place, number))
                ends = np.flatnonzero(piece["terminated"] | piece["timed_out"]) + 1
                # The episode that fills the share is its last; the set's own last
                # is cut, as D4RL cuts.
                enough = int(ends[min(int(np.searchsorted(ends, wanted - written)), len(ends) - 1)])
                if place == len(self.shares) - 1:
                    enough = min(enough, wanted - written)
                written += enough
                yield {name: column[:enough] for name, column in piece.items()}


def _length_of(file: Path) -> int | None:
    try:
        with file.open("rb") as bytes_, np.load(bytes_, allow_pickle=False) as shard:
            return len(shard["terminated"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        _log.warning("%s is damaged and is recorded again.", file)
        file.unlink()
        return None


def _read(file: Path) -> dict[str, Array]:
    try:
        with file.open("rb") as bytes_, np.load(bytes_, allow_pickle=False) as shard:
            return {name: shard[name] for name in shard.files}
    except (EOFError, ValueError, zipfile.BadZipFile) as error:
        file.unlink()
        raise DataError(
            f"{file} was damaged on disk ({error}) and is deleted. Run the same command again: "
            "only its episodes are played anew."
        ) from error


_counter: Any = None


def _prepare_worker(counter: Any) -> None:
    """Count steps into shared memory, leave Ctrl-C to the parent, and do not outlive it."""
    global _counter
    _counter = counter
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _record(work: _Work) -> int:
    """Play one shard and put it on disk; its number of steps."""
    columns = play(work.task, work.share.load(), work.set_name, work.seeds, _counter)
    fresh = work.file.with_name(f".{work.file.name}.{uuid4().hex[:12]}")
    try:
        with fresh.open("wb") as out:
            np.savez(out, allow_pickle=False, **columns)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(work.file)
    finally:
        fresh.unlink(missing_ok=True)
    return len(columns["rewards"])
