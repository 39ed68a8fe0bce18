"""What figures show is what the records say."""

import random
from dataclasses import replace

import pytest

from seqrl.report.scores import profile
from seqrl.report.series import THRESHOLDS, all_series, profiles
from seqrl.report.tables import score_table
from seqrl.runs.record import RunRecord
from tests.report.test_blocks import OTHER, made
from tests.runs.recorded import TASK, evaluated, recorded


def several() -> list[RunRecord]:
    asks = {"target_rule": "given", "target_return": 70.0}
    twice = evaluated([[10, 20], [30, 50]], name="DT", seed=1, facts=asks)
    for one, seconds in zip(twice.evaluations, (3.0, 6.0), strict=True):
        one.update(seconds=seconds)  # type: ignore[attr-defined]
        for episode, length in zip(one["episodes"], (100, 200), strict=True):
            episode["length"] = length
    return [recorded([40]), twice, recorded(seed=3, name="failed")]


def test_values_by_hand() -> None:
    """A curve of returns with a score's name, or the first evaluation's score as the last's."""
    found = {series.name: series for series in all_series(several())}
    assert [(p.agent, p.seed, p.y) for p in found["scores"].points] == [
        ("BC", 0, 20),
        ("DT", 1, 20),
    ]
    updates = several()[1].agent["training"]["updates"]
    assert [(p.x, p.y) for p in found["learning-curves"].points] == [
        (updates / 2, 7.5),
        (updates, 20.0),
    ]
    budget = [(p.agent, p.x, p.y) for p in found["score-by-budget"].points]
    assert budget == [("BC", 120, 20), ("DT", 60, 7.5), ("DT", 120, 20)]
    assert [(p.x, p.y) for p in found["asked-achieved"].points] == [(70, 40)]
    assert [(p.agent, p.y) for p in found["seconds-per-decision"].points] == [("DT", 0.02)]


def test_profiles_by_hand() -> None:
    """The share of all runs above each score: of 8, 9, 10, 40, 60, four fifths are above 8."""
    table = score_table(made({"BC": {TASK: [8.0, 9, 10, 40, 60]}}))
    shares = {point.above: point.share for point in profiles(table)}
    assert [shares[above] for above in (0, 4, 8, 12, 40, 60)] == [1, 1, 0.8, 0.4, 0.2, 0]


def test_order_of_reading_changes_nothing() -> None:
    """The files behind the figures are compared byte for byte."""
    records = several()
    expected = all_series(records)
    random.Random(1).shuffle(records)
    assert all_series(records) == expected


def test_of_failed_runs_alone_nothing_else_is_said() -> None:
    """That an agent asks for no return is not the reason, and may not be true."""
    asks = {"target_rule": "given", "target_return": 70.0}
    assert {one.why_empty for one in all_series([recorded(facts=asks)])} == {"no run is done"}


def test_what_was_interrupted_has_no_time() -> None:
    """Of an evaluation that was killed in between nobody knows how long it took."""
    records = [several()[1]]
    for one in records[0].evaluations:
        one.update(seconds=None)  # type: ignore[attr-defined]
    (seconds,) = [s for s in all_series(records) if s.name == "seconds-per-decision"]
    assert not seconds.points and "interrupted" in seconds.why_empty


@pytest.mark.parametrize("lost", [0, 1])
def test_without_all_lengths_a_decision_has_no_time(lost: int) -> None:
    """Seconds of all episodes over the steps of some would be too many."""
    record = recorded([40, 50])
    episodes = [{**one, "length": 6} for one in record.evaluations[0]["episodes"]]
    whole = replace(record, evaluations=[{**record.evaluations[0], "episodes": episodes}])
    assert all_series([whole])[-1].points[0].y == 60 / 12
    for unknown in ({}, {"length": None}):
        some = [*episodes]
        some[lost] = {**record.evaluations[0]["episodes"][lost], **unknown}
        half = replace(record, evaluations=[{**record.evaluations[0], "episodes": some}])
        assert not all_series([half])[-1].points


def test_without_reference_it_is_the_return() -> None:
    """There is no score to show; nor of others on the same task, which stand beside it."""
    scored, failed = recorded([60, 70], name="DT"), recorded(reference=None)
    for records, expected in (
        ([recorded([40, 50], reference=None), scored], {"BC": 45, "DT": 65}),
        ([failed, scored], {"DT": 65}),
    ):
        table = score_table(records, mixed={"environment"})
        for series in all_series(records):
            if series.y != "score":
                assert series.unit(TASK, table) == series.y
                continue
            assert series.unit(TASK, table) == "return"
            assert not series.points or {p.agent: p.y for p in series.points} == expected


def test_profiles_need_five_seeds() -> None:
    """Shares of six runs are steps of a sixth."""
    few = {"BC": {TASK: [1.0, 2, 3], OTHER: [5.0, 6, 7]}}
    assert profiles(score_table(made(few))) == []
    many = {"BC": {TASK: [1.0, 20, 30, 40, 50], OTHER: [5.0, 60, 70, 80, 90]}}
    table = score_table(made(many))
    found = profiles(table)
    runs = table.on_all["BC"]
    assert [p.share for p in found] == pytest.approx(profile(runs, THRESHOLDS).tolist())
    for point in found:
        assert point.interval is not None
        assert point.interval.low - 1e-9 <= point.share <= point.interval.high + 1e-9


def test_of_unknown_coverage_there_is_no_band() -> None:
    """Eleven seeds: nobody has tried how often that band holds the truth."""
    eleven = {"BC": {TASK: [float(n) for n in range(11)]}}
    assert {point.interval for point in profiles(score_table(made(eleven)))} == {None}


def test_a_failed_run_is_no_point() -> None:
    """Its score is not zero; it has none."""
    failed = replace(recorded(seed=1), status="failed")
    assert all(
        p.agent == "BC" and p.seed == 0
        for s in all_series([recorded([4]), failed])
        for p in s.points
    )
