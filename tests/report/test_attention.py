"""The figure of attention shows the weights, in their places, and hides what says nothing."""

import numpy as np
import pytest

from seqrl.report.attention import attention_figure, now_and_before, strongest
from tests.report.making import looks_of


def test_maps_show_the_weights() -> None:
    """A map turned round shows who is looked at as who looks."""
    looks = looks_of(steps=3, goals=1)
    figure = attention_figure(looks)
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    maps = [image for image in images if image is not None and image.shape == (13, 13)]
    assert len(maps) == 2 + 4
    expected = [*looks.weights.mean(1), *looks.weights.reshape(4, 13, 13)]
    values = np.array([token.part == "value" for token in looks.tokens])
    for image, weights in zip(maps, expected, strict=True):
        masked = np.ma.getmaskarray(image)
        np.testing.assert_allclose(np.ma.getdata(image), weights)
        assert masked[np.triu_indices(13, 1)].all()
        assert masked[values].all() and masked[:, values].all()
        assert not masked[np.ix_(~values, ~values)][np.tril_indices(10)].any()
    assert figure.get_supxlabel() == "All of it."


def test_bars_and_numbers_are_the_shares() -> None:
    """What is written in the figure must be what the table says."""
    looks = looks_of(steps=3, goals=1)
    figure = attention_figure(looks)
    backs = [axes for axes in figure.axes if axes.patches and len(axes.patches) == 3]
    assert len(backs) == 2
    for layer, axes in enumerate(backs):
        heights = [patch.get_height() for patch in axes.patches]  # type: ignore[attr-defined]
        np.testing.assert_allclose(heights, looks.by_steps_back()[layer].mean(0))
    names, found = now_and_before(looks, 1)
    assert names == [
        "goal_observation", "observation before", "action before", "observation now", "action now",
    ]  # fmt: skip
    own = [s for s in looks.shares() if s.layer == 1 and s.from_part == "action"]
    before = [s.share for s in own if s.to_part == "observation" and s.steps_back in (1, 2)]
    assert found[1, 1] == pytest.approx(sum(before) / 2)
    np.testing.assert_allclose(found.sum(1), 1)
    written = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert [f"{100 * share:.0f}" for share in found.flatten()] in written


def test_the_strongest_ways() -> None:
    """Of all heads together: one head's whim is not the layer's way."""
    looks = looks_of(steps=3)
    ways = strongest(looks, 2, count=100)
    means: dict[tuple[str, str, int | None], float] = {}
    for share in looks.shares():
        if share.layer == 2:
            way = share.from_part, share.to_part, share.steps_back
            means[way] = means.get(way, 0.0) + share.share / 2
    assert [one.share for one in ways] == pytest.approx(sorted(means.values(), reverse=True))
    for one in ways:
        assert means[one.from_part, one.to_part, one.steps_back] == pytest.approx(one.share)


def test_one_head_is_not_drawn_twice() -> None:
    """The mean over one head is that head."""
    looks = looks_of(steps=2, heads=1)
    figure = attention_figure(looks)
    maps = [axes for axes in figure.axes if axes.images and axes.images[0].get_size() == (8, 8)]
    assert len(maps) == 2 and maps[0].get_title() == "attention"
