"""The same words in every format; and nothing that is in a name can break out of its cell."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import pytest

from seqrl.report.coverage import Kind, coverage_of
from seqrl.report.formats import (
    FORMATS,
    Format,
    as_csv,
    as_markdown,
    profile_as_csv,
    series_as_csv,
    written,
)
from seqrl.report.page import page
from seqrl.report.series import all_series, profiles
from seqrl.report.summary import summary_of
from seqrl.runs.record import RunRecord
from tests.report.test_blocks import OTHER, made
from tests.runs.recorded import TASK, evaluated, recorded

HOSTILE = r"a|b & <script>alert(1)</script> \end{table} 100% $x$ _u_ #1 {y} ~^"


def test_titles_are_full_names() -> None:
    """`hopper-medium` may be one of three data sets with three different meanings of 100."""
    summary = summary_of(made({"BC": {TASK: [1], OTHER: [2]}}))
    assert written(summary, "md").startswith(f"# Scores on {TASK}, {OTHER}\n")
    assert json.loads(written(summary, "json"))["title"] == f"Scores on {TASK}, {OTHER}"
    assert f"Scores on {TASK}, {OTHER}." in written(summary, "latex")


def test_markdown_is_a_table() -> None:
    """GitHub shows it as one only if a rule stands under its head and blank lines around it."""
    text = written(summary_of(made({"BC": {TASK: [10, 20, 30]}})), "md")
    assert f"\n\n| agent | {TASK} |\n| --- | ---: |\n| BC | 20.0 ± 10.0 |\n" in text
    assert "- Protocol 2; seqrl" in text


def test_csv_rows_carry_what_their_numbers_need() -> None:
    """A row that has been copied elsewhere still says what it is of."""
    records = made({"BC": {TASK: [10, 20, 30]}})
    rows = [*csv.DictReader(io.StringIO(written(summary_of(records), "csv")))]
    assert len(rows) == 1
    expected = {
        "task": TASK, "agent": "BC", "mean": "20.0", "sd": "10.0", "n": "3", "seeds": "0 1 2",
        "values": "10.0 20.0 30.0", "environment": "Hopper-v4", "fingerprint": "0123456789abcdef",
        "episodes": "1", "checkpoint_rule": "last", "protocol": "2", "torch": "2.8.0",
        "mujoco": "3.3.0", "gymnasium": "1.2.0", "target_rule": "", "failed": "0", "missing": "0",
        "records": " ".join(record.hash[:8] for record in records),
    }  # fmt: skip
    assert {name: rows[0][name] for name in expected} == expected
    assert float(rows[0]["low"]) < 20 < float(rows[0]["high"])


def test_json_has_all_numbers() -> None:
    """A program must not read them out of words."""
    scores = {"BC": {TASK: [1, 2, 3, 4, 5]}, "DT": {TASK: [6, 7, 8, 9, 9]}}
    content = json.loads(written(summary_of(made(scores)), "json"))  # type: ignore[arg-type]
    assert content["cells"][0]["values"] == {"0": 1.0, "1": 2.0, "2": 3.0, "3": 4.0, "4": 5.0}
    assert content["differences"][0]["mean"] == pytest.approx(-4.8)
    assert content["over_tasks"][1]["aggregates"]["IQM"]["value"] == pytest.approx(8.0)
    assert content["improvement"][0]["value"] == 0.0


def test_intervals_for_programs_say_how_often_they_hold() -> None:
    """Each with its own figures: of its kind, seeds and tasks; on real runs the least of them."""
    two = {TASK: [1.0, 2, 3, 4, 6], OTHER: [2.0, 4, 6, 8, 9]}
    summary = summary_of(
        made({"BC": two, "DT": {TASK: [6.0, 7, 8, 9, 9], OTHER: [3.0, 3, 3, 4, 5]}})
    )
    content = json.loads(written(summary, "json"))
    cells = [*csv.DictReader(io.StringIO(written(summary, "csv")))]
    (over, *_) = content["over_tasks"]
    points = profiles(summary.table)
    found: list[tuple[Kind, int, Mapping[str, Any]]] = [
        ("t", 1, cells[0]),
        ("t", 1, content["cells"][0]),
        ("paired t", 1, content["differences"][0]),
        ("t", 2, over),
        ("IQM", 2, over["aggregates"]["IQM"]),
        ("median", 2, over["aggregates"]["median"]),
        ("improvement", 2, content["improvement"][0]),
        ("profile", 2, next(csv.DictReader(io.StringIO(profile_as_csv(points, summary))))),
    ]
    for kind, tasks, row in found:
        known = coverage_of(kind, 5, tasks)
        assert known is not None and float(row["low"]) <= float(row["high"])
        held = float(row["held_on_normal_data"]), float(row["held_on_real_runs"])
        assert held == (known.normal, known.least), kind


@pytest.mark.parametrize("format_", FORMATS)
def test_names_stay_in_their_cells(format_: Format) -> None:
    """A name with a bar moves all columns; one with markup runs wherever the table is pasted."""
    text = written(summary_of([recorded([1], name=HOSTILE)]), format_)
    if format_ == "md":
        line = next(line for line in text.splitlines() if line.startswith("| a"))
        assert line.replace(r"\|", "").count("|") == 3 and "<script" not in text
    elif format_ == "latex":
        assert text.count(r"\end{table}") == text.count(r"\begin{table}")
        assert r"\&" in text and r"100\% \$x\$ \_u\_ \#1 \{y\}" in text
    elif format_ == "csv":
        assert next(csv.DictReader(io.StringIO(text)))["agent"] == HOSTILE
    else:
        assert json.loads(text)["cells"][0]["agent"] == HOSTILE


def test_figures_numbers_are_the_points() -> None:
    """Beside each stands what the run is of, and does not take the place of the point's own."""
    facts = {"target_rule": "given", "target_return": 90.0}
    summary = summary_of([evaluated([[20], [40]], facts=facts)])
    shown = [series for series in all_series(summary.records) if series.points]
    written = series_as_csv(shown, summary)
    found = {name: [*csv.DictReader(io.StringIO(text))] for name, text in written.items()}
    curve = found["learning-curves"]
    assert [(row["updates"], row["score"]) for row in curve] == [
        ("50000", "10.0"),
        ("100000", "20.0"),
    ]
    assert curve[0]["run_updates"] == "100000" and curve[0]["unit"] == "score"
    assert curve[0]["checkpoint_rule"] == "each that was evaluated"
    (asked,) = found["asked-achieved"]
    assert (asked["return_asked_for"], asked["return_achieved"]) == ("90.0", "40.0")
    assert "unit" not in asked and asked["checkpoint_rule"] == "last"
    assert [row["seconds_of_training"] for row in found["score-by-budget"]] == ["60.0", "120.0"]


