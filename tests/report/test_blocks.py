"""What a report says in words: intervals, differences, sums over tasks; and what it must not."""

import re
from dataclasses import replace
from statistics import fmean, stdev

import pytest

from seqrl.report.blocks import (
    Block,
    about_profiles,
    blocks_of,
    differences,
    improvements,
    intervals,
    over_tasks,
)
from seqrl.report.coverage import Kind, coverage_of
from seqrl.report.scores import t_quantile
from seqrl.report.tables import score_table
from seqrl.runs.record import RunRecord
from tests.runs.recorded import TASK, recorded

OTHER = "seqrl/walker2d-medium-v1"


def made(scores: dict[str, dict[str, list[float]]]) -> list[RunRecord]:
    """Make records of these scores: by agent and task, one a seed."""
    return [
        recorded([2 * score], name=agent, task=task, seed=seed)
        for agent, tasks in scores.items()
        for task, seeds in tasks.items()
        for seed, score in enumerate(seeds)
    ]


def row(block: Block | None, first: str) -> tuple[str, ...]:
    assert block is not None
    return next(cells[1:] for cells in block.rows if cells[0] == first)


def test_two_seeds_have_no_interval() -> None:
    """Student's interval of two seeds is 13 times their error, and nobody has tried it here."""
    table = score_table(made({"BC": {TASK: [1, 2]}}))
    assert intervals(table) is None
    table = score_table(made({"BC": {TASK: [1, 2]}, "DT": {TASK: [10, 20, 30]}}))
    half = t_quantile(2) * 10 / 3**0.5
    block = intervals(table)
    assert row(block, "DT") == (f"[{20 - half:.1f}, {20 + half:.1f}]",) and row(block, "BC") == (
        "-",
    )


def test_no_interval_without_its_coverage() -> None:
    """An interval whose coverage nobody measured is not printed; of one that is, it is said."""
    eleven = [float(n) for n in range(11)]
    assert coverage_of("t", 11) is None
    lacking = intervals(score_table(made({"BC": {TASK: eleven}})))
    assert row(lacking, "BC") == ("-",)
    (why,) = lacking.notes  # type: ignore[union-attr]
    assert why.startswith("No interval of 11 seeds: ") and "3 to 10, 15, 20 seeds" in why
    said = " ".join(intervals(score_table(made({"BC": {TASK: eleven[:3]}}))).notes)  # type: ignore[union-attr]
    known = coverage_of("t", 3)
    assert known is not None
    assert f"of 3 seeds it held the truth in {100 * known.normal:.0f}% on normal data" in said
    assert f"{100 * known.real:.0f}% on real runs" in said


@pytest.mark.parametrize("tasks", [1, 2, 6])
@pytest.mark.parametrize("seeds", [3, 5, 6])
def test_beside_each_interval_stands_its_own_coverage(seeds: int, tasks: int) -> None:
    """Of that kind, of so many seeds, of so many tasks: another figure would look as good."""
    names = [f"seqrl/{name}-medium-v1" for name in ("ant", "hopper", "walker2d", "a", "b", "c")]
    scores = {name: [10.0 * n + 7 * (n % 2) for n in range(seeds)] for name in names[:tasks]}
    table = score_table(made({"BC": scores, "DT": scores | {names[0]: [3.0] * seeds}}))
    said = {block.title: " ".join(block.notes) for block in blocks_of(table)}

    def words(kind: Kind, of: int) -> str:
        return f"of {seeds} seeds{f' of {of} tasks' if of > 1 else ''} it held the truth in " + str(
            coverage_of(kind, seeds, of)
        )

    assert words("t", 1) in said["95% intervals of these means"]
    paired = said["Differences, paired by seed"]
    assert words("paired t", 1) in paired and (tasks == 1 or words("paired t", tasks) in paired)
    over = said.get(f"Over {'all ' if tasks > 1 else 'the '}{tasks} tasks", "")
    if tasks > 1:
        assert words("t", tasks) in over and words("t", 1) not in over
        kinds: tuple[Kind, ...] = ("IQM", "median", "optimality gap")
        for kind in kinds:
            assert (f"{kind}: Stratified" in over) == (seeds >= 5)
            assert seeds < 5 or words(kind, tasks) in over.partition(f"{kind}: Strat")[2]
    if seeds >= 5:
        assert words("improvement", tasks) in said["Probability of improvement"]
        (line, *more) = about_profiles(table)
        assert words("profile", tasks) in line and not more


