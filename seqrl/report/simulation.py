"""Simulation: how often intervals hold a truth that is known, into coverage.csv: `make coverage`.

An experiment draws seeds from a population of which everything is known, makes the interval as a
table would, and looks whether the population's own value lies in it. There are two populations: the
real one is ten seeds of each of nine tasks, each as likely as the others; the normal one has their
means and deviations, and as many scores as make the steps between them invisible.

Letters: E experiments, T tasks, R seeds, B resamplings.
"""

import math
import sys
from collections.abc import Callable, Iterator
from itertools import combinations
from statistics import NormalDist

import numpy as np

from seqrl.data.whole import replace_file
from seqrl.progress import Progress, silent
from seqrl.report.bootstrap import percentiles, resampled
from seqrl.report.coverage import FILE, Kind, Measured, Population, in_words
from seqrl.report.per_seed import per_seed
from seqrl.report.scores import (
    Float64,
    Tasks,
    improvement,
    iqm,
    median,
    optimality_gap,
    profile,
    t_intervals,
)
from seqrl.seeds import seed_for

T_SEEDS = (*range(3, 11), 15, 20)
BOOTSTRAP_SEEDS = tuple(range(5, 11))
TASKS = 9
T_EXPERIMENTS = 90_000
BOOTSTRAP_EXPERIMENTS = 1_000
"""At least so many, on all choices of tasks together."""
RESAMPLINGS = 1_000
FINE = 10_001
"""Scores that stand for all normal ones."""
BEHIND = 0.5
"""By how many deviations the second of two agents is behind: a close race."""


def populations() -> dict[Population, Tasks]:
    """Return for each population the scores of each task, all equally likely."""
    real = [*per_seed().values()]
    quantiles = (np.arange(FINE) + 0.5) / FINE
    normal = np.array([NormalDist().inv_cdf(quantile) for quantile in quantiles])
    return {"normal": [ten.mean() + ten.std(ddof=1) * normal for ten in real], "real": real}


def t_covered(
    population: Tasks, seeds: int, tasks: int, experiments: int, generator: np.random.Generator
) -> float:
    """Return how often Student's interval of a mean over tasks holds it."""
    held = []
    for among in combinations(population, tasks):
        middle, half = t_intervals(_means(among, seeds, experiments, generator))
        held.append(np.abs(middle - np.mean([scores.mean() for scores in among])) <= half)
    return float(np.mean(held))


def paired_covered(
    population: Tasks, seeds: int, tasks: int, experiments: int, generator: np.random.Generator
) -> float:
    """Return the same of differences between two agents whose runs are drawn from the same."""
    held = []
    for among in combinations(population, tasks):
        first, second = (_means(among, seeds, experiments, generator) for _ in range(2))
        middle, half = t_intervals(first - second)
        held.append(np.abs(middle) <= half)
    return float(np.mean(held))


STUDENTS: dict[Kind, Callable[[Tasks, int, int, int, np.random.Generator], float]] = {
    "t": t_covered,
    "paired t": paired_covered,
}


def bootstrap_covered(
    population: Tasks, seeds: int, tasks: int, experiments: int, generator: np.random.Generator
) -> dict[Kind, float]:
    """Return how often the stratified bootstrap's intervals hold each statistic of a population."""
    held: dict[Kind, list[float]] = {}
    for among in combinations(population, tasks):
        worse = [scores - BEHIND * scores.std(ddof=1) for scores in among]
        drawn = [
            resampled(
                [_drawn(scores, seeds, experiments, generator) for scores in agent],
                generator,
                RESAMPLINGS,
            )
            for agent in (among, worse)
        ]
        for kind, (truth, found) in _cases(among, worse, *drawn).items():
            low, high = percentiles(found)
            held.setdefault(kind, []).append(float(np.mean((low <= truth) & (truth <= high))))
    return {kind: float(np.mean(shares)) for kind, shares in held.items()}


