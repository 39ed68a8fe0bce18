"""Selection: what choosing the best checkpoint, or the best target, after the fact would have added
to a score; how much of that is an illusion; and how much an honest choice adds.

Whoever chooses among candidates by the very episodes that are then reported chooses luck too: of
equal candidates the best looks, on average, better than any of them is, the more so the more there
are and the fewer the episodes. Of two with E independent normal returns each, of deviation s, it
looks s / sqrt(pi E) better. d3rlpy's Decision Transformers (see `per_seed`: 9 tasks, 10 seeds, 10
episodes) have a score of 68.8 by their last checkpoint and of 80.8 by the best of 100; the last ten
have 68.9 in the mean, so the last is no unlucky exception. How much of these 12 points is luck
cannot be told from that file: it holds no episodes.

Honest is to choose by one half of the episodes, and to score what was chosen by the other half,
which nobody has looked at: then luck is not counted. The episodes are halved at random many times;
each half chooses once, and the halves are the same for all candidates. This estimates without bias
what choosing by half as many episodes brings. Choosing by all of them is surer as a rule; then an
honest choice adds, on average, more than is said here, and the illusion is so much less: it is luck
at most. Where candidates differ by about as much as halves of the episodes are unsure, half of it
may be what halving loses.
By its making the illusion is never below zero, and may be more than all that seems to be added:
where the fixed candidate is the best already, the halves can only choose worse.

All this is of one run; seeds are averaged after it, and each has chosen for itself. One choice for
all seeds would seem to add no more: the best of means is at most the mean of the best.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from seqrl.report.blocks import Block, number
from seqrl.report.candidates import Candidates
from seqrl.report.tables import Sample
from seqrl.seeds import seed_for

HALVINGS = 1000

Float64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What one run's score is, by what is counted as its score."""

    fixed: float
    """Of the candidate that was fixed beforehand: the headline."""
    best: float
    """Of the candidate with the highest mean over all episodes, over these same episodes."""
    honest: float
    """Of what one half of the episodes has chosen, over the other half."""
    chosen: float
    """The candidate that `best` is of: updates, or the return asked for."""

    @property
    def as_reported(self) -> float:
        """What choosing seems to add."""
        return self.best - self.fixed

    @property
    def illusion(self) -> float:
        """How much better the best looks than what was chosen honestly."""
        return self.best - self.honest

    @property
    def honestly(self) -> float:
        """What choosing does add, by half of the episodes."""
        return self.honest - self.fixed


def choice(candidates: Candidates) -> Choice:
    """Choose in one run."""
    means = candidates.values.mean(axis=1)
    best = int(means.argmax())
    return Choice(
        fixed=float(means[candidates.fixed]),
        best=float(means[best]),
        honest=honest_score(candidates.values),
        chosen=candidates.names[best],
    )


def honest_score(values: Float64) -> float:
    """Return the mean, over halvings of the episodes of `values` [candidates, episodes], of what
    each half has chosen, scored by the other. Between equals nobody chooses: their mean counts."""
    episodes = values.shape[1]
    first = halvings(episodes)  # [halvings, episodes]
    by_first, by_second = values @ first.T, values @ (1 - first).T  # sums, [candidates, halvings]
    sums = _scored(by_first, by_second) + _scored(by_second, by_first)
    return float(sums.mean() / episodes)


def _scored(chosen_by: Float64, scored_by: Float64) -> Float64:
    best = chosen_by.max(axis=0)
    chosen = np.isclose(chosen_by, best, rtol=1e-9, atol=1e-9)  # sums of equals differ in last bits
    found: Float64 = (chosen * scored_by).sum(axis=0) / chosen.sum(axis=0)
    return found


@cache
def halvings(episodes: int) -> Float64:
    """Return which episodes are of the first half: 1 for each of these, the same in every run."""
    generator = np.random.default_rng(seed_for(0, "selection"))
    order = generator.random((HALVINGS, episodes)).argsort(axis=1)
    return np.where(order < episodes // 2, 1.0, 0.0)


# ---- over seeds ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Selection:
    """One agent on one task: what each of its seeds has chosen."""

    candidates: Candidates
    """Of the first seed; the others' differ in their values alone."""
    choices: Mapping[int, Choice]
    """By seed."""

    def over_seeds(self, what: Callable[[Choice], float]) -> Sample:
        """Return one number of each seed. They are lopsided: an interval of their mean would hold
        it less often than was measured of scores, so none is to be printed."""
        return Sample(values={seed: what(one) for seed, one in self.choices.items()})


def selections(candidates: Iterable[Candidates]) -> list[Selection]:
    """Choose in every run, and put the seeds of each agent on each task together."""
    found = sorted(candidates, key=lambda one: (*_cell(one), one.seed))
    cells = [[*cell] for _, cell in groupby(found, key=_cell)]
    return [
        Selection(candidates=cell[0], choices={one.seed: choice(one) for one in cell})
        for cell in cells
    ]


def _cell(candidates: Candidates) -> tuple[str, str, str]:
    return candidates.of, candidates.task, candidates.agent


# ---- in words ------------------------------------------------------------------------------------

MEASURES: Mapping[str, Callable[[Choice], float]] = {
    "fixed": lambda one: one.fixed,
    "best": lambda one: one.best,
    "honest": lambda one: one.honest,
    "added as reported": lambda one: one.as_reported,
    "illusion": lambda one: one.illusion,
    "added honestly": lambda one: one.honestly,
}
DIFFERENCES = ("added as reported", "illusion", "added honestly")


def selection_block(found: Iterable[Selection]) -> Block:
    """Say it all in a small table."""
    rows = [_row(one) for one in found]
    return Block(
        title="What choosing after the fact would have added",
        head=("agent", "task", "candidates", "episodes", "seeds", *MEASURES),
        rows=tuple(rows),
        notes=NOTES,
    )


def _row(found: Selection) -> tuple[str, ...]:
    about = found.candidates
    many, episodes = about.values.shape
    numbers = [
        _spread(found.over_seeds(what), signed=name in DIFFERENCES)
        for name, what in MEASURES.items()
    ]
    task = f"{about.task} (return)" if about.in_returns else about.task
    return about.agent, task, f"{many} {about.of}", str(episodes), str(len(found.choices)), *numbers


def _spread(sample: Sample, *, signed: bool) -> str:
    assert sample.mean is not None
    said = number(sample.mean)
    sign = "+" if signed and not said.startswith("-") else ""
    return sign + said + ("" if sample.deviation is None else f" ± {number(sample.deviation)}")


NOTES = (
    "Fixed: the candidate that was fixed beforehand. It stays the headline, whatever stands beside "
    "it.",
    "Best: the candidate with the highest mean over all its episodes, by that mean: what is often "
    "reported. On average even the best of equal candidates looks better than each is, the more so "
    "the more candidates and the fewer episodes there are.",
    "Honest: the candidate that one half of the episodes chooses, scored by the other half; both "
    f"ways round, mean of {HALVINGS:,} random halvings, the same for all candidates and runs. "
    "Chosen by half of the episodes only: as a rule less than choosing by all of them is worth.",
    "Added as reported = best - fixed; illusion = best - honest, which is luck at most, as halves "
    "also choose worse; added honestly = honest - fixed, at least, and below zero where halves "
    "choose a worse one than the fixed.",
    "Numbers are scores (returns where it says so): the mean over seeds ± the standard deviation "
    "over seeds (n-1). Each seed chooses for itself. Choosing, honestly or not, takes all these "
    "candidates' episodes in the environment, which whoever learns from data alone does not have.",
)
