"""The figure of plans: branches begin where they were made, bodies stand as imagined."""

from typing import Any

import numpy as np

from seqrl.report.plans import POSES, plans_figure
from tests.report.making import imagined_of


def lines_of(axes: Any) -> list[np.ndarray]:
    return [np.array(line.get_xydata(), float) for line in axes.get_lines()]


def test_branches_leave_what_came_where_they_were_made() -> None:
    """A plan drawn a step off looks like a mistake of the agent's, or hides one."""
    imagined = imagined_of([0, 4], horizon=3, length=5, bodies=False)
    figure = plans_figure(imagined)
    assert len(figure.axes) == 3 * 2
    for number, axes in enumerate(figure.axes):
        column, plan = number // 2, imagined.plans[number % 2]
        when, came, believed, *end = lines_of(axes)
        assert (when[:, 0] == plan.step).all()
        steps = came[:, 0].astype(int)
        np.testing.assert_array_equal(came[:, 1], imagined.simulated[steps, column])
        assert steps.max() == min(plan.step + 2, 5)
        np.testing.assert_array_equal(believed[:, 0], plan.step + np.arange(3))
        np.testing.assert_array_equal(believed[:, 1], plan.imagined[:, column])
        assert bool(end) == plan.ends
    assert figure.get_supxlabel() == "All of it."
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said == ["as imagined", "as it came", "imagined end"]


def test_bodies_stand_side_by_side() -> None:
    """One strip a plan, with no more bodies than the eye can use, and none behind the end."""
    imagined = imagined_of([0, 17], horizon=15, length=20, bodies=True)
    figure = plans_figure(imagined)
    strips = [axes for axes in figure.axes if axes.collections]
    titles = [axes.get_title() for axes in strips]
    assert titles == ["planned at step 0", "planned at step 17"]
    # Of the steps 17 + 0, 3, 6, 8, 11, 14 the episode had two.
    assert [len(axes.collections) for axes in strips] == [2 * POSES, POSES + 2]
    first = strips[0].collections
    for body in range(POSES):
        places = [np.array(first[i].get_paths()[0].vertices) for i in (body, POSES + body)]
        np.testing.assert_allclose(places[0], places[1], err_msg="imagined as it came")
        if body:
            shift = float(strips[0].get_xticks()[body])
            step = round(body * 14 / (POSES - 1))
            np.testing.assert_allclose(
                places[0].mean(0) - np.array(first[0].get_paths()[0].vertices).mean(0),
                [shift + 4 * step, 4 * step],
            )


def test_an_end_at_once_is_drawn_too() -> None:
    """An agent that imagines nothing but the end must not end the command."""
    imagined = imagined_of([0], horizon=0, length=5, bodies=True)
    assert plans_figure(imagined).axes
