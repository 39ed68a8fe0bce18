"""The figure and the caption of a prediction: errors against horizon, and one stretch itself."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seqrl.progress import counted
from seqrl.report.figures import CAPTION_WIDTH, add_caption, in_words
from seqrl.runs.prediction import Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES = (6.4, 8.0)


def labels_of(prediction: Prediction) -> dict[str, str]:
    """Say what each model is."""
    agent, window = prediction.about["agent"], prediction.windows["checkpoint"]
    said = {
        "checkpoint": f"{agent}, window of {window} steps",
        "markov": "Markov model, one step",
        "unchanged": "unchanged",
        "bins": "bins alone",
    }
    return {model: said[model] for model in prediction.models}


def prediction_caption(prediction: Prediction) -> str:
    """Say what the numbers must not be told without."""
    example, rows = prediction.example, prediction.of("checkpoint")
    near, far = rows[0], rows[-1]
    plays = f" ({prediction.plays})" if prediction.plays else ""
    told = [in_words(prediction.about, f"{counted(prediction.episodes, 'episode')}{plays}")]
    if prediction.markov_sha256:
        told.append(
            f"Markov model {prediction.markov_sha256[:8]}: trained alike, with windows of "
            f"{prediction.windows['markov']} steps."
        )
    told.append(
        f"The models see the start and all actions that were taken. "
        f"{counted(near.stretches, 'stretch', 'stretches')} of "
        f"{counted(near.episodes, 'episode')}, from evenly spaced steps; "
        + ("all reach" if far.stretches == near.stretches else f"{far.stretches} reach")
        + f" {far.horizon} steps ahead."
    )
    told.append("Bins alone: what was seen, put into the bins and taken out again.")
    left_out = ", ".join(map(str, prediction.left_out))
    told.append(
        "Error: root mean square over the dimensions of the observation, each in half of what lies "
        "between its 16 and 84 % bin edges; mean over episodes, of each over its stretches"
        + (f"; without dimensions {left_out}, which hardly vary" if left_out else "")
        + (". Bands: one standard error, from the episodes." if near.episodes > 1 else ".")
    )
    told.append(
        f"Below: episode {example.episode} from step {example.begin}, the first that reaches "
        "furthest."
    )
    return " ".join(told)


def prediction_figure(prediction: Prediction) -> "Figure":
    """Draw every model's error, and what was predicted and seen of some dimensions."""
    import seaborn
    from matplotlib.figure import Figure

    with seaborn.axes_style("ticks"), seaborn.plotting_context("paper", font_scale=1.15):
        figure = Figure(figsize=INCHES, layout="constrained")
        blue, orange, green = seaborn.color_palette("colorblind", 3)
        looks: dict[str, dict[str, Any]] = {
            "checkpoint": {"color": blue},
            "markov": {"color": orange, "linestyle": "--"},
            "unchanged": {"color": green, "linestyle": "-."},
            "bins": {"color": "0.5", "linestyle": ":"},
        }
        grid = figure.add_gridspec(3, 2, height_ratios=[2.2, 1, 1])
        _draw_errors(figure.add_subplot(grid[0, :]), prediction, looks)
        for place, dimension in enumerate(prediction.example.dimensions):
            axes = figure.add_subplot(grid[1 + place // 2, place % 2])
            _draw_example(axes, prediction, place, looks)
            axes.set_title(f"observation[{dimension}]", fontsize="medium")
        about = prediction.about
        figure.suptitle(f"{about['agent']} on {about['data']}", fontsize="large")
        seaborn.despine(fig=figure)
        add_caption(figure, prediction_caption(prediction), CAPTION_WIDTH)
    return figure


def _draw_errors(
    axes: "Axes", prediction: Prediction, looks: Mapping[str, Mapping[str, Any]]
) -> None:
    for model, label in labels_of(prediction).items():
        rows = prediction.of(model)
        ahead, error = [row.horizon for row in rows], [row.error for row in rows]
        axes.plot(ahead, error, label=label, **looks[model])
        known = [row for row in rows if row.standard_error is not None]
        axes.fill_between(
            [row.horizon for row in known],
            [row.error - (row.standard_error or 0) for row in known],
            [row.error + (row.standard_error or 0) for row in known],
            color=looks[model]["color"],
            alpha=0.2,
            linewidth=0,
        )
    axes.set_ylim(bottom=0)
    axes.set_xlabel("steps ahead")
    axes.locator_params(axis="x", integer=True)
    axes.set_ylabel("error of the observation")
    where: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2}
    axes.legend(frameon=False, fontsize="small", **where)


def _draw_example(
    axes: "Axes", prediction: Prediction, place: int, looks: Mapping[str, Mapping[str, Any]]
) -> None:
    example = prediction.example
    ahead = range(1, len(example.simulated) + 1)
    axes.plot(ahead, example.simulated[:, place], color="black", linewidth=1, label="seen")
    for model in ("checkpoint", "markov"):
        if model in example.predicted:
            axes.plot(ahead, example.predicted[model][:, place], linewidth=1, **looks[model])
    if place == 0:
        axes.legend(frameon=False, fontsize="small", loc="best")
