"""The page: one file of HTML with everything that records say, folded up to what matters most.

It loads nothing and runs nothing, and tells the browser to hold it to that. What stands in records
may come from anybody: it is text here, whatever it looks like. A pure function of records.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from seqrl.progress import counted
from seqrl.report.drill_down import ends_of, one_decimal, run_details, scrolled
from seqrl.report.html import Markup, style_sheet, tag, together
from seqrl.report.style import SHEET
from seqrl.report.tables import ScoreTable, caption, in_order, score_table
from seqrl.runs.record import RunRecord


@dataclass(frozen=True, kw_only=True)
class Block:
    """A table, and what must be said under it."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    """The first cell of each names it."""
    notes: Sequence[str]


def page(records: Iterable[RunRecord]) -> str:
    """Make the page. Equal records make equal pages, in whatever order they come."""
    found = in_order(records)
    table = score_table(found)
    return "<!DOCTYPE html>\n" + _document(found, table).source + "\n"


def _document(records: Sequence[RunRecord], table: ScoreTable) -> Markup:
    tasks = ", ".join(table.tasks)
    title = f"Scores on {tasks}"
    body = [
        tag("h1", title),
        *(tag("p", line) for line in sources(table.tasks)),
        _contents(),
        tag("h2", "Scores", id="scores"),
        _block(_scores(table)),
        *(tag("p", line, class_="note") for line in caption(records).splitlines()),
        *_runs(records, table),
    ]
    return tag("html", _head(title), tag("body", tag("main", *body)), lang="en")


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


# ---- tables --------------------------------------------------------------------------------------


def _scores(table: ScoreTable) -> Block:
    heads = [f"{task} (return)" if task in table.in_returns else task for task in table.tasks]
    rows = [[agent, *(str(table.cells[agent, t]) for t in table.tasks)] for agent in table.agents]
    data = [one_decimal(table.data.get(task)) for task in table.tasks]
    notes = ["Columns with (return) have no reference returns: they show returns."]
    return Block(
        title="Mean score and standard deviation over seeds",
        head=["agent", *heads],
        rows=[*rows, ["data", *data]],
        notes=notes if table.in_returns else [],
    )


def _block(block: Block) -> Markup:
    rows = [
        tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in rest))
        for first, *rest in block.rows
    ]
    made = tag(
        "table",
        tag("caption", block.title),
        tag("thead", tag("tr", *(tag("th", title, scope="col") for title in block.head))),
        tag("tbody", *rows),
    )
    notes = [tag("p", note, class_="note") for note in block.notes]
    return together(scrolled(made, block.title), *notes)


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
