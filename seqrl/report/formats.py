"""Formats: a summary written as Markdown, CSV, LaTeX or JSON; equal summaries give equal bytes."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any, Literal, get_args

from seqrl.progress import one_line
from seqrl.report.blocks import Block
from seqrl.report.captions import each
from seqrl.report.series import ProfilePoint, Series
from seqrl.report.summary import Summary
from seqrl.report.tables import Estimate, Sample, ScoreTable
from seqrl.runs.record import RunRecord

Format = Literal["md", "csv", "latex", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

DIGITS = 6
"""Decimals of numbers that a program reads; the last bits differ between machines."""


def written(summary: Summary, format_: Format) -> str:
    """Write a summary."""
    ways: dict[Format, Callable[[Summary], str]] = {
        "md": as_markdown,
        "csv": as_csv,
        "latex": as_latex,
        "json": as_json,
    }
    return ways[format_](summary)


# ---- for people ----------------------------------------------------------------------------------


def as_markdown(summary: Summary) -> str:
    """Write it for a terminal, a README, a pull request."""
    first, *others = map(_block_md, summary.blocks)
    caption = "\n".join(f"- {_md(line)}" for line in summary.caption.split("\n"))
    return "\n\n".join([f"# {_md(summary.title)}", first, caption, *others]) + "\n"


def _block_md(block: Block) -> str:
    lines = [block.head, ["---", *("---:" for _ in block.head[1:])], *block.rows]
    table = "\n".join(f"| {' | '.join(map(_md, line))} |" for line in lines)
    notes = "".join(f"\n\n{_md(note)}" for note in block.notes)
    return f"**{_md(block.title)}**\n\n{table}{notes}"


def _md(text: str) -> str:
    """Write text so that Markdown shows it as it is, in one line, and never as HTML."""
    plain = one_line(text).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    return MARKING.sub(r"\\\g<0>", plain)


MARKING = re.compile(r"[|*`~]|(?<![^\W_])_|_(?![^\W_])|(?<=\])\(")
"""What Markdown would take for more than letters: _ at an end of a word, ( behind ]: a link."""

LATEX = {
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    ">": r"\textgreater{}",
    "<": r"\textless{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    **{letter: rf"\{letter}" for letter in "&%$#_{}"},
}


def as_latex(summary: Summary) -> str:
    """Write it for a paper: tables of package booktabs, one a block; the first has the caption."""
    caption = " ".join([summary.title + ".", *summary.caption.split("\n")])
    parts = ["% needs \\usepackage{booktabs}"]
    parts += [
        _block_latex(block, caption if n == 0 else "") for n, block in enumerate(summary.blocks)
    ]
    return "\n\n".join(parts) + "\n"


def _block_latex(block: Block, caption: str) -> str:
    said = " ".join([block.title + ".", *block.notes, *filter(None, [caption])])
    rows = [_row_latex(row) for row in block.rows]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{l{'r' * (len(block.head) - 1)}}}",
            r"\toprule",
            _row_latex(block.head),
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{_latex(said)}}}",
            r"\end{table}",
        ]
    )


def _row_latex(cells: Sequence[str]) -> str:
    # Braces in front: a row that begins with [ would be read as an argument of the line before.
    return "{}" + " & ".join(map(_latex, cells)) + r" \\"


def _latex(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in one_line(text))


# ---- for programs --------------------------------------------------------------------------------


def as_csv(summary: Summary) -> str:
    """Write one row a cell, with all that its number must not be told without."""
    table = summary.table
    return rows_as_csv(
        [_row(summary, agent, task) for task in table.tasks for agent in table.agents]
    )


def rows_as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows that all have the same columns; what a terminal would obey is shown."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [*rows[0]], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: one_line(v) if isinstance(v, str) else v for k, v in row.items()})
    return out.getvalue()


def _row(summary: Summary, agent: str, task: str) -> dict[str, Any]:
    cell = summary.table.cells[agent, task]
    found = [r for r in summary.records if (r.name, r.task["name"]) == (agent, task)]
    return {
        "task": task,
        "agent": agent,
        "unit": summary.table.unit(task),
        **_numbers(cell),
        "failed": cell.failed,
        "missing": cell.missing,
        "error_kind": "SD over seeds (n-1)",
        "interval": "95% t interval of the mean" if cell.interval else "",
        "seeds": " ".join(map(str, cell.values)),
        "values": " ".join(repr(_rounded(value)) for value in cell.values.values()),
        **about(found),
    }


def _numbers(sample: Sample) -> dict[str, Any]:
    mean, deviation = _rounded(sample.mean), _rounded(sample.deviation)
    return {"mean": mean, "sd": deviation, "n": sample.n, **_ends(sample)}


def _ends(of: Sample | Estimate | ProfilePoint) -> dict[str, float | None]:
    """Return an interval's ends, and the shares of simulated ones that held the truth."""
    low, high = (of.interval.low, of.interval.high) if of.interval else (None, None)
    normal, real = (of.coverage.normal, of.coverage.least) if of.coverage else (None, None)
    return {
        "low": _rounded(low),
        "high": _rounded(high),
        "held_on_normal_data": normal,
        "held_on_real_runs": real,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS) + 0.0


