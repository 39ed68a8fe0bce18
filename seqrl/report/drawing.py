"""Small charts as SVG inside a page: bars with points, lines with markers, strips of points.

They are drawn for a phone's width and never made smaller, so that their text stays legible; a wider
page shows several side by side. Colours are classes that the page's style sheet knows. Numbers are
rounded, so that equal values give equal bytes on every machine.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from seqrl.report.html import Markup, tag, together

Place = tuple[float, float]

WIDTH, HEIGHT = 340, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 24, 38
ROW = 42
"""Height of a bar with its name above it."""
LETTERS = 46
"""So many fit into a row: a name and its number."""
SIDE = 12
DIGIT = 7.2
"""So wide is a digit at most, of the 12 px that the style sheet says."""
SPREAD = 11
"""Points of a row are set apart, so that equal ones are seen."""
STRIP = 120, 14
STROKES = [f"M{tenth / 10} 2v{STRIP[1] - 4}" for tenth in range(10, 10 * (STRIP[0] - 1) + 1)]
"""What a stroke may be, a tenth apart: there are hundreds of thousands on a page."""

MARKERS = (
    "m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0z",
    "m-3-3h6v6h-6z",
    "m0-4l3.8 6.6h-7.6z",
    "m0-4.2l4.2 4.2l-4.2 4.2l-4.2-4.2z",
    "m0 4l3.8-6.6h-7.6z",
    "m-1.3-4h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z",
)
"""Circle, square, triangle, diamond, triangle upside down, cross: around the pen, which each leaves
where it was."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a chart of bars or of points."""

    name: str
    style: int
    """Which colour and marker; they come again after the last."""
    values: Sequence[float]
    """Its points."""
    said: str
    """The number that is written beside its name."""
    bar: float | None = None
    """How far a bar goes from zero."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Points of one colour and marker."""

    style: int
    places: Sequence[Place]
    drawn: Literal["thin", "with markers", "markers"]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What is drawn along one side."""

    title: str
    logarithmic: bool = False
    """Only of what is above zero."""
    also: Sequence[float] = ()
    """Numbers that it must reach, though no point is there."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a chart: from a value to its place."""

    low: float
    high: float
    start: float
    end: float
    """Places of the lowest and of the highest value."""
    ticks: tuple[tuple[float, str], ...]
    """Where something is written, and what."""
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        if self.logarithmic:
            low, high, value = math.log10(self.low), math.log10(self.high), math.log10(value)
        else:
            low, high = self.low, self.high
        half = high / 2 - low / 2  # large ones cannot be subtracted whole
        return self.start + (value / 2 - low / 2) / half * (self.end - self.start)


# ---- charts --------------------------------------------------------------------------------------


def rows(title: str, found: Sequence[Row], axis: Axis, mark: float | None = None) -> Markup:
    """Draw rows: a name, bars from zero, points on them; and a dashed line at `mark`."""
    bars = [row.bar for row in found if row.bar is not None]
    values = [*(value for row in found for value in row.values), *bars, *axis.also]
    values += ([0.0] if bars else []) + ([] if mark is None else [mark])
    bottom = ROW * len(found)
    across = _side(values, axis, SIDE, WIDTH - SIDE)
    bands = tuple((top + 20.0, top + ROW - 2.0) for top in range(0, ROW * len(found), ROW))
    drawn = [_grid_across(across, bands)]  # behind the bars, not behind names
    if mark is not None:
        drawn += [_dashed((across(mark), top), (across(mark), end)) for top, end in bands]
    drawn += [_row(row, ROW * number, across) for number, row in enumerate(found)]
    drawn.append(_word(axis.title, WIDTH / 2, bottom + 32, "middle"))
    told = "; ".join(f"{row.name}: {row.said}" for row in found)
    return _svg(title, told, bottom + 38, *drawn)


