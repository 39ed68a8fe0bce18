"""The page's figures: every series of runs as small charts, one a task."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean

from seqrl.report.blocks import about_profiles, number
from seqrl.report.drawing import Axis, Line, Place, Row, lines, rows, swatch
from seqrl.report.html import Markup, tag
from seqrl.report.series import THRESHOLDS, Point, ProfilePoint, Series
from seqrl.report.tables import ScoreTable

Draw = Callable[["Panel"], Markup]


class Panel:
    """The points of a series on one task, and what they are drawn with."""

    def __init__(self, series: Series, table: ScoreTable, task: str) -> None:
        """Take what belongs to a task."""
        self.series, self.table, self.task = series, table, task
        self.title = f"{series.title.partition(':')[0]} on {task}"
        self.unit = series.unit(task, table)
        own = [point for point in series.points if point.task == task]
        self.agents: Mapping[str, list[Point]] = {
            agent: points
            for agent in table.agents
            if (points := [point for point in own if point.agent == agent])
        }

    def style(self, agent: str) -> int:
        """Return the looks of an agent, the same in all figures."""
        return self.table.agents.index(agent)

    def told(self, what: Mapping[str, str]) -> str:
        """Say what is seen, an agent after the other."""
        return "; ".join(f"{agent}: {said}" for agent, said in what.items())


def figures(series: Sequence[Series], table: ScoreTable) -> Iterator[Markup]:
    """Draw all series; of those without points, say what is to be done to have them."""
    for one in series:
        yield tag("h3", one.title)
        if not one.points:
            yield tag("p", f"None: {one.why_empty}.", class_="note")
            continue
        panels = [Panel(one, table, task) for task in table.tasks]
        yield _legend(table, {point.agent for point in one.points}, DASHED.get(one.name, ""))
        yield tag("div", *(_figure(panel) for panel in panels if panel.agents), class_="charts")


def profiles_figure(points: Sequence[ProfilePoint], table: ScoreTable) -> Iterator[Markup]:
    """Draw performance profiles, where there are enough seeds for them."""
    yield tag("h3", "Performance profiles: thin lines are 95% bands")
    if not points:
        yield tag("p", "None: they need five seeds of every task, of one kind of data.",
                  class_="note")  # fmt: skip
        return
    found, told = [], []
    for style, agent in enumerate(table.agents):
        own = [point for point in points if point.agent == agent]
        if not own:
            continue
        shares = [(float(point.above), point.share) for point in own]
        bands = [(p.above, p.interval.low, p.interval.high) for p in own if p.interval]
        for band in ([(x, low) for x, low, _ in bands], [(x, high) for x, _, high in bands]):
            found.append(Line(style=style, places=band, drawn="thin"))
        found.append(Line(style=style, places=shares, drawn="with markers"))
        told.append(f"{agent}: {next(share for x, share in shares if x >= 50):.0%} above 50")
    yield _legend(table, {point.agent for point in points}, "")
    across = Axis(title="score", also=(THRESHOLDS[0], THRESHOLDS[-1]))
    up = Axis(title="share of runs above it", also=(0, 1))
    yield tag("figure", lines("Performance profiles", "; ".join(told), found, across, up))
    yield from (tag("p", line, class_="note") for line in about_profiles(table))


def _figure(panel: Panel) -> Markup:
    drawn = DRAWN[panel.series.name](panel)
    return tag("figure", tag("figcaption", panel.task), drawn)


def _legend(table: ScoreTable, shown: set[str], dashed: str) -> Markup:
    items = [
        tag("li", swatch(style), agent)
        for style, agent in enumerate(table.agents)
        if agent in shown
    ]
    if dashed:
        items.append(tag("li", f"- - {dashed}"))
    return tag("ul", *items, class_="legend")


# ---- one task ------------------------------------------------------------------------------------


def _bars(panel: Panel) -> Markup:
    found = [
        Row(
            name=agent,
            style=panel.style(agent),
            values=[point.y for point in points],
            said=_spread(panel, agent),
            bar=fmean(point.y for point in points),
        )
        for agent, points in panel.agents.items()
    ]
    return rows(panel.title, found, Axis(title=panel.unit), panel.table.data.get(panel.task))


def _spread(panel: Panel, agent: str) -> str:
    cell = panel.table.cells[agent, panel.task]
    assert cell.mean is not None
    return number(cell.mean) + ("" if cell.deviation is None else f" ± {number(cell.deviation)}")


def _seconds(panel: Panel) -> Markup:
    found = [
        Row(
            name=agent,
            style=panel.style(agent),
            values=(values := [point.y for point in points if point.y > 0]),
            said=f"{fmean(values):.2g}" if values else "-",
        )
        for agent, points in panel.agents.items()
    ]
    return rows(panel.title, found, Axis(title=panel.unit, logarithmic=True))


def _curves(panel: Panel) -> Markup:
    found, told = [], {}
    for agent, points in panel.agents.items():
        seeds = _by_seed(points)
        if len(seeds) > 1:
            found += [
                Line(style=panel.style(agent), places=own, drawn="thin") for own in seeds.values()
            ]
        places = sorted({x for own in seeds.values() for x, _ in own})
        means = [
            (at, fmean(y for own in seeds.values() for x, y in own if x == at)) for at in places
        ]
        found.append(Line(style=panel.style(agent), places=means, drawn="with markers"))
        told[agent] = f"{number(means[0][1])} first, {number(means[-1][1])} last"
    across, up = Axis(title=panel.series.x, also=(0,)), Axis(title=panel.unit)
    data = panel.table.data.get(panel.task)
    return lines(panel.title, panel.told(told), found, across, up, mark=data)


def _budgets(panel: Panel) -> Markup:
    found, told = [], {}
    for agent, points in panel.agents.items():
        for own in _by_seed(points).values():
            places = [place for place in own if place[0] > 0]
            found.append(Line(style=panel.style(agent), places=places, drawn="with markers"))
            told[agent] = f"{number(places[-1][1])} after {places[-1][0]:,.0f} seconds"
    across, up = Axis(title=panel.series.x, logarithmic=True), Axis(title=panel.unit)
    data = panel.table.data.get(panel.task)
    return lines(panel.title, panel.told(told), found, across, up, mark=data)


def _pairs(panel: Panel) -> Markup:
    found, told = [], {}
    for agent, points in panel.agents.items():
        places = _places(points)
        found.append(Line(style=panel.style(agent), places=places, drawn="markers"))
        told[agent] = ", ".join(f"{x:,.0f} asked, {y:,.0f} achieved" for x, y in places)
    most = max(max(place) for line in found for place in line.places)
    ends = [((0.0, 0.0), (most, most))] if most > 0 else []
    across, up = Axis(title=panel.series.x), Axis(title=panel.series.y)
    return lines(panel.title, panel.told(told), found, across, up, ends)


def _by_seed(points: Sequence[Point]) -> dict[int, list[Place]]:
    seeds = sorted({point.seed for point in points})
    return {seed: _places([point for point in points if point.seed == seed]) for seed in seeds}


def _places(points: Sequence[Point]) -> list[Place]:
    return [(point.x, point.y) for point in points if point.x is not None]


DRAWN: Mapping[str, Draw] = {
    "scores": _bars,
    "learning-curves": _curves,
    "score-by-budget": _budgets,
    "asked-achieved": _pairs,
    "seconds-per-decision": _seconds,
}
OF_DATA = "mean of the data itself"
DASHED = {
    "scores": OF_DATA,
    "learning-curves": OF_DATA,
    "score-by-budget": OF_DATA,
    "asked-achieved": "achieved = asked",
}
"""What the dashed line is."""
