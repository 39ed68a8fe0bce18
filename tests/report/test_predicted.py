"""The figure of a prediction: what is drawn stands where the numbers say."""

from dataclasses import replace

import numpy as np

from seqrl.report.predicted import prediction_caption, prediction_figure
from tests.report.making import prediction_of

ERRORS = {
    "checkpoint": [0.1, 0.2, 0.3],
    "markov": [0.2, 0.4, 0.6],
    "unchanged": [0.5, 0.6, 0.9],
    "bins": [0.05, 0.04, 0.05],
}


def test_every_line_stands_where_it_should() -> None:
    """Two models with each other's names would turn a finding round."""
    figure = prediction_figure(prediction_of(ERRORS))
    top, first, second = figure.axes
    lines = {str(line.get_label()): np.array(line.get_xydata(), float) for line in top.get_lines()}
    for label, model in {
        "DecisionTransformer, window of 4 steps": "checkpoint",
        "Markov model, one step": "markov",
        "unchanged": "unchanged",
        "bins alone": "bins",
    }.items():
        np.testing.assert_allclose(lines[label], np.stack([[1, 2, 3], ERRORS[model]], 1))
    assert len(top.collections) == 4, "a band each"
    for axes, sign, title in ((first, 1, "observation[0]"), (second, -1, "observation[3]")):
        assert axes.get_title() == title
        seen, checkpoint, markov = (line.get_ydata() for line in axes.get_lines())
        for drawn, more in ((seen, 0), (checkpoint, 1), (markov, 2)):
            np.testing.assert_array_equal(np.asarray(drawn, float), sign * (np.arange(3.0) + more))


def test_the_caption_says_what_was_measured() -> None:
    """A curve without its data, its unit and its number of episodes is a drawing."""
    prediction = prediction_of(ERRORS)
    caption = prediction_caption(prediction)
    for said in (
        "seqrl/hopper-medium-v1", "01234567", "fedcba98", "Hopper-v4",
        "3 episodes (plans 5 steps), seed 7",
        "Markov model aabbccdd: trained alike, with windows of 2 steps",
        "Bins alone: what was seen",
        "8 stretches of 2 episodes", "6 reach 3 steps ahead", "torch 2.8.0", "mujoco 3.3.0",
        "episode 1 from step 17", "16 and 84 %",
    ):  # fmt: skip
        assert said in caption
    assert "without dimensions" not in caption
    some = replace(prediction, left_out=(2, 5))
    assert "without dimensions 2, 5, which hardly vary" in prediction_caption(some)
    assert prediction_figure(prediction).get_supxlabel().replace("\n", " ") == caption


def test_without_a_markov_model() -> None:
    """What was not measured must not be in the legend."""
    errors = {model: found for model, found in ERRORS.items() if model != "markov"}
    figure = prediction_figure(prediction_of(errors))
    assert "Markov" not in figure.get_supxlabel()
    assert len(figure.axes[0].get_lines()) == 3 and len(figure.axes[1].get_lines()) == 2
