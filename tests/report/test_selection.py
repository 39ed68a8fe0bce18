"""Selection: choosing after the fact adds luck, and the luck is told from what it is worth."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist, fmean
from typing import Any

import numpy as np
import pytest

from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.errors import DataError, SeqrlError
from seqrl.report import selection as module
from seqrl.report.candidates import checkpoints_of, targets_of, why_not
from seqrl.report.per_seed import per_seed
from seqrl.report.selection import (
    HALVINGS,
    choice,
    halvings,
    honest_score,
    selection_block,
    selections,
)
from seqrl.runs.record import RunRecord
from tests.report.making import sweep_of
from tests.runs.recorded import TASK, evaluated, recorded

MANY = 2000
EPISODES = 20
SHA = "fedcba9876543210"


def drawn(means: Sequence[float], alike: float = 0.0, seed: int = 0) -> np.ndarray[Any, Any]:
    """Draw normal scores of deviation 1, [MANY, candidates, EPISODES]; `alike` is how much of the
    variance the candidates share, episode by episode."""
    generator = np.random.default_rng(seed)
    shape = MANY, len(means), EPISODES
    own, shared = generator.normal(size=shape), generator.normal(size=(MANY, 1, EPISODES))
    found: np.ndarray[Any, Any] = math.sqrt(alike) * shared + math.sqrt(1 - alike) * own
    found += np.array(means)[:, None]
    return found


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Halve less often: what is simulated averages over thousands of runs already."""
    few_halvings = halvings(EPISODES)[:20]
    monkeypatch.setattr(module, "halvings", lambda episodes: few_halvings)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("many", "expected"), [(2, 1 / math.sqrt(math.pi)), (5, 1.162964), (10, 1.538753)]
)
def test_of_equal_candidates_honest_is_what_they_are_worth(many: int, expected: float) -> None:
    """All that is reported of noise is an illusion. Truth: the mean of the greatest of so many
    standard normal values, as tabulated (Teichroew 1956)."""
    values = drawn([3.0] * many)
    best = values.mean(axis=2).max(axis=1)
    error = 4 / math.sqrt(EPISODES * MANY)
    assert best.mean() == pytest.approx(3 + expected / math.sqrt(EPISODES), abs=error)
    assert fmean(map(honest_score, values)) == pytest.approx(3, abs=error)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("better", "alike"), [(0.2, 0.0), (0.5, 0.0), (0.2, 0.7)])
def test_of_two_candidates_in_closed_form(better: float, alike: float) -> None:
    """Honest is what choosing by half the episodes is worth: the better one's share of choices is
    known of normal returns, paired or not. And the best's mean is Clark's (1961)."""
    values = drawn([0.0, better], alike)
    normal = NormalDist()
    apart = math.sqrt(2 * (1 - alike) / EPISODES)  # deviation of the difference of the means
    by_half = better * normal.cdf(better / (apart * math.sqrt(2)))
    reported = better * normal.cdf(better / apart) + apart * normal.pdf(better / apart)
    error = 4 / math.sqrt(EPISODES * MANY)
    assert fmean(map(honest_score, values)) == pytest.approx(by_half, abs=error)
    assert values.mean(axis=2).max(axis=1).mean() == pytest.approx(reported, abs=error)
    by_all = better * normal.cdf(better / apart)
    assert by_half < by_all < reported, "half the episodes choose worse, and luck is on top"


def test_halves_by_hand() -> None:
    """Two episodes have one halving: each candidate is chosen by one, and scored by the other."""
    # By the first episode B is chosen, worth 1 in the other; by the second A, worth 0.
    assert honest_score(np.array([[0.0, 8.0], [4.0, 1.0]])) == 0.5
    # By the first they are equal and nobody chooses: (2 + 6) / 2; by the second B, worth 5.
    assert honest_score(np.array([[5.0, 2.0], [5.0, 6.0]])) == (4 + 5) / 2