def about(records: Sequence[RunRecord]) -> dict[str, str]:
    """Say what numbers of these records are of; where they differ, all that there is."""

    def of(value: Callable[[RunRecord], Any]) -> str:
        return each(value(record) for record in records)

    return {
        "kind": of(lambda r: r.kind),
        "environment": of(lambda r: r.task["environment"]),
        "fingerprint": of(lambda r: r.data["fingerprint"]),
        "episodes": of(lambda r: r.identity["evaluation"]["episodes"]),
        "checkpoint_rule": of(lambda r: r.checkpoint_rule),
        "target_rule": of(lambda r: r.facts.get("target_rule", "")),
        "target_return": of(lambda r: r.facts.get("target_return", "")),
        "window_rule": of(lambda r: r.facts.get("window_rule", "")),
        "updates": of(lambda r: r.agent["training"]["updates"]),
        "changed": of(lambda r: " ".join(r.changed)),
        "training_precision": of(lambda r: r.identity["training_precision"]),
        "experiment": of(lambda r: r.experiment),
        "protocol": of(lambda r: r.identity["protocol"]),
        **{
            package: each(record.versions[package] for record in records)
            for package in ("seqrl", "torch", "gymnasium", "mujoco")
        },
        "records": " ".join(record.hash[:8] for record in records),
    }


def as_json(summary: Summary) -> str:
    """Write numbers and words."""
    table = summary.table
    content = {
        "title": summary.title,
        "cells": [
            {**_row(summary, agent, task), "values": _values(table.cells[agent, task])}
            for task in table.tasks
            for agent in table.agents
        ],
        "data": {task: _rounded(value) for task, value in table.data.items()},
        "differences": [
            {"first": a, "second": b, "task": t, **_numbers(table.paired(a, b, t))}
            for a, b in combinations(table.agents, 2)
            for t in table.tasks
        ],
        "over_tasks": [_over_tasks(table, agent) for agent in table.agents]
        if table.can_be_summed_up
        else [],
        "improvement": [
            {"first": a, "second": b, **_estimated(found)}
            for a, b in combinations(table.agents, 2)
            if (found := table.improvement(a, b))
        ],
        "blocks": [asdict(block) for block in summary.blocks],
        "caption": summary.caption.split("\n"),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _values(sample: Sample) -> dict[int, float | None]:
    return {seed: _rounded(value) for seed, value in sample.values.items()}


def _over_tasks(table: ScoreTable, agent: str) -> dict[str, Any]:
    sums = table.aggregates(agent).items()
    return {
        "agent": agent,
        **_numbers(table.over_tasks(agent)),
        "aggregates": {kind: _estimated(found) for kind, found in sums},
    }


def _estimated(found: Estimate) -> dict[str, float | None]:
    return {"value": _rounded(found.value), **_ends(found)}


# ---- what figures show ---------------------------------------------------------------------------


def series_as_csv(shown: Iterable[Series], summary: Summary) -> dict[str, str]:
    """Write series that have points, by their names: one row a point, with all that its number must
    not be told without."""
    runs = {record.hash[:8]: _about_run(record) for record in summary.records}
    return {one.name: _series(one, summary, runs) for one in shown}


def _series(series: Series, summary: Summary, runs: Mapping[str, Mapping[str, Any]]) -> str:
    also = {"checkpoint_rule": "each that was evaluated"} if series.all_checkpoints else {}
    rows = []
    for point in series.points:
        known = {**runs[point.hash], **also}
        own = {
            "task": point.task,
            "agent": point.agent,
            "seed": point.seed,
            **({series.x.replace(" ", "_"): point.x} if series.x else {}),
            series.y.replace(" ", "_"): point.y,
            **({"unit": summary.table.unit(point.task)} if series.y == "score" else {}),
        }
        assert not own.keys() & known.keys(), "a run's number in the place of a point's"
        rows.append({**own, **known})
    return rows_as_csv(rows)


def _about_run(record: RunRecord) -> dict[str, Any]:
    known = {f"run_{key}" if key == "updates" else key: v for key, v in about([record]).items()}
    return {**known, **{key: record.machine.get(key) for key in ("processor", "threads")}}


def profile_as_csv(points: Sequence[ProfilePoint], summary: Summary) -> str:
    """Write one row a point of a profile."""
    return rows_as_csv(
        [
            {
                "tasks": " ".join(summary.table.tasks),
                "agent": point.agent,
                "score": point.above,
                "share_above": point.share,
                **_ends(point),
                **about([record for record in summary.records if record.name == point.agent]),
            }
            for point in points
        ]
    )
