"""The page's own small charts."""

import xml.etree.ElementTree as ET

import pytest

from seqrl.report.drawing import HEIGHT, MARKERS, WIDTH, Axis, Line, Row, lines, rows, strip


def test_bars_are_as_long_as_their_values() -> None:
    """From zero, also below it."""
    found = [
        Row(name="a", style=0, values=[10, 30], said="20", bar=20),
        Row(name="b", style=1, values=[-10], said="-10", bar=-10),
    ]
    root = ET.fromstring(rows("title", found, Axis(title="score"), mark=40).source)
    first, second = [one for one in root.iter("rect") if one.get("class") == "bar"]
    assert float(first.get("width", 0)) == pytest.approx(2 * float(second.get("width", 0)), abs=0.2)
    right = float(second.get("x", 0)) + float(second.get("width", 0))
    assert right == pytest.approx(float(first.get("x", 0)), abs=0.2), "both begin at zero"
    assert root.findtext("title") == "title" and root.findtext("desc") == "a: 20; b: -10"


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize(
    "places",
    [[(1.0, 5.0)], [(3.0, 3.0), (3.0, 3.0)], [(1e-5, 1.0), (1e6, 2.0)], [(1.0, -5.0), (2.0, 1e4)]],
)
def test_everything_lies_within(places: list[tuple[float, float]], logarithmic: bool) -> None:
    """One point, equal points, ten powers of ten: no division by nothing, nothing outside."""
    made = lines(
        "t",
        "d",
        [Line(style=7, places=places, drawn="with markers")],
        Axis(title="x", logarithmic=logarithmic),
        Axis(title="y"),
    )
    root = ET.fromstring(made.source)
    assert "nan" not in made.source and "inf" not in made.source
    for polyline in root.iter("polyline"):
        for pair in polyline.get("points", "").split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT


def test_agents_look_different() -> None:
    """The seventh has the first's colour; it must not have its marker too."""
    looks = set()
    for style in range(len(MARKERS) ** 2):
        line = Line(style=style, places=[(1, 1)], drawn="markers")
        looks.add(lines("t", "d", [line], Axis(title="x"), Axis(title="y")).source)
    assert len(looks) == len(MARKERS) ** 2


def test_a_strip_has_a_stroke_for_each_value() -> None:
    """Every episode is seen."""
    source = strip([1, 2, 3, 3], 1, 3).source
    assert source.count("M") == 4 and "nan" not in strip([2, 2], 2, 2).source