def _row(row: Row, top: float, across: Side) -> Markup:
    middle = top + 29
    drawn = [
        _word(_short(row.name, LETTERS - len(row.said)), SIDE, top + 15, "start", "name"),
        _word(row.said, WIDTH - SIDE, top + 15, "end", "name"),
    ]
    if row.bar is not None:
        start, end = sorted((across(0.0), across(row.bar)))
        place = {"x": _number(start), "y": _number(middle - 6), "width": _number(end - start)}
        drawn.append(tag("rect", class_="bar", **place, height=12))
    count = len(row.values)
    heights = [middle + SPREAD * ((n + 0.5) / count - 0.5) for n in range(count)]
    drawn.append(_marks(row.style, zip(map(across, row.values), heights, strict=True)))
    return tag("g", *drawn, class_=_style(row.style))


def lines(
    title: str,
    told: str,
    found: Sequence[Line],
    across: Axis,
    up: Axis,
    dashed: Sequence[tuple[Place, Place]] = (),
    mark: float | None = None,
) -> Markup:
    """Draw lines and points; dashed lines between places, and all across at `mark`. `told` is for
    whoever cannot see it."""
    marks = [] if mark is None else [mark]
    ends = [place for both in dashed for place in both]
    places = [*(place for line in found for place in line.places), *ends]
    to_x = _side([*(x for x, _ in places), *across.also], across, LEFT, WIDTH - RIGHT)
    heights = [*(y for _, y in places), *marks, *up.also]
    to_y = _side(heights, up, HEIGHT - BOTTOM, TOP)
    drawn = [_grid_across(to_x, ((TOP, HEIGHT - BOTTOM),)), _grid_up(to_y)]
    drawn.append(_word(up.title, 0, 13, "start"))
    drawn.append(_word(across.title, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, "middle"))
    drawn += [_dashed(*((to_x(x), to_y(y)) for x, y in both)) for both in dashed]
    drawn += [_dashed((LEFT, to_y(y)), (WIDTH - RIGHT, to_y(y))) for y in marks]
    for line in found:
        drawn.append(_line(line, [(to_x(x), to_y(y)) for x, y in line.places]))
    return _svg(title, told, HEIGHT, *drawn)


def _line(line: Line, places: Sequence[Place]) -> Markup:
    drawn = []
    if line.drawn != "markers" and len(places) > 1:
        steps = "L".join(f"{_number(x)} {_number(y)}" for x, y in places)
        kind = "line thin" if line.drawn == "thin" else "line"
        drawn.append(tag("path", class_=kind, d=f"M{steps}"))
    if line.drawn != "thin":
        drawn.append(_marks(line.style, places))
    return tag("g", *drawn, class_=_style(line.style))


def strip(values: Sequence[float], low: float, high: float) -> Markup:
    """Draw many values as thin strokes on one line, from `low` to `high`."""
    factor = (len(STROKES) - 1) / (high - low) if high > low else 0.0
    strokes = "".join([STROKES[int((value - low) * factor + 0.5)] for value in values])
    before, after = _around_strokes()
    return Markup(f"{before}{strokes}{after}")


@cache
def _around_strokes() -> tuple[str, str]:
    """Return what stands around the strokes of every strip."""
    width, height = STRIP
    strip = tag(
        "svg", tag("path", d="strokes"), class_="strip", viewBox=f"0 0 {width} {height}",
        width=width, height=height, aria_hidden="true",
    )  # fmt: skip
    before, _, after = strip.source.partition("strokes")
    return before, after


def swatch(style: int) -> Markup:
    """Draw the marker of a legend."""
    return tag(
        "svg", _marks(style, [(7.0, 7.0)]), class_=f"swatch {_style(style)}", viewBox="1 1 12 12",
        width=16, height=16, aria_hidden="true",
    )  # fmt: skip


# ---- parts ---------------------------------------------------------------------------------------


def _svg(title: str, told: str, height: float, *drawn: Markup) -> Markup:
    return tag(
        "svg", tag("title", title), tag("desc", told), *drawn, role="img",
        viewBox=f"0 0 {WIDTH} {height}", width=WIDTH, height=height,
    )  # fmt: skip


