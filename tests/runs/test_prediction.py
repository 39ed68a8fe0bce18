"""The table of a prediction: what is averaged over what, and what every row says."""

import csv
from pathlib import Path

import numpy as np
import pandas
import pytest

from seqrl.runs.prediction import mean_errors, write_prediction
from tests.report.making import prediction_of


def test_episodes_count_once_each() -> None:
    """Stretches of one episode are no independent measurements: the error would look too sure."""
    generator = np.random.default_rng(0)
    errors, episodes = generator.random((7, 4)), [0, 0, 0, 2, 2, 5, 9]
    errors[[1, 5], 2:] = errors[3, 1:] = np.nan
    errors[:6, 3] = np.nan
    found = mean_errors("m", errors, episodes)
    assert [row.horizon for row in found] == [1, 2, 3, 4]
    for row, column in zip(found, errors.T, strict=True):
        there = pandas.DataFrame({"episode": episodes, "error": column}).dropna()
        means = there.groupby("episode")["error"].mean()
        assert row.error == pytest.approx(means.mean())
        assert (row.stretches, row.episodes) == (len(there), len(means))
        if len(means) > 1:
            assert row.standard_error == pytest.approx(means.sem())
    assert found[3].standard_error is None and found[3].episodes == 1
    errors[6, 3] = np.nan
    assert len(mean_errors("m", errors, episodes)) == 3, "of what nobody reaches, nothing is said"


def test_every_row_says_what_it_is_of(tmp_path: Path) -> None:
    """A row that has been copied elsewhere must not be told without its data and checkpoint."""
    prediction = prediction_of({"checkpoint": [0.1, 1 / 3], "bins": [0.25, 0.5]})
    write_prediction(tmp_path / "a.csv", prediction)
    with (tmp_path / "a.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert [(row["model"], int(row["horizon"]), float(row["error"])) for row in rows] == [
        ("checkpoint", 1, 0.1), ("checkpoint", 2, 1 / 3), ("bins", 1, 0.25), ("bins", 2, 0.5),
    ]  # fmt: skip
    assert [row["standard_error"] for row in rows] == ["0.01", "", "0.01", ""]
    for row in rows:
        assert prediction.about.items() <= row.items()
        assert (row["episodes_played"], row["checkpoint_window"]) == ("3", "4")
