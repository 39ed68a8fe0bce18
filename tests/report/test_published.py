"""What others have published is shown as they printed it, and never as ours."""

from collections import Counter
from statistics import fmean

import pytest

from seqrl.report.published import FROM, block_for, counterpart, published, sources

NINE = [
    f"{body}-{data}-v2"
    for body in ("halfcheetah", "hopper", "walker2d")
    for data in ("medium-expert", "medium", "medium-replay")
]


@pytest.mark.parametrize(
    ("source", "agent", "printed"),
    [
        ("DT2021", "DT", 74.7),
        ("DT2021", "CQL", 63.9),
        ("DT2021", "BEAR", 48.2),
        ("TT2021", "TT(quantile)", 78.9),
        ("TT2021", "TT(uniform)", 72.6),
        ("Diffuser2022", "Diffuser", 77.5),
    ],
)
def test_averages_are_the_printed_ones(source: str, agent: str, printed: float) -> None:
    """One digit lost in one cell moves the average that the source itself prints."""
    cells = {o.task: o.mean for o in published() if (o.source, o.agent) == (source, agent)}
    assert fmean(cells[task] for task in NINE) == pytest.approx(printed, abs=0.051)


def test_every_number_has_a_source() -> None:
    """A number without one is a rumour; a cell that is there twice is one of two."""
    assert {one.source for one in published()} == {*sources()}
    for about in sources().values():
        assert about["citation"] and about["read_in"] and about["trust"][0] in "ABC"
    cells = Counter((one.source, one.agent, one.task) for one in published() if one.source in FROM)
    assert max(cells.values()) == 1


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("seqrl/hopper-medium-v1", "hopper-medium-v2"),
        ("seqrl/walker2d-medium-snapshots-v1@v5", "walker2d-medium-replay-v2"),
        ("d4rl/halfcheetah-medium-expert-v2+tail", "halfcheetah-medium-expert-v2"),
    ],
)
def test_counterparts(task: str, expected: str) -> None:
    """A column beside the wrong one compares nothing."""
    assert counterpart(task) == expected


def test_a_block_says_what_differs() -> None:
    """Beside a table on embedded data it must not pass for numbers on the same data."""
    block = block_for(["seqrl/hopper-medium-v1", "d4rl/walker2d-medium-v2", "file/mine+1"])
    assert block is not None and block.head[1:] == (
        "d4rl/hopper-medium-v2",
        "d4rl/walker2d-medium-v2",
    )
    rows = {cells[0]: cells[1:] for cells in block.rows}
    assert rows["DT, DT2021"] == ("67.6 ± 1.0", "74.0 ± 1.4")
    assert rows["TT(uniform), TT2021"][0] == "67.4 ± 2.9"
    assert "DT, TT2021" not in rows, "the authors of TT copied it"
    assert "seqrl/hopper-medium-v1 is not d4rl/hopper-medium-v2." in block.notes[0]
    assert "walker2d" not in block.notes[0], "that one is"
    assert any("standard error over 15 rollouts" in note for note in block.notes)


def test_all_that_ran_them_again_are_shown() -> None:
    """CORL writes "10% BC"; a name that is looked for in vain leaves a row out, silently."""
    block = block_for(["seqrl/hopper-medium-v1"])
    assert block is not None
    rows = {name: cell for name, cell in block.rows}
    assert rows["10%BC, CORL_last"] == "55.5 ± 7.3" and rows["10%BC, DT2021"] == "65.9"
    assert [*rows] == [
        *("DT, DT2021", "DT, CORL_last", "DT, d3rlpy_final"),
        *("TT(quantile), TT2021", "TT(uniform), TT2021"),
        *("BC, DT2021", "BC, CORL_last", "10%BC, DT2021", "10%BC, CORL_last"),
    ]


def test_what_is_copied_and_what_is_not() -> None:
    """Of a source, each agent by its own notes."""
    copied = {(one.source, one.agent, one.task): one.copied for one in published()}
    assert not copied["TT2021", "TT(+Q)", "antmaze-umaze-v0"]
    assert copied["TT2021", "DT", "antmaze-umaze-v0"]
    assert not copied["RvS2022", "DT", "hopper-random-v2"]
    assert copied["RvS2022", "DT", "hopper-medium-v2"]
    assert copied["RATE2025", "DMamba", "hopper-medium-v2"]


def test_nothing_is_shown_beside_what_nobody_has_tried() -> None:
    """An empty table under one's own data looks like a failure of somebody's."""
    assert block_for(["file/mine+1a2b3c4d"]) is None
    assert block_for(["seqrl/hopper-tiny-v1"]) is None