def test_of_what_has_no_interval_none_is_spoken() -> None:
    """Five seeds of one agent and six of another have a probability, and no interval."""
    table = score_table(made({"A": {TASK: [1, 2, 3, 4, 5]}, "B": {TASK: [1, 2, 3, 4, 5, 6]}}))
    block = improvements(table)
    assert block is not None and "[" not in row(block, "A > B")[0]
    assert not any("held the truth" in note for note in block.notes)


def test_many_tasks_have_no_interval_that_nobody_tried() -> None:
    """Ten tasks are one more than there are real runs of."""
    ten = {f"seqrl/t{n}-medium-v1": [1.0 * n, 2.0, 5.0] for n in range(10)}
    block = over_tasks(score_table(made({"BC": ten, "DT": ten})))
    assert row(block, "BC")[1] == "-"
    assert any(note.startswith("No interval of 3 seeds of 10 tasks") for note in block.notes)  # type: ignore[union-attr]


def test_two_experiments_have_no_mean_over_tasks() -> None:
    """Fifty updates on one task and two thousand on another: `make bench EXPERIMENT=smoke`, and
    then a real one."""
    records = made(
        {"BC": {TASK: [1, 2, 3], OTHER: [4, 5, 6]}, "DT": {TASK: [1, 2, 3], OTHER: [4, 5, 9]}}
    )
    mixed = [
        replace(r, experiment="smoke") if (r.name, r.task["name"]) == ("BC", OTHER) else r
        for r in records
    ]
    table = score_table(mixed)
    assert row(over_tasks(table), "BC") == ("-", "-", "-")
    assert row(over_tasks(table), "DT")[2] == "3"
    assert row(differences(table), "BC - DT")[2] == "-"


def test_many_intervals_are_no_proof() -> None:
    """Of thirty, one or two miss."""
    scores = {TASK: [1.0, 2.0, 4.0]}
    few = differences(score_table(made({name: scores for name in "AB"})))
    many = differences(score_table(made({name: scores for name in "ABCDE"})))
    assert not any("for itself" in note for note in few.notes)  # type: ignore[union-attr]
    assert any("There are 10 intervals" in note for note in many.notes)  # type: ignore[union-attr]


def test_n_of_pairs_is_told_where_it_differs() -> None:
    """Where an agent lacks seeds, its pairs are fewer."""
    table = score_table(made({"A": {TASK: [1, 2, 3]}, "B": {TASK: [1, 2, 4]}, "C": {TASK: [5, 7]}}))
    assert "(3)" in row(differences(table), "A - B")[0]
    assert row(differences(table), "A - C")[0].endswith("(2)")


def test_no_minus_before_a_zero() -> None:
    """An interval's end of -0.04 is 0.0."""
    table = score_table(made({"A": {TASK: [0.0, 0.0, 0.02]}, "B": {TASK: [0.0, 0.0, 0.02]}}))
    assert row(intervals(table), "A") == ("[0.0, 0.0]",)


def test_differences_are_paired_by_seed() -> None:
    """Two agents whose seeds move alike differ surely, though each by itself varies widely."""
    table = score_table(made({"DT": {TASK: [11, 52, 93]}, "BC": {TASK: [10, 50, 90]}}))
    (cell,) = row(differences(table), "BC - DT")
    assert cell.startswith("-2.0 ± 1.0 [-4.5, 0.5]")


def test_other_episodes_are_no_pairs() -> None:
    """Seed 0 of a run that played other episodes has nothing to do with seed 0 of this one."""
    first, second, *rest = made({"DT": {TASK: [11, 52, 93]}, "BC": {TASK: [10, 50, 90]}})
    others = [begun_otherwise(first), begun_otherwise(second)]
    assert differences(score_table([*others, *rest])) is None
    some = score_table([first, others[1], *rest])
    assert row(differences(some), "BC - DT") == ("-2.0 ± 1.4",)


