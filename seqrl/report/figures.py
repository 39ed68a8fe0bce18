"""Figures: for print as for the screen, in colours that everybody can tell apart.

They are drawn without a window system, and without touching matplotlib's global state.
"""

import io
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqrl.data.whole import replace_file
from seqrl.errors import SeqrlError, told_plainly
from seqrl.progress import counted
from seqrl.report.following import achieved
from seqrl.runs.record import fingerprint_in_words
from seqrl.runs.sweep import Sweep
from seqrl.tasks.task import in_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES = (6.4, 5.0)
DOTS_AN_INCH = 200
CAPTION_WIDTH = 112


def caption_of(sweep: Sweep) -> str:
    """Say what the numbers of a sweep must not be told without."""
    plays = f" ({sweep.about['plays']})" if sweep.about.get("plays") else ""
    return in_words(sweep.about, f"{counted(sweep.episodes, 'episode')} a target" + plays)


def in_words(about: Mapping[str, str], played: str) -> str:
    """Say what stands in every row of a table; `played` is how much."""
    seed, content = about["training_seed"], fingerprint_in_words(about["fingerprint"])
    packages = [name for name in ("seqrl", "torch", "gymnasium", "mujoco") if name in about]
    return (
        f"{about['agent']}, trained on {about['data']} ({content})"
        + (f", imported from {about['imported']}" if about["imported"] else "")
        + (f" with seed {seed}" if seed else "")
        + (f" for {int(about['updates']):,} updates" if about["updates"] else "")
        + f", checkpoint {about['checkpoint_sha256'][:8]}. Played in {about['environment']}, "
        f"{played}, seed {about['seed']}, in {about['precision']}; "
        + ", ".join(f"{name} {about[name]}" for name in packages)
        + "."
    )


def targets_figure(sweep: Sweep) -> "Figure":
    """Draw achieved against asked returns: every episode, their mean, one standard deviation."""
    import seaborn
    from matplotlib.figure import Figure

    with seaborn.axes_style("ticks"), seaborn.plotting_context("paper", font_scale=1.15):
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, sweep)
        axes.set_title(f"{sweep.about['agent']} on {sweep.about['data']}", fontsize="large")
        _add_scores(axes, sweep)
        seaborn.despine(fig=figure, right=not sweep.about["reference_minimum"])
        add_caption(figure, caption_of(sweep), CAPTION_WIDTH)
    return figure


def add_caption(figure: "Figure", caption: str, width: int) -> None:
    """Write under a figure what it must not be shown without, in lines of so many letters."""
    lines = "\n".join(textwrap.wrap(caption, width))
    figure.supxlabel(lines, fontsize="x-small", x=0.01, ha="left", color="0.3")


def _draw(axes: "Axes", sweep: Sweep) -> None:
    import numpy as np
    import seaborn

    blue, orange, green = seaborn.color_palette("colorblind", 3)
    points = achieved(sweep)
    asked = np.array([point.asked for point in points])
    mean = np.array([point.mean for point in points])
    deviation = np.array([point.deviation for point in points])
    ends = [float(asked.min()), float(asked.max())]
    axes.plot(ends, ends, color="0.35", linestyle="--", linewidth=1, label="achieved = asked")
    axes.axvline(sweep.best_in_data, color=orange, linestyle="-.", label="best return in the data")
    axes.axhline(sweep.mean_in_data, color=green, linestyle=":", label="mean return of the data")
    axes.fill_between(asked, mean - deviation, mean + deviation, color=blue, alpha=0.2, linewidth=0)
    axes.scatter(
        [row.asked for row in sweep.rows],
        [row.return_ for row in sweep.rows],
        s=8,
        color=blue,
        alpha=0.3,
        linewidths=0,
        label="one episode",
    )
    label = "mean ± one standard deviation"
    axes.plot(asked, mean, color=blue, marker="o", markersize=4, label=label)
    axes.set_xlabel("return asked for")
    axes.set_ylabel("return achieved")
    axes.legend(frameon=False, fontsize="small", loc="best")


def _add_scores(axes: "Axes", sweep: Sweep) -> None:
    """Say on the right what the returns are worth, where somebody has said so."""
    low, high = sweep.about["reference_minimum"], sweep.about["reference_maximum"]
    if not low:
        return
    zero, hundred = float(low), float(high)

    def score(returns: Any) -> Any:
        return in_percent(returns, zero, hundred)

    def return_(scores: Any) -> Any:
        return zero + scores * (hundred - zero) / 100

    axes.secondary_yaxis("right", functions=(score, return_)).set_ylabel("score achieved")


def check_picture(file: Path) -> None:
    """Refuse, before anything is played, a figure that could not be written."""
    if file.suffix.lower() != ".png":
        raise SeqrlError(f"A figure is a .png file; {file} is none.")
    if not file.absolute().parent.is_dir():
        raise SeqrlError(f"There is no folder {file.absolute().parent} for {file.name}.")


def write_figure(figure: "Figure", file: Path, caption: str) -> None:
    """Put a figure in the place of `file`, as PNG, with its caption inside."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DOTS_AN_INCH, metadata={"Description": caption})
    with told_plainly(file, "writing a figure"):
        replace_file(file, out.getvalue())
