"""How long do the reports of a thousand records take? Makes those of committed ones, and looks.

Run it with `make thousand`. Nothing of what it makes is a result, and nothing is kept: agents,
seeds and returns are made up, so that no two runs are equal, and none contradicts itself.
"""

import math
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from seqrl.cli.output import say
from seqrl.cli.reading import records_at
from seqrl.evaluation import environment_seed
from seqrl.progress import counted
from seqrl.report.formats import profile_as_csv, series_as_csv
from seqrl.report.series import all_series, profiles
from seqrl.report.summary import summary_of
from seqrl.runs.finding import records_below
from seqrl.runs.identity import hash_in
from seqrl.runs.record import RunRecord
from seqrl.tasks.task import in_percent

COMMITTED = Path(__file__).parents[2] / "results" / "embedded"
TASKS, AGENTS, SEEDS = 9, 12, 10
"""With fewer of each, or more, there would be fewer intervals to make."""
TIMES = 9


def a_thousand() -> Iterator[RunRecord]:
    """Make records that belong into one table."""
    committed = [one.record for one in records_below(COMMITTED).found]
    tasks = sorted({record.task["name"] for record in committed})
    agents = sorted({record.name for record in committed})
    for number in range(TASKS):
        of_task = [r for r in committed if r.task["name"] == tasks[number % len(tasks)]]
        for agent in range(AGENTS):
            own = [r for r in of_task if r.name == agents[agent % len(agents)]]
            for seed in range(SEEDS):
                yield _made_up(own[seed % len(own)], number, agent, seed)


def _made_up(like: RunRecord, number: int, agent: int, seed: int) -> RunRecord:
    task, name = like.task["name"].replace("/", f"/made-up-{number}-"), f"{like.name} {agent}"
    identity = {**like.identity, "data": task, "code": {"agent": name}}
    factor = 1 + seed / 1000 + agent / 10_000
    reference = like.task["reference"]
    record = replace(
        like,
        name=name,
        seed=seed,
        task={**like.task, "name": task},
        data={**like.data, "name": task},
        identity=identity,
        evaluations=[_played(one, reference, task, seed, factor) for one in like.evaluations],
    )
    hash_ = hash_in(record)
    return replace(record, hash=hash_, checkpoint={**(like.checkpoint or {}), "sha256": hash_})


def _played(
    one: Mapping[str, Any], reference: Mapping[str, float], task: str, seed: int, factor: float
) -> Mapping[str, Any]:
    episodes = [
        {
            **episode,
            "seed": environment_seed(seed, task, episode["number"]),
            "return": episode["return"] * factor,
        }
        for episode in one["episodes"]
    ]
    mean = math.fsum(episode["return"] for episode in episodes) / len(episodes)
    score = float(in_percent(mean, reference["minimum"], reference["maximum"]))
    return {**one, "episodes": episodes, "return": mean, "score": score}


def numbers_of_figures(results: Path) -> dict[str, str]:
    """Do what `seqrl figures` does before it draws."""
    summary = summary_of(records_at([results])[0])
    numbers = series_as_csv((s for s in all_series(summary.records) if s.points), summary)
    if points := profiles(summary.table):
        numbers["profiles"] = profile_as_csv(points, summary)
    return numbers


def main() -> None:
    """Make them, and say how long each command takes."""
    from tests.runs.recorded import write_all  # loads agents, which numbers do not need

    seqrl = str(Path(sys.executable).parent / "seqrl")
    with TemporaryDirectory() as folder:
        results, out = Path(folder) / "results", Path(folder) / "out"
        write_all(results, *a_thousand())
        there = records_below(results)
        assert not there.unread, there.unread[0].why
        count = counted(len(there.found), "record")
        say(f"{count}; seconds, median (least to most) of {TIMES}:")
        page = str(out / "page.html")
        _timed("seqrl table", [seqrl, "table", str(results)])
        _timed("seqrl page", [seqrl, "page", str(results), "--out", page])
        _timed("numbers of figures", [sys.executable, "-m", "tests.report.thousand", str(results)])
        _timed("seqrl figures", [seqrl, "figures", str(results), "--out", str(out)], times=1)


def _timed(what: str, command: list[str], times: int = TIMES) -> None:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        taken.append(time.perf_counter() - began)
    say(f"{what:20}{statistics.median(taken):6.2f} ({min(taken):.2f} to {max(taken):.2f})")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        numbers_of_figures(Path(sys.argv[1]))
    else:
        main()
