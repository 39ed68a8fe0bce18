"""What is measured with is what it says: records that count, and all that a figure needs."""

from itertools import islice
from pathlib import Path

from seqrl.runs.finding import records_below
from tests.report.thousand import AGENTS, SEEDS, TASKS, a_thousand, numbers_of_figures
from tests.runs.recorded import write_all


def test_they_count_and_are_read(tmp_path: Path) -> None:
    """What is left out takes no time."""
    assert TASKS * AGENTS * SEEDS >= 1000
    write_all(tmp_path, *islice(a_thousand(), 2 * SEEDS))
    there = records_below(tmp_path)
    assert len(there.found) == 2 * SEEDS and not there.unread
    assert {"scores", "learning-curves", "profiles"} <= numbers_of_figures(tmp_path).keys()