@pytest.mark.parametrize("episodes", [2, 3, 7, 50])
def test_a_clear_winner_is_no_illusion(episodes: int) -> None:
    """Where all halves choose the same, every episode counts once: honest is best, to the digit;
    with odd numbers too, where one half is larger."""
    generator = np.random.default_rng(1)
    values = generator.random((4, episodes)) + np.array([[0.0], [9.0], [1.0], [2.0]])
    assert honest_score(values) == pytest.approx(values[1].mean(), rel=1e-12)
    alone = values[:1]
    assert honest_score(alone) == pytest.approx(alone.mean(), rel=1e-12)


def test_halves_are_halves() -> None:
    """An episode in both halves chooses and is counted; halves drawn anew give another number each
    time."""
    for episodes in (2, 5, 50):
        first = halvings(episodes)
        assert first.shape == (HALVINGS, episodes)
        assert set(np.unique(first)) == {0.0, 1.0}
        assert (first.sum(axis=1) == episodes // 2).all()
        # Each episode is as often in the first half as any other.
        assert first.mean(axis=0) == pytest.approx(
            np.full(episodes, episodes // 2 / episodes), abs=0.07
        )
    halvings.cache_clear()
    assert (halvings(50) == first).all()


def test_never_better_than_the_best() -> None:
    """An illusion below zero would say that choosing blindly is worth more than choosing."""
    generator = np.random.default_rng(2)
    for _ in range(200):
        shape = int(generator.integers(1, 6)), int(generator.integers(2, 9))
        values = generator.integers(0, 3, shape).astype(float)
        assert honest_score(values) <= values.mean(axis=1).max() + 1e-9


def test_the_order_of_candidates_is_nothing() -> None:
    """Where many returns are equal, as with 0 and 1, who comes first must not win."""
    values = np.random.default_rng(3).integers(0, 2, (6, 10)).astype(float)
    assert honest_score(values[::-1]) == pytest.approx(honest_score(values), rel=1e-12)


def test_equal_scores_are_equal_whatever_their_scale() -> None:
    """Returns of 0 and 1,000 as scores: sums of equals differ in their last bits."""
    values = 1_000 * np.random.default_rng(0).integers(0, 2, (6, 11)).astype(float)
    low, high = -280.178953, 12135.0
    scores = 100 * (values - low) / (high - low)
    expected = 100 * (honest_score(values) - low) / (high - low)
    assert honest_score(scores) == pytest.approx(expected, rel=1e-9)


def test_what_is_published_of_a_hundred_checkpoints() -> None:
    """The numbers of the module's first page are those of the file."""
    means = {
        which: fmean(scores.mean() for scores in per_seed(which).values())
        for which in ("final", "best", "mean_last10")
    }
    assert {which: round(mean, 1) for which, mean in means.items()} == {
        "final": 68.8, "best": 80.8, "mean_last10": 68.9,
    }  # fmt: skip
    text = " ".join((module.__doc__ or "").split())
    assert "68.8 by their last checkpoint and of 80.8 by the best of 100" in text
    assert "68.9 in the mean" in text and "these 12 points" in text


# ---- of records ----------------------------------------------------------------------------------


def test_records_by_hand() -> None:
    """Scores, not returns; the last, not the first; seeds apart, then averaged."""
    records = [
        evaluated([[80, 80], [20, 40]], seed=0),
        evaluated([[10, 20], [60, 80]], seed=1),
    ]
    (found,) = selections(checkpoints_of(records))
    about = found.candidates
    assert (about.agent, about.task, about.of) == ("BC", TASK, "checkpoints")
    assert about.names == (50_000, 100_000) and about.fixed == 1 and not about.in_returns
    first, second = found.choices[0], found.choices[1]
    assert (first.fixed, first.best, first.honest, first.chosen) == (15, 40, 40, 50_000)
    assert (first.as_reported, first.illusion, first.honestly) == (25, 0, 25)
    assert (second.fixed, second.best, second.as_reported) == (35, 35, 0)
    sample = found.over_seeds(lambda one: one.as_reported)
    assert sample.mean == 12.5 and sample.deviation == pytest.approx(25 / math.sqrt(2))
    assert first.fixed == records[0].score
    low = {"minimum": -50.0, "maximum": 150.0, "source": "a test"}
    (moved,) = selections(checkpoints_of([evaluated([[80, 80], [20, 40]], reference=low)]))
    assert (moved.choices[0].fixed, moved.choices[0].best) == (40, 65), "as its record says"
    block = selection_block([found])
    assert block.head[:5] == ("agent", "task", "candidates", "episodes", "seeds")
    (row,) = block.rows
    assert row[:5] == ("BC", TASK, "2 checkpoints", "2", "2")
    assert row[5:] == (
        "25.0 ± 14.1", "37.5 ± 3.5", "37.5 ± 3.5", "+12.5 ± 17.7", "+0.0 ± 0.0", "+12.5 ± 17.7",
    )  # fmt: skip


def test_without_reference_it_says_returns() -> None:
    """A return of 40 would pass for 40 percent."""
    (found,) = selections(checkpoints_of([evaluated([[10, 30], [5, 5]], reference=None)]))
    assert found.candidates.in_returns and found.choices[0].best == 20
    ((_, task, *rest),) = selection_block([found]).rows
    assert task == f"{TASK} (return)" and rest[3] == "5.0", "one seed has no deviation"


def test_episodes_are_matched_by_number() -> None:
    """Halves of other episodes for each candidate would compare easy beginnings with hard ones."""
    record = evaluated([[1, 2, 3], [4, 5, 6]])
    first, last = record.evaluations
    turned = replace(record, evaluations=[{**first, "episodes": first["episodes"][::-1]}, last])
    (found,) = checkpoints_of([turned])
    assert found.values.tolist() == [[0.5, 1, 1.5], [2, 2.5, 3]]
    less = replace(record, evaluations=[{**first, "episodes": first["episodes"][1:]}, last])
    with pytest.raises(DataError, match="not of the same episodes"):
        checkpoints_of([less])


def test_runs_with_nothing_to_choose_say_why() -> None:
    """A run that is left out in silence is a run that was chosen."""
    assert why_not(recorded()) == "failed"
    assert why_not(recorded([1, 2])).startswith("evaluated once")
    assert "no halves" in why_not(evaluated([[1], [2]]))
    assert not why_not(evaluated([[1, 2], [2, 1]]))
    assert checkpoints_of([recorded(), recorded([1, 2], seed=1)]) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fingerprint": "f" * 16}, "one column: they differ in fingerprint"),
        ({"protocol": 1}, "one column: they differ in protocol"),
        ({"task": "d4rl/hopper-medium-v2"}, "different data"),
        ({"name": "BC", "agent": DecisionTransformer()}, "one cell"),
        ({"seed": 0, "torch": "2.9.0"}, "count twice"),
    ],
)
def test_what_differs_is_not_averaged(given: dict[str, Any], said: str) -> None:
    """As in a table: two kinds of numbers in one mean are neither."""
    usual: dict[str, Any] = {"seed": 1}
    records = [evaluated([[1, 2], [3, 4]]), evaluated([[1, 2], [3, 4]], **usual | given)]
    with pytest.raises(SeqrlError, match=said):
        checkpoints_of(records)


