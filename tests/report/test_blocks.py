"""What a report says in words: intervals, differences, sums over tasks; and what it must not."""

import re
from statistics import fmean, stdev

import pytest

from seqrl.report.blocks import Block, blocks_of, differences, improvements, intervals, over_tasks
from seqrl.report.coverage import coverage_of
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
    assert intervals(score_table(made({"BC": {TASK: eleven}}))) is None
    said = " ".join(intervals(score_table(made({"BC": {TASK: eleven[:3]}}))).notes)  # type: ignore[union-attr]
    known = coverage_of("t", 3)
    assert known is not None
    assert f"of 3 seeds it held the truth in {100 * known.normal:.0f}% on normal data" in said
    assert f"{100 * known.real:.0f}% on real runs" in said


def test_differences_are_paired_by_seed() -> None:
    """Two agents whose seeds move alike differ surely, though each by itself varies widely."""
    table = score_table(made({"DT": {TASK: [11, 52, 93]}, "BC": {TASK: [10, 50, 90]}}))
    (cell,) = row(differences(table), "BC - DT")
    assert cell.startswith("-2.0 ± 1.0 [-4.5, 0.5]")


def test_other_episodes_are_no_pairs() -> None:
    """Seed 0 of a run that played other episodes has nothing to do with seed 0 of this one."""
    records = made({"DT": {TASK: [11, 52, 93]}, "BC": {TASK: [10, 50, 90]}})
    for record in records[:2]:
        record.evaluations[0]["episodes"][0]["seed"] = 99
    assert differences(score_table(records)) is None
    records[0].evaluations[0]["episodes"][0]["seed"] = 0
    assert row(differences(score_table(records)), "BC - DT") == ("-2.0 ± 1.4",)


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


def test_n_stands_in_the_cells_where_it_differs() -> None:
    """A mean of one seed beside means of three looks like them."""
    table = score_table(made({"BC": {TASK: [10, 20, 30]}, "DT": {TASK: [10]}}))
    block = blocks_of(table)[0]
    assert row(block, "BC") == ("20.0 ± 10.0 (3)",)
    assert row(block, "DT") == ("10.0 (1), missing (2 of 3)",)
    alike = blocks_of(score_table(made({"BC": {TASK: [10, 20, 30]}})))[0]
    assert row(alike, "BC") == ("20.0 ± 10.0",) and "n = 3 seeds in each" in alike.notes[0]
