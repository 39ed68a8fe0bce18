"""The figure of attention: where each layer looks, token by token, step by step, part by part.

Letters: L layers, h heads, N tokens of a window, T steps.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seqrl.report.figures import add_caption
from seqrl.runs.looks import Float64, Looks, Share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT_A_LAYER, REST = 11.0, 2.5, 1.6
"""Inches; the rest is title, axis labels, the scale of the weights and the caption."""
TICKS = 10
"""Steps that are numbered along an axis, at most."""
CAPTION_WIDTH = 190


def strongest(looks: Looks, layer: int, count: int = 3) -> list[Share]:
    """Return the ways from part to part along which most of a layer's attention goes, the mean of
    its heads (head 0); the strongest first."""
    heads: dict[tuple[str, str, int | None], list[Share]] = {}
    for share in looks.shares():
        if share.layer == layer:
            way = share.from_part, share.to_part, share.steps_back
            heads.setdefault(way, []).append(share)
    means = [
        replace(own[0], head=0, share=sum(one.share for one in own) / len(own))
        for own in heads.values()
    ]
    return sorted(means, key=lambda one: -one.share)[:count]


def now_and_before(looks: Looks, layer: int) -> tuple[list[str], Float64]:
    """Sum up the ways of a layer by the part looked at, its own step and earlier ones apart: their
    names, goals first, and the shares of each asking part [parts, names], the mean of the heads."""
    shares = [share for share in looks.shares() if share.layer == layer]
    when = {None: "", 0: " now"}
    named = [f"{share.to_part}{when.get(share.steps_back, ' before')}" for share in shares]
    order = ("", "before", "now")
    names = sorted(
        set(named), key=lambda name: (order.index(name.partition(" ")[2]), named.index(name))
    )
    found = np.zeros((len(looks.asking_parts), len(names)))
    for share, name in zip(shares, named, strict=True):
        place = looks.asking_parts.index(share.from_part), names.index(name)
        found[place] += share.share / looks.heads
    return names, found


def attention_figure(looks: Looks) -> "Figure":
    """Draw each layer in a row: who looks at whom, how far back, and from part to part."""
    import seaborn
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    layers, several = len(looks.weights), looks.heads > 1
    # The square root, so that a faint look is still to be seen beside a strong one. The first half
    # of the window has too few tokens to look at: it may be darker than the scale.
    later = _shown(looks, looks.weights)[:, :, len(looks.tokens) // 2 :]
    norm = PowerNorm(0.5, vmin=0, vmax=float(later.max()))
    with seaborn.axes_style("ticks"), seaborn.plotting_context("paper"):
        figure = Figure(figsize=(WIDTH, HEIGHT_A_LAYER * layers + REST), layout="constrained")
        widths = [1.0, *([1.0] if several else []), 0.85, 1.1]
        heights = [*[1.0] * layers, 0.04]  # below, the scale of the weights
        grid = figure.add_gridspec(
            layers + 1, len(widths), width_ratios=widths, height_ratios=heights
        )
        maps = [figure.add_subplot(grid[layer, 0]) for layer in range(layers)]
        for layer, (axes, weights) in enumerate(zip(maps, looks.weights, strict=True)):
            _draw_map(axes, looks, weights.mean(0), norm)
            axes.set_ylabel("token that looks, by step")
            axes.text(-0.36, 0.5, f"layer {layer + 1}", **_SIDEWAYS, transform=axes.transAxes)
            if several:
                _draw_heads(figure, grid[layer, 1], looks, weights, norm)
        backs = [figure.add_subplot(grid[layer, -2]) for layer in range(layers)]
        _draw_steps_back(backs, looks)
        _draw_parts([figure.add_subplot(grid[layer, -1]) for layer in range(layers)], looks)
        maps[0].set_title("mean over heads" if several else "attention")
        maps[-1].set_xlabel("token looked at, by step")
        place = figure.add_subplot(grid[layers, 0])
        bar = figure.colorbar(maps[0].images[0], place, orientation="horizontal", extend="max")
        bar.set_label("weight", fontsize="small")
        place.tick_params(labelsize="x-small")
        figure.suptitle(f"{looks.about['agent']} on {looks.about['data']}", fontsize="large")
        add_caption(figure, looks.caption, CAPTION_WIDTH)
    return figure


_SIDEWAYS: dict[str, Any] = {
    "rotation": 90,
    "ha": "center",
    "va": "center",
    "fontsize": "large",
    "fontweight": "bold",
}


def _shown(looks: Looks, weights: Float64) -> Any:
    """Leave out what cannot be: later and hidden tokens; and what says nothing."""
    tokens = looks.tokens
    asks = np.array([token.known for token in tokens])[:, None]
    may = np.tri(len(tokens), dtype=bool) & np.array([token.attended for token in tokens])
    return np.ma.masked_array(weights, np.broadcast_to(~(may & asks), weights.shape))


def _draw_map(
    axes: "Axes", looks: Looks, weights: Float64, norm: Any, *, small: bool = False
) -> None:
    """Draw weights [N, N], with lines between the steps."""
    axes.imshow(_shown(looks, weights), cmap="rocket_r", norm=norm, interpolation="nearest")
    block = looks.block
    goals = len(looks.tokens) - block * looks.steps
    starts = goals + block * np.arange(looks.steps)
    for start in starts[0 if goals else 1 :]:
        for line in (axes.axhline, axes.axvline):
            line(start - 0.5, color="0.8", linewidth=0.15 if small else 0.3)
    if small:
        axes.set_xticks([])
        axes.set_yticks([])
        return
    numbered = np.arange(looks.steps)[:: -_every(looks)]
    places = starts[numbered] + (block - 1) / 2
    names = [_step_name(looks.steps - 1 - step) for step in numbered.tolist()]
    if goals:
        places, names = np.append(places, (goals - 1) / 2), [*names, "goal"]
    axes.set_xticks(places, names)
    axes.set_yticks(places, names)
    axes.tick_params(length=0, labelsize="x-small")


def _every(looks: Looks) -> int:
    return -(-looks.steps // TICKS)


def _step_name(back: int) -> str:
    return f"−{back}" if back else "0"


def _draw_heads(figure: "Figure", place: Any, looks: Looks, weights: Float64, norm: Any) -> None:
    """Draw each head [h, N, N] small."""
    across = int(np.ceil(np.sqrt(looks.heads)))
    grid = place.subgridspec(-(-looks.heads // across), across)
    for head, own in enumerate(weights):
        axes = figure.add_subplot(grid[head // across, head % across])
        _draw_map(axes, looks, own, norm, small=True)
        axes.set_title(f"head {head + 1}", fontsize="x-small", pad=2)


def _draw_steps_back(rows: "list[Axes]", looks: Looks) -> None:
    """Draw the shares of each layer: bars for the mean, a point a head, a line for even looks."""
    import seaborn

    blue, orange = seaborn.color_palette("colorblind", 2)
    shares, back = looks.by_steps_back(), np.arange(looks.steps)
    even = looks.even().by_steps_back()[0, 0]
    highest = 1.3 * max(float(shares.max()), float(even.max()))
    for axes, own in zip(rows, shares, strict=True):
        axes.bar(
            back,
            own.mean(0),
            color=blue,
            alpha=0.55,
            width=0.8,
            label="mean over heads" if looks.heads > 1 else "share",
        )
        if looks.heads > 1:
            points = np.tile(back, looks.heads), own.flatten()
            axes.scatter(*points, s=8, color=blue, linewidths=0, zorder=3, label="one head")
        axes.step(back, even, where="mid", color=orange, linewidth=1.2, label="even attention")
        axes.set_xticks(back[:: _every(looks)])
        axes.set_ylim(0, highest)
        axes.tick_params(labelsize="x-small")
        seaborn.despine(ax=axes)
    rows[0].set_title("last step: share by steps back")
    rows[0].legend(frameon=False, fontsize="x-small", loc="upper right")
    rows[-1].set_xlabel("steps back")


def _draw_parts(rows: "list[Axes]", looks: Looks) -> None:
    """Write the shares from part to part of each layer, in percent."""
    for layer, axes in enumerate(rows):
        names, found = now_and_before(looks, layer + 1)
        axes.imshow(found, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), share in np.ndenumerate(found):
            colour = "white" if share > 0.6 else "0.15"
            written = f"{100 * share:.0f}"
            axes.text(
                column, row, written, ha="center", va="center", color=colour, fontsize="small"
            )
        axes.set_yticks(range(len(found)), _broken(looks.asking_parts, 11), fontsize="x-small")
        axes.set_xticks(range(len(names)), _broken(names, 7), fontsize="xx-small")
        axes.tick_params(length=0)
    rows[0].set_title("last step: from part (row) to part, %")


def _broken(names: Sequence[str], width: int) -> list[str]:
    """Break names between words, into lines of so many letters."""
    broken = [
        textwrap.wrap(name.replace("_", " "), width, break_long_words=False) for name in names
    ]
    return ["\n".join(lines) for lines in broken]