def test_evaluated_another_number_of_times() -> None:
    """The best of ten is more than the best of two: no mean of these says anything."""
    records = [evaluated([[1, 2]] * 2), evaluated([[1, 2]] * 10, seed=1)]
    with pytest.raises(SeqrlError, match=r"one cell: they differ in evaluation\.times, 2 and 10"):
        checkpoints_of(records)


# ---- of sweeps -----------------------------------------------------------------------------------

RETURNS = {0.0: [10.0, 30.0], 50.0: [70.0, 90.0], 100.0: [40.0, 60.0]}


def with_record(asked: float, **given: Any) -> RunRecord:
    facts = {"target_rule": "given", "target_return": asked}
    return recorded([1], name="DT", facts=facts, checkpoint={"file": "x", "sha256": SHA}, **given)


def test_the_target_that_was_fixed() -> None:
    """The headline is what was asked for beforehand: not the best, nor the nearest to it."""
    sweep = sweep_of(RETURNS, best=100.0)
    (found,) = selections(targets_of([sweep]))
    about = found.candidates
    assert (about.agent, about.of, about.names) == ("DecisionTransformer", "targets", (0, 50, 100))
    assert about.seed == 3 and about.rule == "the best return in the data, 100.0"
    only = found.choices[3]
    assert (only.fixed, only.best, only.honest, only.chosen) == (25, 40, 40, 50), "in scores"
    (known,) = targets_of([sweep], [recorded([1]), with_record(0.0)])
    assert known.agent == "DT" and known.names[known.fixed] == 0.0
    assert choice(known).fixed == 10 and known.rule == "what it was run with, 0.0"
    with pytest.raises(SeqrlError, match=r"does not ask for 80, .* --targets 80.0` adds it"):
        targets_of([sweep_of(RETURNS, best=80.0)])
    with pytest.raises(SeqrlError, match="does not ask for 60, what it was run with"):
        targets_of([sweep], [with_record(60.0)])


