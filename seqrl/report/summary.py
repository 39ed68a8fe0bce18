"""A summary of records: title, numbers, blocks of words, caption. Tables and the page show it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from seqrl.report.belonging import Kind, in_order
from seqrl.report.blocks import Block, blocks_of, title_of
from seqrl.report.captions import caption
from seqrl.report.tables import Asked, ScoreTable, score_table
from seqrl.runs.record import RunRecord


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All that is said of some records."""

    title: str
    """The full names of the data."""
    table: ScoreTable
    blocks: tuple[Block, ...]
    """The first is the table of scores."""
    caption: str
    records: tuple[RunRecord, ...]
    """Those that count, in a fixed order."""


def summary_of(
    records: Iterable[RunRecord],
    asked: Sequence[Asked] = (),
    mixed: Collection[Kind] = (),
    left_out: int = 0,
) -> Summary:
    """Sum up records; what does not belong together is refused, but for what is `mixed`. How many
    files were `left_out` before is said."""
    found = in_order(records)
    table = score_table(found, asked, mixed)
    return Summary(
        title=title_of(table),
        table=table,
        blocks=tuple(blocks_of(table)),
        caption=caption(found, left_out),
        records=tuple(found),
    )
