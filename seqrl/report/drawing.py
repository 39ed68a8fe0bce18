"""Small charts as SVG inside a page: bars with points, lines with markers, strips of points.

They are drawn for a phone's width and never made smaller, so that their text stays legible; a wider
page shows several side by side. Colours are classes that the page's style sheet knows. Numbers are
rounded, so that equal values give equal bytes on every machine.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from seqrl.report.html import Markup, tag, together

Point = tuple[float, float]
Where = Callable[[float], float]
"""From a value to its place."""
Ticks = dict[float, str]
"""Where something is written along a side, and what."""

WIDTH, HEIGHT = 340, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 40
ROW = 42
"""Height of a bar with its name above it."""
LETTERS = 34
"""So much of a name fits above a bar, beside its number."""
STRIP = 120, 14

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
class Bar:
    """One row of a bar chart."""

    name: str
    style: int
    """Which colour and marker; they come again after the last."""
    length: float | None
    """Nothing: only the name and what is said."""
    points: Sequence[float]
    said: str
    """The number, as the table has it."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Points of one colour and marker."""

    style: int
    points: Sequence[Point]
    joined: bool = True


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What is drawn along one side."""

    title: str
    logarithmic: bool = False
    zero: bool = False
    """Whether it must show zero."""


# ---- charts --------------------------------------------------------------------------------------


def bars(title: str, rows: Sequence[Bar], axis: str, mark: float | None = None) -> Markup:
    """Draw bars from zero, their points on them, and a dashed line at `mark`."""
    lengths = [row.length for row in rows if row.length is not None]
    values = [0.0, *lengths, *(p for row in rows for p in row.points)]
    low, high = _ends([*values, *([] if mark is None else [mark])])
    bottom = TOP + ROW * len(rows)
    across = _scale(low, high, 8, WIDTH - 14)
    drawn = [_grid_across(across, _ticks(low, high), bottom)]
    for number, row in enumerate(rows):
        drawn.append(_bar(row, TOP + ROW * number, across))
    if mark is not None:
        x = _number(across(mark))
        drawn.append(tag("line", class_="mark", x1=x, x2=x, y1=TOP, y2=bottom))
    drawn.append(_word(axis, WIDTH / 2, bottom + 32, "middle"))
    told = "; ".join(f"{row.name}: {row.said}" for row in rows)
    return _svg(title, told, WIDTH, bottom + 38, *drawn)


def _bar(row: Bar, top: float, across: Where) -> Markup:
    middle = top + 27
    drawn = [
        _word(_short(row.name, LETTERS), 8, top + 14, "start", "name"),
        _word(row.said, WIDTH - 14, top + 14, "end", "name"),
    ]
    if row.length is not None:
        start, end = sorted((across(0.0), across(row.length)))
        drawn.append(
            tag(
                "rect", class_="bar", x=_number(start), y=_number(middle - 6), height=12,
                width=_number(end - start),
            )
        )  # fmt: skip
    drawn.append(_marks(row.style, [(across(point), middle) for point in row.points]))
    return tag("g", *drawn, class_=_style(row.style))


def lines(
    title: str, told: str, found: Sequence[Line], across: Axis, up: Axis, *, equal: bool = False,
    marks: Sequence[float] = (),
) -> Markup:  # fmt: skip
    """Draw lines or single points; dashed, where both sides are equal, and at the height of
    `marks`. `told` is for whoever cannot see it."""
    points = [point for line in found for point in line.points]
    to_x, x_ticks = _side([x for x, _ in points], across, LEFT, WIDTH - RIGHT)
    to_y, y_ticks = _side([*(y for _, y in points), *marks], up, HEIGHT - BOTTOM, TOP)
    drawn = [_grid_across(to_x, x_ticks, HEIGHT - BOTTOM), _grid_up(to_y, y_ticks)]
    drawn += [_word(across.title, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "middle")]
    drawn += [_dashed((LEFT, to_y(mark)), (WIDTH - RIGHT, to_y(mark))) for mark in marks]
    if equal:
        low = max(min(x for x, _ in points), min(y for _, y in points))
        high = min(max(x for x, _ in points), max(y for _, y in points))
        if low < high:
            drawn.append(_dashed((to_x(low), to_y(low)), (to_x(high), to_y(high))))
    for line in found:
        placed = [(to_x(x), to_y(y)) for x, y in line.points]
        path = [_path(placed)] if line.joined and len(placed) > 1 else []
        drawn.append(tag("g", *path, _marks(line.style, placed), class_=_style(line.style)))
    return _svg(title, told, WIDTH, HEIGHT, *drawn)


def strip(values: Sequence[float], low: float, high: float) -> Markup:
    """Draw many values as thin strokes on one line, from `low` to `high`."""
    width, height = STRIP
    across = _scale(low, high, 1, width - 1)
    strokes = "".join(f"M{_number(across(value))} 2v{height - 4}" for value in values)
    return tag(
        "svg", tag("path", d=strokes), class_="strip", viewBox=f"0 0 {width} {height}",
        width=width, height=height, aria_hidden="true",
    )  # fmt: skip


def swatch(style: int) -> Markup:
    """Draw the marker of a legend."""
    return tag(
        "svg", _marks(style, [(7.0, 7.0)]), class_=f"swatch {_style(style)}", viewBox="0 0 14 14",
        width=14, height=14, aria_hidden="true",
    )  # fmt: skip


# ---- parts ---------------------------------------------------------------------------------------


def _svg(title: str, told: str, width: float, height: float, *drawn: Markup) -> Markup:
    return tag(
        "svg", tag("title", title), tag("desc", told), *drawn, role="img",
        viewBox=f"0 0 {width} {height}", width=width, height=height,
    )  # fmt: skip


def _style(number: int) -> str:
    return f"c{number % len(MARKERS)}"


def _marks(style: int, places: Iterable[Point]) -> Markup:
    # The colours come again with the next marker, so that 36 agents can be told apart.
    marker = MARKERS[(style + style // len(MARKERS)) % len(MARKERS)]
    return tag(
        "path", class_="marks", d="".join(f"M{_number(x)} {_number(y)}{marker}" for x, y in places)
    )


def _path(places: Sequence[Point]) -> Markup:
    steps = "L".join(f"{_number(x)} {_number(y)}" for x, y in places)
    return tag("path", class_="line", d=f"M{steps}")


def _dashed(start: Point, end: Point) -> Markup:
    ends = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
    return tag("line", class_="mark", **{key: _number(value) for key, value in ends.items()})


def _word(text: str, x: float, y: float, anchor: str, kind: str | None = None) -> Markup:
    return tag("text", text, x=_number(x), y=_number(y), text_anchor=anchor, class_=kind)


def _grid_across(across: Where, ticks: Ticks, bottom: float) -> Markup:
    path = "".join(f"M{_number(across(tick))} {TOP}V{_number(bottom)}" for tick in ticks)
    words = [_word(said, across(tick), bottom + 15, "middle") for tick, said in ticks.items()]
    return together(tag("path", class_="grid", d=path), *words)


def _grid_up(up: Where, ticks: Ticks) -> Markup:
    path = "".join(f"M{LEFT} {_number(up(tick))}H{WIDTH - RIGHT}" for tick in ticks)
    words = [_word(said, LEFT - 5, up(tick) + 4, "end") for tick, said in ticks.items()]
    return together(tag("path", class_="grid", d=path), *words)


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"


# ---- numbers -------------------------------------------------------------------------------------


def _side(values: Sequence[float], axis: Axis, start: float, end: float) -> tuple[Where, Ticks]:
    """Return where values stand along a side, and what is written there."""
    if axis.logarithmic:
        return _decades(values, start, end)
    low, high = _ends([*values, *([0.0] if axis.zero else [])])
    return _scale(low, high, start, end), _ticks(low, high)


def _decades(values: Sequence[float], start: float, end: float) -> tuple[Where, Ticks]:
    least, most = min(values), max(values)
    assert least > 0, "a logarithm of what is not above zero"
    low, high = math.log10(least), math.log10(most)
    several = (1, 2, 5) if high - low < 2 else (1,)
    steps = [
        factor * 10.0**power
        for power in range(math.floor(low + 1e-9), math.ceil(high - 1e-9) + 1)
        for factor in several
    ]
    first = max(i for i, step in enumerate(steps) if step <= least * (1 + 1e-9))
    last = min(i for i, step in enumerate(steps) if step >= most * (1 - 1e-9))
    ticks = steps[first : last + 1]
    if len(ticks) == 1:
        ticks = [ticks[0] / 2, ticks[0], ticks[0] * 2]
    linear = _scale(math.log10(ticks[0]), math.log10(ticks[-1]), start, end)
    return lambda value: linear(math.log10(value)), {tick: f"{tick:,.6g}" for tick in ticks}


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return round numbers around all values."""
    low, high = min(values), max(values)
    if low == high:
        low, high = low - max(abs(low) * 0.1, 0.5), high + max(abs(high) * 0.1, 0.5)
    step = _step(low, high)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def _step(low: float, high: float) -> float:
    """Return the 1, 2 or 5 that makes a handful of ticks of it."""
    rough = high / 5 - low / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next(m for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))


def _ticks(low: float, high: float) -> Ticks:
    step = _step(low, high)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    kind = f",.{decimals}f" if max(-low, high) < 1e6 and decimals < 5 else ".3g"
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return {number * step: f"{number * step:{kind}}" for number in numbers}


def _scale(low: float, high: float, start: float, end: float) -> Where:
    half = high / 2 - low / 2  # of numbers that are too large to be subtracted
    return lambda value: start + (value / 2 - low / 2) / half * (end - start) if half else start


def _number(value: float) -> str:
    """Write a place: to a tenth, without a zero behind the point or a minus before a zero."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")
