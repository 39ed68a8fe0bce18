"""The real runs that statistics are tried on are those that were published."""

from statistics import fmean

import pytest

from seqrl.report.per_seed import Which, per_seed
from seqrl.report.published import published


@pytest.mark.parametrize(("which", "mean"), [("final", 68.8), ("best", 80.8)])
def test_means_are_the_published_ones(which: Which, mean: float) -> None:
    """A file with columns exchanged, or a row lost, is still a file of plausible scores."""
    found = per_seed(which)
    assert len(found) == 9 and all(len(scores) == 10 for scores in found.values())
    assert fmean(scores.mean() for scores in found.values()) == pytest.approx(mean, abs=0.06)
    printed = {
        one.task: one.mean
        for one in published()
        if (one.source, one.agent) == (f"d3rlpy_{which}", "DT")
    }
    for task, scores in found.items():
        assert scores.mean() == pytest.approx(printed[task], abs=0.06), task
