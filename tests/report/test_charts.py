"""Figures show the numbers of their series, under the names as they are."""

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from seqrl.report.charts import chart, literal, picture, profile_chart
from seqrl.report.series import all_series, profiles
from seqrl.report.summary import summary_of
from seqrl.runs.record import RunRecord
from tests.report.test_blocks import OTHER, made
from tests.runs.recorded import TASK, evaluated

SCORES = {"BC": {TASK: [10.0, 20, 30], OTHER: [1.0, 2, 3]}, "DT": {TASK: [40.0]}}
STRANGE = ["$x^2$", "_hidden", "<script>", "a & b", "Ünïcode"]


def heights(line: Any) -> list[float]:
    return [float(value) for value in line.get_ydata()]


def drawn(records: list[RunRecord], name: str = "scores") -> Figure:
    summary = summary_of(records)
    (series,) = [one for one in all_series(summary.records) if one.name == name]
    return chart(series, summary.table, summary.caption)


def test_bars_are_means_and_points_are_seeds() -> None:
    """A bar of the last seed, or a panel under another's name, looks as good as a right one."""
    figure = drawn(made(SCORES))
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert set(panels) == {TASK, OTHER}
    assert [bar.get_height() for bar in panels[TASK].patches] == [20, 40]  # type: ignore[attr-defined]
    assert [bar.get_height() for bar in panels[OTHER].patches] == [2]  # type: ignore[attr-defined]
    points = [heights(line) for line in panels[TASK].lines]
    assert [10, 20, 30] in points and [40] in points
    (whisker,) = panels[TASK].collections
    ((_, low), (_, high)), *_ = whisker.get_segments()  # type: ignore[attr-defined]
    assert (low, high) == pytest.approx((10, 30)), "one deviation, n-1, to either side"


def test_the_caption_stands_under_it() -> None:
    """A figure is pasted elsewhere without what stood around it."""
    figure = drawn(made(SCORES))
    said = " ".join(figure.get_supxlabel().split())
    assert "mujoco 3.3.0." in said and f"{TASK} (embedded, not D4RL's;" in said


def test_curves_are_of_each_seed_and_their_mean() -> None:
    """The thick line is the mean where each seed has a point."""
    runs = [evaluated([[20], [40]], seed=0), evaluated([[40], [80]], seed=1)]
    (axes,) = drawn(runs, "learning-curves").axes
    seeds, mean = heights(axes.lines[0]), heights(axes.lines[1])
    assert str(seeds) == "[10.0, 20.0, nan, 20.0, 40.0, nan]", "a gap keeps two seeds apart"
    assert mean == [15, 30]


@pytest.mark.parametrize("name", STRANGE)
def test_names_are_drawn_as_they_are(name: str) -> None:
    """matplotlib takes $ for a formula, hides what begins with _, and SVG is markup."""
    figure = drawn(made({name: {TASK: [1.0, 2]}}))
    (legend,) = figure.legends
    assert name.replace("$", r"\$") in legend.get_texts()[0].get_text()
    ET.fromstring(picture(figure, "svg", name))
    assert picture(figure, "png", "caption").startswith(b"\x89PNG")
    assert literal("a\nb") == "a b"


def test_equal_figures_give_equal_files() -> None:
    """A file that holds the time of day is another one with every run."""
    first, second = (picture(drawn(made(SCORES)), "svg", "caption") for _ in range(2))
    assert first == second


def test_profiles_are_drawn() -> None:
    """One line an agent, from all runs above nothing to none."""
    many = {"BC": {TASK: [1.0, 20, 30, 40, 50], OTHER: [5.0, 60, 70, 80, 90]}}
    summary = summary_of(made(many))
    points = profiles(summary.table)
    (axes,) = profile_chart(points, summary.table, summary.caption).axes
    assert heights(axes.lines[0]) == [point.share for point in points]
    (band,) = axes.collections
    edge: Any = band.get_paths()[0].vertices
    drawn_ = {tuple(place) for place in np.round(edge, 9)}
    ends = {(p.above, round(e, 9)) for p in points if (i := p.interval) for e in (i.low, i.high)}
    assert len(ends) > len(points) and ends <= drawn_
    said = " ".join(axes.figure.get_supxlabel().split())
    assert "Bands, at the quartiles of scores: Stratified bootstrap" in said
    assert "of 5 seeds of 2 tasks it held the truth in" in said