def test_targets_computed_otherwise_are_the_same() -> None:
    """The best in the data is met by steps, in the last bits."""
    off = {0.1: [1.0, 2.0], 0.1 + 0.2: [3.0, 4.0]}
    (found,) = targets_of([sweep_of(off, best=0.3)])
    assert found.fixed == 1


@pytest.mark.parametrize("returns", [{100.0: [1.0, 2.0]}, {0.0: [1.0], 100.0: [2.0]}])
def test_too_little_is_said(returns: dict[float, list[float]]) -> None:
    """The best of one is no choice, and one episode has no halves."""
    with pytest.raises(SeqrlError, match="takes two of each"):
        targets_of([sweep_of(returns, best=100.0)])


def test_sweeps_of_one_cell() -> None:
    """Seeds are averaged, whatever was played them with; other settings are not."""
    sweep = sweep_of(RETURNS, best=100.0)
    other = {"training_seed": "4", "seed": "4", "checkpoint_sha256": "a" * 16, "torch": "2.9.0"}
    second = replace(sweep, about={**sweep.about, **other})
    (found,) = selections(targets_of([second, sweep]))
    assert [*found.choices] == [3, 4]
    for changed, said in (
        ({"environment": "Hopper-v5"}, "one column: they differ in environment, Hopper-v4 and"),
        ({"updates": "7"}, "one cell: they differ in updates, 2000 and 7"),
        ({"training_seed": "3"}, "would count twice"),
    ):
        mixed = replace(second, about={**second.about, **changed})
        with pytest.raises(SeqrlError, match=said):
            targets_of([sweep, mixed])
    fewer = sweep_of({0.0: [1.0, 2.0], 100.0: [3.0, 4.0]}, best=100.0)
    with pytest.raises(SeqrlError, match="differ in targets"):
        targets_of([sweep, replace(fewer, about=second.about)])


def test_agents_of_one_class_are_told_apart_by_their_records() -> None:
    """A table of targets knows the class alone; two settings of it are two agents."""
    sweep = sweep_of(RETURNS, best=100.0)
    second = replace(sweep, about={**sweep.about, "checkpoint_sha256": "a" * 16})
    small = replace(with_record(100.0), name="small", checkpoint={"file": "y", "sha256": "a" * 16})
    found = selections(targets_of([sweep, second], [with_record(100.0), small]))
    assert [one.candidates.agent for one in found] == ["DT", "small"]
    changed: dict[str, Any] = {
        "agent": DecisionTransformer(context_steps=5), "name": "DT", "seed": 4,
        "facts": small.facts, "checkpoint": small.checkpoint,
    }  # fmt: skip
    with pytest.raises(SeqrlError, match="one cell: they differ in agent"):
        targets_of([sweep, second], [with_record(100.0), recorded([1], **changed)])
