"""The page: one file of HTML with everything that records say, folded up to what matters most.

It loads nothing and runs nothing, and tells the browser to hold it to that. What stands in records
may come from anybody: it is text here, whatever it looks like. A pure function of records.
"""

import base64
import hashlib
from collections.abc import Sequence

from seqrl.progress import counted
from seqrl.report.blocks import Block
from seqrl.report.drill_down import ends_of, run_details, scrolled
from seqrl.report.html import Markup, style_sheet, tag
from seqrl.report.panels import figures, profiles_figure
from seqrl.report.series import all_series, profiles
from seqrl.report.style import SHEET
from seqrl.report.summary import Summary
from seqrl.report.tables import ScoreTable
from seqrl.runs.record import RunRecord


def page(summary: Summary) -> str:
    """Make the page. Equal records make equal pages, in whatever order they come."""
    return f"<!DOCTYPE html>\n{_document(summary).source}\n"


def _document(summary: Summary) -> Markup:
    table = summary.table
    first, *others = summary.blocks
    body = [
        tag("h1", summary.title),
        *(tag("p", line) for line in sources(table.tasks)),
        _contents(),
        tag("h2", "Scores", id="scores"),
        *_block(first),
        *(tag("p", line, class_="note") for line in summary.caption.split("\n")),
        *(piece for block in others for piece in _block(block)),
        tag("h2", "Figures", id="figures"),
        *figures(all_series(summary.records), table),
        *profiles_figure(profiles(table), table),
        *_runs(summary.records, table),
    ]
    return tag("html", _head(summary.title), tag("body", tag("main", *body)), lang="en")


def _head(title: str) -> Markup:
    digest = base64.b64encode(hashlib.sha256(SHEET.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        style_sheet(SHEET),
    )


def sources(tasks: Sequence[str]) -> list[str]:
    """Say which of the data are D4RL's, and which are not."""
    kinds = {
        "d4rl/": "Official D4RL data: {}.",
        "seqrl/": "Not D4RL data: {}. Other policies played these sets, in today's simulator.",
        "minari/": "Not D4RL data: {}. They are Farama's, of other policies and environments.",
        "file/": "Not D4RL data: {}. They are somebody's own files.",
    }
    said = []
    for start, sentence in kinds.items():
        if own := [task for task in tasks if task.startswith(start)]:
            said.append(sentence.format(", ".join(own)))
    if not any(task.startswith("d4rl/") for task in tasks):
        said.insert(0, "Nothing here was verified on official D4RL data.")
    return said


def _contents() -> Markup:
    links = {"scores": "Scores", "figures": "Figures", "runs": "Runs"}
    items = [tag("li", tag("a", text, href=f"#{name}")) for name, text in links.items()]
    return tag("nav", tag("ul", *items), aria_label="Contents")


def _block(block: Block) -> list[Markup]:
    rows = [
        tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in rest))
        for first, *rest in block.rows
    ]
    made = tag(
        "table",
        tag("caption", tag("h3", block.title)),
        tag("thead", tag("tr", *(_head_of(title) for title in block.head))),
        tag("tbody", *rows),
    )
    notes = [tag("p", note, class_="note") for note in block.notes]
    return [scrolled(made, block.title), *notes]


def _head_of(title: str) -> Markup:
    """Make the head of a column; a full data name may break behind its family."""
    family, slash, rest = title.partition("/")
    return tag("th", family + slash, *([tag("wbr")] if slash else []), rest, scope="col")


# ---- runs ----------------------------------------------------------------------------------------


def _runs(records: Sequence[RunRecord], table: ScoreTable) -> list[Markup]:
    names = {id(record): f"run-{number}" for number, record in enumerate(records, 1)}
    failed = [record for record in records if record.status == "failed"]
    said = [tag("h2", "Runs", id="runs"), tag("p", f"{counted(len(records), 'run')}. Each opens.")]
    if failed:
        links = [
            tag("li", tag("a", _which(record), href=f"#{names[id(record)]}")) for record in failed
        ]
        said += [tag("p", f"{counted(len(failed), 'run')} failed:"), tag("ul", *links)]
    for task in table.tasks:
        own = [record for record in records if record.task["name"] == task]
        ends = ends_of(own)
        said.append(tag("h3", task))
        said += [run_details(record, names[id(record)], ends) for record in own]
    return said


def _which(record: RunRecord) -> str:
    return f"{record.name} on {record.task['name']}, seed {record.seed}"