def _drawn(
    scores: Float64, seeds: int, experiments: int, generator: np.random.Generator
) -> Float64:
    """Draw the seeds of many experiments on one task: [E, R]."""
    return scores[generator.integers(len(scores), size=(experiments, seeds))]


def _means(among: Tasks, seeds: int, experiments: int, generator: np.random.Generator) -> Float64:
    """Draw the mean over tasks of each seed: [E, R]."""
    found: Float64 = np.mean(
        [_drawn(scores, seeds, experiments, generator) for scores in among], axis=0
    )
    return found


def _cases(
    better: Tasks, worse: Tasks, drawn: Tasks, other: Tasks
) -> dict[Kind, tuple[Float64, Float64]]:
    """Return for each kind the truth, and what the resamplings of each experiment give: [E, B]."""
    quarters = np.percentile(np.concatenate(better), [25, 50, 75])
    shares = np.moveaxis(profile(drawn, quarters), -1, 0)  # [3, E, B]
    return {
        "IQM": (true_iqm(better), iqm(drawn)),
        "median": (median(better), median(drawn)),
        "optimality gap": (optimality_gap(better), optimality_gap(drawn)),
        "profile": (profile(better, quarters)[:, None], shares),
        "improvement": (_chance(better, worse), improvement(drawn, other)),
    }


def true_iqm(population: Tasks) -> Float64:
    """Return the mean of exactly the middle half of a population; `iqm` leaves out whole runs."""
    return iqm([np.repeat(scores, 4) for scores in population])


def _chance(better: Tasks, worse: Tasks) -> Float64:
    """Return the probability of improvement, of populations too large to compare all pairs of."""
    chances = []
    for first, second in zip(better, worse, strict=True):
        ordered = np.sort(second)
        below = np.searchsorted(ordered, first, "left") + np.searchsorted(ordered, first, "right")
        chances.append(below.mean() / 2 / len(second))
    return np.asarray(np.mean(chances))


def simulate(progress: Progress = silent) -> Iterator[Measured]:
    """Measure everything, each kind with a generator of its own, on every choice of tasks alike."""
    known = populations()
    todo = [(seeds, tasks) for seeds in T_SEEDS for tasks in range(1, TASKS + 1)]
    for done, (seeds, tasks) in enumerate(todo):
        progress("Student's intervals", done + 1, len(todo), "numbers of seeds and tasks")
        for name, population in known.items():
            for kind, covered in STUDENTS.items():
                each = math.ceil(T_EXPERIMENTS / math.comb(TASKS, tasks))
                generator = generator_of(kind, seeds, tasks, name)
                share = covered(population, seeds, tasks, each, generator)
                yield _measured(kind, seeds, tasks, name, share, each)
    todo = [(seeds, tasks) for seeds in BOOTSTRAP_SEEDS for tasks in range(1, TASKS + 1)]
    for done, (seeds, tasks) in enumerate(todo):
        progress("bootstrap", done + 1, len(todo), "numbers of seeds and tasks")
        for name, population in known.items():
            each = math.ceil(BOOTSTRAP_EXPERIMENTS / math.comb(TASKS, tasks))
            generator = generator_of("bootstrap", seeds, tasks, name)
            for kind, share in bootstrap_covered(population, seeds, tasks, each, generator).items():
                yield _measured(kind, seeds, tasks, name, share, each)


def generator_of(kind: str, seeds: int, tasks: int, name: str) -> np.random.Generator:
    """Return the generator of one line of the file."""
    return np.random.default_rng(seed_for(0, "coverage", kind, seeds, tasks, name))


def _measured(
    kind: Kind, seeds: int, tasks: int, population: Population, covered: float, each: int
) -> Measured:
    return Measured(
        kind=kind,
        seeds=seeds,
        tasks=tasks,
        population=population,
        covered=covered,
        experiments=each * math.comb(TASKS, tasks),
    )


def main() -> None:
    """Write coverage.csv."""

    def progress(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        sys.stderr.write(f"{doing} {done:.0f}/{total:.0f} {unit} {note}\n")

    replace_file(FILE, in_words(simulate(progress)))


if __name__ == "__main__":
    main()