def begun_otherwise(record: RunRecord) -> RunRecord:
    """Make a record of it whose first episode began with another seed."""
    (one,) = record.evaluations
    first, *rest = one["episodes"]
    return replace(record, evaluations=[{**one, "episodes": [{**first, "seed": 99}, *rest]}])


def test_a_mean_over_tasks_is_of_seeds_that_have_them_all() -> None:
    """Means over different tasks are no two numbers of one thing."""
    table = score_table(
        made(
            {
                "BC": {TASK: [10, 20, 30], OTHER: [50, 70, 60]},
                "DT": {TASK: [10, 20, 30], OTHER: [50]},
                "TT": {TASK: [1]},
            }
        )
    )
    block = over_tasks(table)
    means = [30.0, 45.0, 45.0]
    assert row(block, "BC")[0] == f"{fmean(means):.1f} ± {stdev(means):.1f}"
    assert row(block, "DT")[::2] == ("30.0", "1") and row(block, "TT") == ("-", "-", "-")
    assert "IQM" not in " ".join(block.head if block else ())
    assert "need 5 seeds" in " ".join(block.notes if block else ())
    (*_, last) = row(differences(table), "BC - DT")
    assert last == "-", "one common seed is no spread"


def test_from_five_seeds_runs_are_summed_up() -> None:
    """By hand; and each interval holds its value."""
    scores = [[0.0, 10, 20, 30, 40], [50.0, 60, 70, 80, 150]]
    table = score_table(made({"BC": {TASK: scores[0], OTHER: scores[1]}}))
    cells = dict(zip(over_tasks(table).head, ("BC", *row(over_tasks(table), "BC")), strict=True))  # type: ignore[union-attr]
    runs = sorted(scores[0] + scores[1])
    expected = {
        "IQM": fmean(runs[2:8]),
        "median": (20 + 82) / 2,
        "optimality gap": 100 - fmean([*runs[:9], 100]),
    }
    for kind, value in expected.items():
        found = re.fullmatch(r"(\S+) \[(\S+), (\S+)\]", cells[kind])
        assert found, cells
        assert float(found[1]) == pytest.approx(value, abs=0.05)
        assert float(found[2]) <= value <= float(found[3])
    notes = " ".join(over_tasks(table).notes)  # type: ignore[union-attr]
    for kind in ("IQM", "median", "optimality gap"):
        assert re.search(rf"{kind}: Stratified bootstrap.* of 5 seeds of 2 tasks", notes)


def test_probability_of_improvement() -> None:
    """All of DT's runs beat all of BC's; TT has too few seeds to say."""
    five, better = [1.0, 2, 3, 4, 5], [11.0, 12, 13, 14, 15]
    table = score_table(
        made({"BC": {TASK: five}, "DT": {TASK: better}, "TT": {TASK: [1, 2, 3, 4]}})
    )
    block = improvements(table)
    assert block is not None and [cells[0] for cells in block.rows] == ["BC > DT"]
    assert row(block, "BC > DT") == ("0.00 [0.00, 0.00]",)
    assert "An interval of no width" in block.notes[-1]
    near = improvements(score_table(made({"BC": {TASK: five}, "DT": {TASK: five[::-1]}})))
    assert near is not None and "no width" not in " ".join(near.notes)


def test_n_stands_in_the_cells_where_it_differs() -> None:
    """A mean of one seed beside means of three looks like them."""
    table = score_table(made({"BC": {TASK: [10, 20, 30]}, "DT": {TASK: [10]}}))
    block = blocks_of(table)[0]
    assert row(block, "BC") == ("20.0 ± 10.0 (3)",)
    assert row(block, "DT") == ("10.0 (1), missing (2 of 3)",)
    alike = blocks_of(score_table(made({"BC": {TASK: [10, 20, 30]}})))[0]
    assert row(alike, "BC") == ("20.0 ± 10.0",) and "n = 3 seeds in each" in alike.notes[0]
