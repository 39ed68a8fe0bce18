"""`seqrl audit`: which cells of anybody's table can be compared."""

from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from seqrl.cli.output import remark, say, say_json, say_table
from seqrl.cli.tasks import JSON


def audit(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE.csv",
            help="One row a cell: agent, task, mean; and, as far as known, error, error_kind, "
            "n_seeds, episodes, environment, checkpoint, target, source_key, notes.",
        ),
    ],
    as_json: JSON = False,
) -> None:
    """Say which cells of a table of scores cannot be compared with the others of their column, and
    why: other data or environments, a checkpoint or target chosen by its score, numbers copied from
    elsewhere, another scale; and what they do not say.

    Reads what `seqrl table --format csv` writes, and anybody's table, for instance

    agent,task,mean,error,error_kind,n_seeds,environment,checkpoint
    DT,hopper-medium-v2,67.6,1.0,SD over seeds,3,Hopper-v3,last

    Ends with status 1 if anything is known to differ within a column, 0 if not.
    """
    from dataclasses import asdict

    from seqrl.errors import DataError, told_plainly
    from seqrl.progress import one_line, ranges
    from seqrl.report.audit import audit as audited

    with told_plainly(table, "reading a table", None):
        content = table.read_bytes()
    try:
        found = audited(content.decode("utf-8-sig"), str(table))
    except UnicodeDecodeError as error:
        raise DataError(f"{table} is no text in UTF-8: a table to audit is CSV.") from error
    cells = found.cells
    counts = Counter(cell.verdict for cell in cells)
    if as_json:
        say_json(
            [{**asdict(cell), "column": cell.column, "verdict": cell.verdict} for cell in cells]
        )
    else:
        for column, own in groupby(cells, lambda cell: cell.column):
            say(one_line(column))
            rows = [
                [
                    f"  {cell.said['agent']}",
                    cell.said["source"],
                    cell.said["mean"],
                    cell.verdict,
                    "; ".join(reason.said for reason in cell.reasons),
                ]
                for cell in own
            ]
            say_table(["  agent", "source", "mean", "verdict", "why"], rows, right=(2,))
        say(
            f"Of {len(cells)} cells, {counts['comparable']} can be compared within their column; "
            f"{counts['differs']} are known to differ; {counts['not said']} do not say enough."
        )
    if found.without_number:
        lines = ranges(found.without_number)
        remark(f"{table} has no number in line {lines}: nothing is said of those.")
    if counts["differs"]:
        raise typer.Exit(1)
