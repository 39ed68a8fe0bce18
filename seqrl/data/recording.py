"""Recording: behaviour policies play in parallel processes, each episode from its own seed.

The work is cut into shards of episodes. A finished shard is a file in the scratch folder, so a
killed build goes on where it was. What is recorded depends on nothing but the set, the policies and
the simulator.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from seqrl.data.player import ROWS
from seqrl.episodes import Array
from seqrl.errors import DataError
from seqrl.progress import Progress
from seqrl.tasks.task import Task

SEEDS_A_SHARE = 1_000_000

_log = logging.getLogger(__name__)


def cores() -> int:
    """Count the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Share:
    """A part of a set that one policy plays: whole episodes, at least `steps` steps."""

    policy: str
    """A shipped actor, `hopper/0140000`, or empty for uniformly random actions."""

    steps: int
    shard: int = ROWS
    """Episodes in a file of work; what is recorded does not depend on it."""


@dataclass(frozen=True)
class _Work:
    """One shard to be played."""

    place: int
    """Which share of the set."""
    number: int
    """Which shard of the share."""
    order: dict[str, Any]
    """What the player is told."""


class _Player:
    """One process that plays shards, one after the other; its answers go into a common queue."""

    def __init__(self, answers: "SimpleQueue[_Answer]") -> None:
        # -P: the folder one is in must not shadow modules
        command = [sys.executable, "-P", "-m", "seqrl.data.player"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._listener = threading.Thread(target=self._listen, args=(answers,), daemon=True)
        self._listener.start()

    def _listen(self, answers: "SimpleQueue[_Answer]") -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                word, _, content = line.strip().partition(" ")
                answers.put((self, word, content))
        answers.put((self, "died", str(self._process.wait())))

    def give(self, work: _Work) -> _Work:
        """Ask for a shard."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it died; its listener says so
            self._process.stdin.write(json.dumps(work.order) + "\n")
            self._process.stdin.flush()
        return work

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._listener.join()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()


_Answer = tuple[_Player, str, str]


def _failure(word: str, content: str, doing: str) -> Exception:
    """Make an error of what a player said last."""
    if word == "failed":
        return DataError(json.loads(content))
    return DataError(
        f"A process that was {doing} died with status {content} (killed, or out of memory?). Run "
        "the same command again: what is finished is kept. Fewer processes need less memory: "
        "--processes 1."
    )


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
        doing, taken = f"playing {self.set_name}", self.done
        progress(doing, taken, self.total, "steps")
        answers: SimpleQueue[_Answer] = SimpleQueue()
        players: list[_Player] = []
        under_way: dict[_Player, _Work] = {}
        try:
            for _ in range(processes):
                if work := self._next(under_way.values()):
                    players.append(_Player(answers))
                    under_way[players[-1]] = players[-1].give(work)
            while under_way:
                player, word, content = answers.get()
                if word == "steps":
                    taken += int(content)
                    progress(doing, min(taken, self.total), self.total, "steps")
                    continue
                work = under_way.pop(player)
                if word != "done":
                    raise _failure(word, content, doing)
                self._lengths[work.place][work.number] = int(content)
                if more := self._next(under_way.values()):
                    under_way[player] = player.give(more)
        finally:
            for player in players:
                player.stop()
        progress(doing, self.total, self.total, "steps")

    def _next(self, under_way: Iterable[_Work]) -> _Work | None:
        """Return the first shard that is still needed, judging those under way by the others."""
        flying_all = list(under_way)
        for place, share in enumerate(self.shares):
            lengths = self._lengths[place]
            flying = {work.number for work in flying_all if work.place == place}
            typical = (
                sum(lengths.values()) / len(lengths) if lengths else share.shard * self.task.horizon
            )
            if sum(lengths.values()) + typical * len(flying) < share.steps:
                number = next(n for n in count() if n not in lengths and n not in flying)
                first = place * SEEDS_A_SHARE + number * share.shard
                return _Work(
                    place,
                    number,
                    {
                        "task": asdict(self.task),
                        "policy": share.policy,
                        "set_name": self.set_name,
                        "seeds": [first, first + share.shard],
                        "file": str(self._file(place, number)),
                    },
                )
        return None

    def _file(self, place: int, number: int) -> Path:
        return self.scratch / f"share-{place:02d}.shard-{number:05d}.npz"

    def pieces(self) -> Iterator[dict[str, Array]]:
        """Give the set: of each share the whole episodes that fill it, cut at the set's length."""
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