def test_markdown_shows_letters_as_letters() -> None:
    """A name is no emphasis, no link and no picture; what a terminal would obey is seen."""
    names = ["_DT_", "__x__", "![i](http://a/b.png)", "~~gone~~", "red\x1b[31m", "turned\u202e"]
    shown = as_markdown(summary_of([recorded([1], name=name) for name in names]))
    for expected in (r"\_DT\_", r"\_\_x\_\_", r"![i]\(http", r"\~\~gone", r"\\x1b[31m", r"\\u202e"):
        assert expected in shown
    rows = as_csv(summary_of([recorded([1], name=name) for name in names]))
    for text in (shown, rows):
        assert "\x1b" not in text and "\u202e" not in text
    assert "best_in_data" in as_markdown(
        summary_of([recorded([1], facts={"target_rule": "best_in_data"})])
    )


@pytest.mark.parametrize("format_", FORMATS)
def test_the_order_of_keys_changes_nothing(format_: Format) -> None:
    """Other programs write the same record in another order; it is of no other kind for that."""
    facts = {"window_rule": "full", "plans": "1 step", "beams": 4}
    records = [evaluated([[20], [40 + seed]], seed=seed, facts=facts) for seed in range(2)]
    others = [RunRecord(**json.loads(json.dumps(vars(r), sort_keys=True))) for r in records]
    for mixed in (others, [records[0], others[1]]):
        assert written(summary_of(mixed), format_) == written(summary_of(records), format_)
        assert page(summary_of(mixed)) == page(summary_of(records))


def test_nothing_that_failed_hides() -> None:
    """A sweep half of which failed makes a table all the same, and every format says it."""
    summary = summary_of([recorded([40]), recorded(seed=1), recorded(seed=0, name="DT")])
    assert "failed (1 of 2)" in written(summary, "md") and "failed (1 of 2)" in written(
        summary, "latex"
    )
    rows = [*csv.DictReader(io.StringIO(written(summary, "csv")))]
    assert [(r["agent"], r["n"], r["failed"], r["missing"]) for r in rows] == [
        ("BC", "1", "1", "0"),
        ("DT", "0", "1", "1"),
    ]
    assert rows[1]["mean"] == ""
