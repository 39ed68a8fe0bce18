"""Charts: the series of runs, drawn with seaborn for print and screen, one panel a task.

Agents keep their colour, marker and dash in all figures of some records; colours are those that
everybody can tell apart, and the marks tell agents apart in grey.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from seqrl.progress import counted
from seqrl.report.blocks import about_profiles
from seqrl.report.figures import DOTS_AN_INCH, add_caption
from seqrl.report.scores import deviation
from seqrl.report.series import THRESHOLDS, Point, ProfilePoint, Series
from seqrl.report.tables import ScoreTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "osD^vPX*<>"
DASHES = ("-", "--", "-.", ":")
INCHES = 7.0
"""Width of two columns of a paper."""
PANEL_INCHES = 2.5
IN_A_ROW = 3
Draw = Callable[["Axes", Sequence[Point], "Looks"], None]


class Looks:
    """How each agent looks, by its place among all of them."""

    def __init__(self, agents: Sequence[str]) -> None:
        """Give each agent its looks."""
        import seaborn

        palette = seaborn.color_palette("colorblind", 10)
        self.agents = list(agents)
        self.colour = {agent: palette[n % 10] for n, agent in enumerate(agents)}
        self.marker = {agent: MARKERS[n % len(MARKERS)] for n, agent in enumerate(agents)}
        self.dash: dict[str, Any] = {
            agent: DASHES[n % len(DASHES)] for n, agent in enumerate(agents)
        }


def literal(text: str) -> str:
    """Write a name so that matplotlib draws it as it is: no formula, and never hidden."""
    plain = " ".join(text.split()).replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain


def chart(series: Series, table: ScoreTable, caption: str) -> "Figure":
    """Draw a series."""
    draw = DRAWN[series.name]
    tasks = [task for task in table.tasks if any(p.task == task for p in series.points)]
    looks = Looks(table.agents)
    shown = [agent for agent in table.agents if any(p.agent == agent for p in series.points)]

    def panels(figure: "Figure", grid: Sequence["Axes"]) -> None:
        for n, (axes, task) in enumerate(zip(grid, tasks, strict=True)):
            draw(axes, [point for point in series.points if point.task == task], looks)
            data = table.data.get(task)
            if data is not None and series.name in ("scores", "learning-curves", "score-by-budget"):
                axes.axhline(data, color="0.35", linestyle=":", linewidth=1.2, zorder=0.5)
            unit = series.unit(task, table)
            axes.set_title(literal(task), fontsize="x-small")
            axes.set_ylabel(unit if n % IN_A_ROW == 0 or unit != series.y else "")
            axes.set_xlabel(series.x)

    return _figure(len(tasks), panels, looks, shown, series, caption, data=series.y == "score")


def profile_chart(points: Sequence[ProfilePoint], table: ScoreTable, caption: str) -> "Figure":
    """Draw performance profiles, with their intervals as bands."""
    looks = Looks(table.agents)
    shown = [agent for agent in table.agents if any(p.agent == agent for p in points)]

    def panels(figure: "Figure", grid: Sequence["Axes"]) -> None:
        (axes,) = grid
        for agent in shown:
            own = [point for point in points if point.agent == agent]
            above = [point.above for point in own]
            colour, dash = looks.colour[agent], looks.dash[agent]
            axes.plot(above, [point.share for point in own], color=colour, linestyle=dash)
            ends = [point.interval for point in own if point.interval]
            if len(ends) == len(own):
                low, high = [end.low for end in ends], [end.high for end in ends]
                axes.fill_between(above, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set_xlabel("score")
        axes.set_ylabel("share of runs above it")
        axes.set_xlim(THRESHOLDS[0], THRESHOLDS[-1])
        axes.set_ylim(-0.03, 1.03)

    about = Series(
        name="profiles",
        title=f"Performance profiles over {counted(len(table.tasks), 'task')}",
        x="",
        y="",
        why_empty="",
        points=(),
    )
    told = "\n".join([*about_profiles(table), caption])
    return _figure(1, panels, looks, shown, about, told, data=False)


def _figure(
    count: int,
    panels: Callable[["Figure", Sequence["Axes"]], None],
    looks: Looks,
    shown: Sequence[str],
    series: Series,
    caption: str,
    *,
    data: bool,
) -> "Figure":
    import seaborn
    from matplotlib.figure import Figure

    rows, columns = math.ceil(count / IN_A_ROW), min(count, IN_A_ROW)
    lines = caption.split("\n")
    with seaborn.axes_style("ticks"), seaborn.plotting_context("paper"):
        height = PANEL_INCHES * rows + 0.9 + 0.115 * sum(1 + len(line) // 125 for line in lines)
        figure = Figure(figsize=(INCHES, height), dpi=DOTS_AN_INCH, layout="constrained")
        alike = series.name == "seconds-per-decision"
        grid = figure.subplots(rows, columns, squeeze=False, sharey=alike).ravel()
        for unused in grid[count:]:
            unused.set_visible(False)
        panels(figure, [*grid[:count]])
        _add_legend(figure, looks, shown, series, data)
        seaborn.despine(fig=figure)
        add_caption(figure, literal(caption), 130)
        figure.draw_without_rendering()
    figure.set_layout_engine("none")  # it stays as it is; a picture is drawn once, not twice
    return figure


def _add_legend(
    figure: "Figure", looks: Looks, shown: Sequence[str], series: Series, data: bool
) -> None:
    """Say what is shown, and who is who."""
    from matplotlib.lines import Line2D

    name = series.name

    handles = [
        Line2D(
            [],
            [],
            color=looks.colour[agent],
            marker="" if name == "profiles" else looks.marker[agent],
            linestyle=looks.dash[agent] if name in LINED else "",
            label=literal(agent),
        )
        for agent in shown
    ]
    if data:
        handles.append(Line2D([], [], color="0.35", linestyle=":", label="mean of the data itself"))
    if name == "asked-achieved":
        handles.append(Line2D([], [], color="0.35", linestyle="--", label="achieved = asked"))
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=len(handles) if len(handles) <= 6 else 5,
        columnspacing=1.2,
        frameon=False,
        fontsize="small",
        title=series.title,
        title_fontsize="medium",
    )


# ---- panels --------------------------------------------------------------------------------------


def _bars(axes: "Axes", points: Sequence[Point], looks: Looks) -> None:
    """Draw means over seeds as bars, their standard deviation, and the seeds."""
    for place, agent in enumerate(_present(points, looks)):
        values = [point.y for point in points if point.agent == agent]
        axes.bar(
            place,
            fmean(values),
            0.75,
            color=looks.colour[agent],
            alpha=0.45,
            yerr=deviation(values),
            ecolor="0.2",
            capsize=2.5,
            error_kw={"linewidth": 1},
        )
        _seeds(axes, place, values, looks, agent)
    _name_places(axes, points, looks)


def _strips(axes: "Axes", points: Sequence[Point], looks: Looks) -> None:
    """Draw seeds alone, on a scale on which ten times is ten times."""
    for place, agent in enumerate(_present(points, looks)):
        _seeds(axes, place, [p.y for p in points if p.agent == agent], looks, agent)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.margins(x=0.15, y=0.15)
    _name_places(axes, points, looks)


def _seeds(axes: "Axes", place: int, values: Sequence[float], looks: Looks, agent: str) -> None:
    beside = [place + 0.3 * (n + 0.5 - len(values) / 2) / len(values) for n in range(len(values))]
    axes.plot(
        beside,
        values,
        linestyle="",
        marker=looks.marker[agent],
        markersize=4,
        color=looks.colour[agent],
        markeredgecolor="0.15",
        markeredgewidth=0.6,
        zorder=3,
    )


def _present(points: Sequence[Point], looks: Looks) -> list[str]:
    return [agent for agent in looks.agents if any(point.agent == agent for point in points)]


def _name_places(axes: "Axes", points: Sequence[Point], looks: Looks) -> None:
    names = [literal(agent) for agent in _present(points, looks)]
    slope = 60 if len(names) > 7 else 35 if max(map(len, names)) > 6 or len(names) > 5 else 0
    axes.set_xticks(
        range(len(names)),
        names,
        rotation=slope,
        ha="right" if slope else "center",
        rotation_mode="anchor" if slope else "default",
        fontsize="small",
    )


def _curves(axes: "Axes", points: Sequence[Point], looks: Looks) -> None:
    """Draw each seed thin, and the mean of those that have a point there."""
    from matplotlib.ticker import MaxNLocator

    for agent in _present(points, looks):
        own = [point for point in points if point.agent == agent]
        _line(axes, _broken(own), looks, agent, linewidth=0.7, alpha=0.5, marker="")
        places = sorted({x for x, _ in _both(own)})
        means = [(x, fmean(y for at, y in _both(own) if at == x)) for x in places]
        _line(axes, means, looks, agent, linewidth=1.8, marker=looks.marker[agent])
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_major_locator(MaxNLocator(4))


def _budgets(axes: "Axes", points: Sequence[Point], looks: Looks) -> None:
    """Draw each seed by itself: no two take equally long."""
    for agent in _present(points, looks):
        own = [point for point in points if point.agent == agent]
        _line(axes, _broken(own), looks, agent, linewidth=1, marker=looks.marker[agent])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter("")


def _line(
    axes: "Axes", line: Sequence[tuple[float, float]], looks: Looks, agent: str, **style: object
) -> None:
    x, y = zip(*line, strict=True)
    axes.plot(
        x,
        y,
        color=looks.colour[agent],
        linestyle=looks.dash[agent],
        markersize=4,
        **style,  # type: ignore[arg-type]
    )


def _broken(points: Sequence[Point]) -> list[tuple[float, float]]:
    """Return the points of all seeds as one line, which is broken between two of them."""
    found: list[tuple[float, float]] = []
    for seed in sorted({point.seed for point in points}):
        found += [*_both([point for point in points if point.seed == seed]), (math.nan, math.nan)]
    return found


def _both(points: Sequence[Point]) -> list[tuple[float, float]]:
    return [(point.x, point.y) for point in points if point.x is not None]


def _pairs(axes: "Axes", points: Sequence[Point], looks: Looks) -> None:
    """Draw what was achieved over what was asked for."""
    for agent in _present(points, looks):
        x, y = zip(*_both([p for p in points if p.agent == agent]), strict=True)
        axes.plot(
            x,
            y,
            linestyle="",
            marker=looks.marker[agent],
            markersize=5,
            color=looks.colour[agent],
            markeredgecolor="0.15",
            markeredgewidth=0.6,
        )
    ends = [0.0, 1.05 * max(max(pair) for pair in _both(points))]
    axes.plot(ends, ends, color="0.35", linestyle="--", linewidth=1, zorder=0.5)


DRAWN: Mapping[str, Draw] = {
    "scores": _bars,
    "learning-curves": _curves,
    "score-by-budget": _budgets,
    "asked-achieved": _pairs,
    "seconds-per-decision": _strips,
}
LINED = ("learning-curves", "score-by-budget", "profiles")


# ---- files ---------------------------------------------------------------------------------------


def picture(figure: "Figure", kind: str, caption: str) -> bytes:
    """Return a figure as png or svg, with its caption inside; equal figures give equal bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = io.BytesIO()
    canvas: Any = FigureCanvasSVG(figure) if kind == "svg" else FigureCanvasAgg(figure)
    about = {"Description": caption} | ({"Date": None} if kind == "svg" else {})
    with matplotlib.rc_context({"svg.hashsalt": "seqrl"}):
        write = canvas.print_svg if kind == "svg" else canvas.print_png
        write(out, metadata=about)  # `savefig` would draw it twice
    return out.getvalue()