def _style(number: int) -> str:
    return f"c{number % len(MARKERS)}"


def _marks(style: int, places: Iterable[Place]) -> Markup:
    # The colours come again with the next marker, so that 36 agents can be told apart.
    marker = MARKERS[(style + style // len(MARKERS)) % len(MARKERS)]
    return tag(
        "path", class_="marks", d="".join(f"M{_number(x)} {_number(y)}{marker}" for x, y in places)
    )


def _dashed(start: Place, end: Place) -> Markup:
    ends = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
    return tag("line", class_="mark", **{key: _number(value) for key, value in ends.items()})


def _word(text: str, x: float, y: float, anchor: str, kind: str | None = None) -> Markup:
    return tag("text", text, x=_number(x), y=_number(y), text_anchor=anchor, class_=kind)


@lru_cache(1024)
def _grid_across(across: Side, bands: Sequence[tuple[float, float]]) -> Markup:
    path = "".join(
        f"M{_number(across(tick))} {_number(top)}V{_number(bottom)}"
        for tick, _ in across.ticks
        for top, bottom in bands
    )
    words = []
    for tick, said in across.ticks:
        half = len(said) * DIGIT / 2  # no number may be cut off at the chart's end
        place = min(max(across(tick), half), WIDTH - half)
        words.append(_word(said, place, bands[-1][1] + 15, "middle"))
    return together(tag("path", class_="grid", d=path), *words)


@lru_cache(1024)
def _grid_up(up: Side) -> Markup:
    path = "".join(f"M{LEFT} {_number(up(tick))}H{WIDTH - RIGHT}" for tick, _ in up.ticks)
    words = [_word(said, LEFT - 5, up(tick) + 4, "end") for tick, said in up.ticks]
    return together(tag("path", class_="grid", d=path), *words)


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"


# ---- numbers -------------------------------------------------------------------------------------


def _side(values: Sequence[float], axis: Axis, start: float, end: float) -> Side:
    """Return a side on which all values have a place."""
    if axis.logarithmic:
        steps = _decades(values)
        ticks = tuple((step, f"{step:,.6g}") for step in steps)
        low, high = steps[0], steps[-1]
    else:
        low, high = _ends(values)
        ticks = _ticks(low, high)
    return Side(low=low, high=high, start=start, end=end, ticks=ticks, logarithmic=axis.logarithmic)


def _decades(values: Sequence[float]) -> list[float]:
    least, most = min(values), max(values)
    assert least > 0, "a logarithm of what is not above zero"
    low, high = math.log10(least), math.log10(most)
    several = (1, 2, 5) if high - low < 1.5 else (1,)
    steps = [
        factor * 10.0**power
        for power in range(math.floor(low + 1e-9), math.ceil(high - 1e-9) + 1)
        for factor in several
    ]
    first = max(i for i, step in enumerate(steps) if step <= least * (1 + 1e-9))
    last = min(i for i, step in enumerate(steps) if step >= most * (1 - 1e-9))
    found = steps[first : last + 1]
    return found if len(found) > 1 else [found[0] / 2, found[0], found[0] * 2]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return round numbers around all values."""
    low, high = min(values), max(values)
    size = max(abs(low), abs(high), 1e-9)
    if high - low <= size * 1e-9:
        low, high = low - size / 10, high + size / 10
    step = _step(low, high)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def _step(low: float, high: float) -> float:
    """Return the 1, 2 or 5 that makes a handful of ticks of it."""
    rough = high / 5 - low / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next(m for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))


def _ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    step = _step(low, high)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    kind = f",.{decimals}f" if max(-low, high) < 1e6 and decimals < 5 else ".3g"
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return tuple((number * step, f"{number * step:{kind}}") for number in numbers)


def _number(value: float) -> str:
    """Write a place: to a tenth, without a zero behind the point or a minus before a zero."""
    return f"{value:z.1f}".removesuffix(".0")
