"""Playing for a recording: one policy, one episode from each seed. Also a process for it.

`python -m seqrl.data.player` reads a line of JSON for each shard to play, and answers with lines:
`steps n` while it plays, `done n` when the shard is on disk. It ends when its input ends, so it
cannot outlive whoever started it, however that one dies. It is no process of `multiprocessing`,
because those begin by running the caller's own script again.
"""

import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from seqrl.data.policy import Policy, shipped
from seqrl.data.whole import put_whole
from seqrl.episodes import Array
from seqrl.errors import SeqrlError
from seqrl.tasks.environment import Environments
from seqrl.tasks.task import Task, task_from

ROWS = 64
"""Episodes that one process plays at a time."""


def play(
    task: Task,
    policy: Policy,
    set_name: str,
    seeds: range,
    told: Callable[[int], None] = lambda steps: None,
) -> dict[str, Array]:
    """Play one episode from each seed; all columns, in the order of the seeds.

    `told` hears how many steps were taken since the last time.
    """
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
        told(len(playing))
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


# ---- the process ---------------------------------------------------------------------------------


def main() -> None:
    """Play what stdin asks for, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes our stdin
    asked: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    while True:
        work = json.loads(asked.get())
        try:
            _answer("done", _record(work))
        except (SeqrlError, OSError) as error:
            _answer("failed", json.dumps(str(error)))


def _listen(asked: "SimpleQueue[str]") -> None:
    """Read beside the playing, so that the end of the input is noticed in the middle of it."""
    for line in sys.stdin:
        asked.put(line)
    os._exit(0)


def _answer(word: str, content: object) -> None:
    sys.stdout.write(f"{word} {content}\n")
    sys.stdout.flush()


def _record(work: dict[str, Any]) -> int:
    """Play one shard and put it on disk; its number of steps."""
    waiting = 0

    def told(steps: int) -> None:
        nonlocal waiting
        waiting += steps
        if waiting >= 1000:
            _answer("steps", waiting)
            waiting = 0

    columns = play(
        task_from(work["task"]),
        shipped(work["policy"]),
        work["set_name"],
        range(*work["seeds"]),
        told,
    )
    with put_whole(Path(work["file"])) as fresh, fresh.open("wb") as out:
        np.savez(out, allow_pickle=False, **columns)
    return len(columns["rewards"])


if __name__ == "__main__":
    main()
