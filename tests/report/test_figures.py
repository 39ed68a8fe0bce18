"""Figures: what is drawn stands where the numbers say, and says what it is of."""

from pathlib import Path

import numpy as np
from PIL import Image

from seqrl.report.figures import caption_of, targets_figure, write_figure
from tests.report.making import sweep_of

SWEEP = sweep_of({0.0: [1.0, 3.0], 50.0: [40.0, 50.0], 150.0: [80.0, 90.0]}, best=100.0, mean=30.0)


def test_every_mark_stands_where_it_should() -> None:
    """A line at the mean that is called the best would mislead whoever trusts figures."""
    figure = targets_figure(SWEEP)
    axes = figure.axes[0]
    lines = {str(line.get_label()): np.array(line.get_xydata(), float) for line in axes.get_lines()}
    np.testing.assert_array_equal(lines["achieved = asked"], [[0, 0], [150, 150]])
    assert (lines["best return in the data"][:, 0] == 100).all()
    assert (lines["mean return of the data"][:, 1] == 30).all()
    mean = lines["mean ± one standard deviation"]
    np.testing.assert_array_equal(mean, [[0, 2], [50, 45], [150, 85]])
    band, points = axes.collections
    corners = {(float(x), float(y)) for x, y in np.asarray(band.get_paths()[0].vertices)}
    assert {(0.0, 1.0), (0.0, 3.0), (150.0, 80.0), (150.0, 90.0)} <= corners
    assert len(np.asarray(points.get_offsets())) == 6


def test_it_says_what_it_is_of(tmp_path: Path) -> None:
    """A figure travels without its page."""
    figure = targets_figure(SWEEP)
    assert figure.axes[0].get_title() == "DecisionTransformer on seqrl/hopper-medium-v1"
    caption = caption_of(SWEEP)
    for said in (
        "seqrl/hopper-medium-v1", "01234567", "with seed 3", "2,000 updates", "fedcba98",
        "Hopper-v4", "2 episodes a target, seed 7", "torch 2.8.0", "mujoco 3.3.0",
    ):  # fmt: skip
        assert said in caption
    assert figure.get_supxlabel().replace("\n", " ") == caption
    write_figure(figure, tmp_path / "a.png", caption)
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["Description"] == caption
        assert image.size == (1280, 1000)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_nothing_global_is_touched() -> None:
    """Somebody's notebook must look after a figure of ours as it did before."""
    import matplotlib
    from matplotlib import pyplot

    before = dict(matplotlib.rcParams)
    targets_figure(SWEEP)
    assert dict(matplotlib.rcParams) == before
    assert not pyplot.get_fignums()
