"""The figure of plans: what an agent believed would come, beside what then came.

Bodies in a plane are drawn as sticks, one strip a plan; below, all numbers as lines.

Letters: T steps of the episode, n poses of a strip, s sticks of a body.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from seqrl.report.figures import add_caption
from seqrl.runs.imagined import Float64, Imagined, Plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

WIDTH = 10.0
"""Inches."""
LINE_HEIGHT, LINES_REST = 0.43, 0.9
POSES = 6
"""Of a strip at most, evenly spread over a plan."""
LOWEST_STRIP = 0.5
"""Strips stand side by side as long as they are not lower than that."""
CAPTION_WIDTH = 172
IMAGINED, SIMULATED = "tab:blue", "0.25"


def plans_figure(imagined: Imagined) -> "Figure":
    """Draw it."""
    import seaborn
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lines = LINE_HEIGHT * len(imagined.names) + LINES_REST
    strips, across = _strips(imagined)
    with seaborn.axes_style("ticks"), seaborn.plotting_context("paper"):
        height = strips + lines + 0.8
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        heights = [strips, lines] if strips else [lines]
        places = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        if strips:
            _draw_strips(places[0], imagined, across)
        _draw_lines(places[-1], imagined)
        about = imagined.about
        figure.suptitle(f"{about['agent']} on {about['data']}", fontsize="large")
        kinds = {"as imagined": IMAGINED, "as it came": SIMULATED}
        handles: list[Any] = [Patch(color=colour, label=label) for label, colour in kinds.items()]
        if any(plan.ends for plan in imagined.plans):
            end = Line2D([], [], color=IMAGINED, marker="x", linestyle="", label="imagined end")
            handles.append(end)
        figure.legend(handles=handles, loc="upper right", frameon=False, ncols=3, fontsize="small")
        add_caption(figure, imagined.caption, CAPTION_WIDTH)
    return figure


# ---- lines -------------------------------------------------------------------------------------


def _draw_lines(figure: "SubFigure", imagined: Imagined) -> None:
    """Draw a column for each plan and a row for each number; rows have one scale."""
    plans, count = imagined.plans, len(imagined.names)
    grid = figure.subplots(count, len(plans), sharex="col", sharey="row", squeeze=False)
    longest = max(2, *(len(plan.imagined) for plan in plans))
    for axes_of_plan, plan in zip(grid.T, plans, strict=True):
        for column, axes in enumerate(axes_of_plan):
            _draw_branch(
                axes, imagined.simulated[:, column], plan, plan.imagined[:, column], longest
            )
        axes_of_plan[0].set_title(f"planned at step {plan.step}", fontsize="small")
    for axes, name in zip(grid[:, 0], imagined.meanings, strict=True):
        said = name.replace(" ", "\n").replace("_", " ")
        axes.set_ylabel(said, fontsize="x-small", rotation=0, ha="right", va="center")
    figure.supxlabel("step of the episode", fontsize="small")


def _draw_branch(axes: "Axes", came: Float64, plan: Plan, believed: Float64, ahead: int) -> None:
    """Draw one number before and after a plan was made, and what it believed as a branch."""
    import seaborn

    first, end = plan.step - ahead // 2, plan.step + ahead
    steps = np.arange(max(0, first), min(len(came), end))
    axes.axvline(plan.step, color="0.8", linewidth=0.6)
    axes.plot(steps, came[steps], color=SIMULATED, linewidth=1.4)
    own = plan.step + np.arange(len(believed))
    axes.plot(own, believed, color=IMAGINED, linewidth=1.0, marker=".", markersize=3)
    if plan.ends and len(own):
        axes.plot(own[-1:], believed[-1:], color=IMAGINED, marker="x", markersize=6)
    axes.set_xlim(first - 0.5, end - 0.5)
    axes.tick_params(labelsize="xx-small", length=2)
    axes.locator_params(axis="y", nbins=3)
    axes.locator_params(axis="x", nbins=4, integer=True)
    seaborn.despine(ax=axes)


# ---- bodies ------------------------------------------------------------------------------------


def _strips(imagined: Imagined) -> tuple[float, int]:
    """Say how high all strips are together, in inches, and how many stand side by side."""
    plans = imagined.plans
    if any(plan.bodies is None for plan in plans):
        return 0.0, 0
    low, high = _extent(imagined)
    wide = _longest(imagined) * (high[0] - low[0]) / (high[1] - low[1])  # times its height
    across = next((n for n in (3, 2) if WIDTH / n / wide >= LOWEST_STRIP), 1)
    return -(-len(plans) // across) * (WIDTH / across / wide + 0.35), across


def _longest(imagined: Imagined) -> int:
    """Count the poses of the longest strip."""
    return max(1, *(len(_drawn(plan)) for plan in imagined.plans))


def _drawn(plan: Plan) -> Any:
    """Choose the steps of a plan whose poses are drawn: the first, the last, and between them."""
    count = min(POSES, len(plan.imagined))
    return np.linspace(0, len(plan.imagined) - 1, count).round().astype(int)


def _extent(imagined: Imagined) -> tuple[Float64, Float64]:
    """Return the corners that all bodies lie between, with a margin [2], and the floor."""
    ends, widest = [np.zeros((1, 2))], 0.0
    for plan in imagined.plans:
        for poses in plan.bodies or ():
            ends.append(poses.ends.reshape(-1, 2))
            widest = max(widest, float(poses.radii.max()))
    every = np.concatenate(ends)
    return every.min(0) - 1.2 * widest, every.max(0) + 1.2 * widest


def _draw_strips(figure: "SubFigure", imagined: Imagined, across: int) -> None:
    """Draw a strip for each plan, the bodies side by side, each with its root in its place."""
    low, high = _extent(imagined)
    cell, plans = high[0] - low[0], imagined.plans
    grid = figure.subplots(-(-len(plans) // across), across, squeeze=False)
    for axes in grid.flat[len(plans) :]:
        axes.remove()
    for axes, plan in zip(grid.flat, plans, strict=False):
        assert plan.bodies is not None
        believed, came = plan.bodies
        drawn = _drawn(plan)
        places = np.arange(len(drawn)) * cell
        axes.axhline(0, color="0.6", linewidth=0.6, zorder=0)
        for poses, colour in ((came, SIMULATED), (believed, IMAGINED)):
            for place, step in zip(places, drawn, strict=True):
                if step < len(poses.ends):
                    _draw_body(axes, poses.ends[step] + np.array([place, 0]), poses.radii, colour)
        axes.set_xlim(low[0], low[0] + _longest(imagined) * cell)
        axes.set_ylim(low[1], high[1])
        axes.set_aspect("equal")
        axes.set_title(f"planned at step {plan.step}", fontsize="small")
        axes.set_xticks(places, [str(plan.step + step) for step in drawn], fontsize="xx-small")
        axes.tick_params(length=0, pad=1)
        axes.set_yticks([])
        for side in axes.spines.values():
            side.set_visible(False)


def _draw_body(axes: "Axes", sticks: Float64, radii: Float64, colour: str) -> None:
    """Draw sticks with round ends [s, 2, 2]."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    outlines = [
        _outline(ends[0], ends[1], radius) for ends, radius in zip(sticks, radii, strict=True)
    ]
    fill, edge = to_rgba(colour, 0.3), to_rgba(colour, 0.9)
    axes.add_collection(PolyCollection(outlines, facecolor=fill, edgecolor=edge, linewidth=0.5))


def _outline(first: Float64, second: Float64, radius: float) -> Float64:
    """Return the outline of all points so near to a line between two points [., 2]."""
    turned = np.arctan2(*(second - first)[::-1])
    half = np.linspace(-np.pi / 2, np.pi / 2, 12)
    angles = turned + np.concatenate([half, half + np.pi])
    middles = np.repeat([second, first], len(half), axis=0)
    outline: Float64 = middles + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    return outline
