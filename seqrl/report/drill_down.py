"""One run on the page: what it was made of, how it went, every episode, and why it failed.

Folded up to a line, so that a thousand of them are still a page.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import orjson

from seqrl.progress import counted
from seqrl.report.drawing import Axis, Line, lines, strip
from seqrl.report.html import Markup, each, tag, together
from seqrl.report.scores import deviation
from seqrl.runs.differences import flat
from seqrl.runs.record import RunRecord

HEAD = ("updates", "score", "return", "±", "least", "most", "fell", "seconds", "episodes")


def run_details(record: RunRecord, name: str, ends: tuple[float, float]) -> Markup:
    """Describe a run under a `name` that links lead to. `ends` are the least and the most return of
    an episode on its task."""
    return tag(
        "details",
        tag("summary", _line(record), class_="bad" if record.status == "failed" else None),
        tag("div", *_inside(record, ends), class_="inside"),
        id=name,
    )


def ends_of(records: Sequence[RunRecord]) -> tuple[float, float]:
    """Return the least and the most return of all their episodes."""
    returns = [columns["return"] for record in records for columns in record.columns]
    return min(map(min, returns), default=0.0), max(map(max, returns), default=0.0)


def _line(record: RunRecord) -> str:
    said = f"{record.name}, seed {record.seed}"
    if record.changed:
        said += f" ({', '.join(record.changed)})"
    if record.status == "failed":
        return f"{said}: failed"
    if record.score is None:
        return f"{said}: return {one_decimal(record.mean_return)}"
    return f"{said}: score {one_decimal(record.score)}"


def _inside(record: RunRecord, ends: tuple[float, float]) -> list[Markup]:
    said = [tag("p", record.caption(), class_="note")]
    if record.error:
        said.append(tag("pre", "\n" + record.error))
    if record.evaluations:
        said += [_evaluations(record, ends), *_curve(record), _every_return(record)]
    about = {
        "hash": record.hash,
        "experiment": record.experiment,
        "changed": list(record.changed),
        "written": record.written,
    }
    return [
        *said,
        _listed("Run", about),
        _listed("Settings of the agent", record.agent),
        _listed("What it says of itself on this data", record.facts),
        _listed("Training", record.training),
        _listed("Data", record.data),
        _listed("Task", record.task),
        _listed("What the hash covers besides agent and seed", record.identity),
        _listed("Checkpoint", record.checkpoint or {}),
        _listed("Versions", record.versions),
        _listed("Machine", record.machine),
    ]


@cache
def _head() -> Markup:
    return tag("thead", tag("tr", *(tag("th", title, scope="col") for title in HEAD)))


def _evaluations(record: RunRecord, ends: tuple[float, float]) -> Markup:
    both = zip(record.evaluations, record.columns, strict=True)
    rows = [_evaluation(one, columns, ends) for one, columns in both]
    least, most = map(one_decimal, ends)
    return scrolled(
        tag(
            "table",
            tag(
                "caption",
                "Evaluations: mean, standard deviation, least and most of the episodes' returns; "
                f"each stroke is one episode, from {least} to {most}",
            ),
            _head(),
            tag("tbody", *rows),
        ),
        f"Evaluations of {record.name} on {record.task['name']}, seed {record.seed}",
    )


def _evaluation(
    one: Mapping[str, Any], columns: Mapping[str, Sequence[Any]], ends: tuple[float, float]
) -> Markup:
    returns, fell = columns["return"], columns["terminated"]
    cells = (
        one_decimal(one["score"]),
        one_decimal(one["return"]),
        one_decimal(deviation(returns)),
        one_decimal(min(returns)),
        one_decimal(max(returns)),
        "-" if None in fell else str(fell.count(True)),
        one_decimal(one["seconds"]),
    )
    return tag(
        "tr",
        tag("th", _after(one), scope="row"),
        each("td", cells),
        tag("td", f"{len(returns)} ", strip(returns, *ends)),
    )


def _curve(record: RunRecord) -> list[Markup]:
    what = "return" if record.score is None else "score"
    places = [
        (float(one["update"]), float(one[what]))
        for one in record.evaluations
        if isinstance(one.get("update"), int)
    ]
    if len(places) < 2:
        return []
    told = ", ".join(f"{y:,.1f} after {x:,.0f} updates" for x, y in places)
    title = f"Learning curve of {record.name}, seed {record.seed}"
    line = Line(style=0, places=places, drawn="with markers")
    return [lines(title, told, [line], Axis(title="updates", also=(0,)), Axis(title=what))]


def _every_return(record: RunRecord) -> Markup:
    number = sum(len(columns["return"]) for columns in record.columns)
    return tag(
        "details",
        tag("summary", f"Returns of all {counted(number, 'episode')}"),
        *(
            tag("p", f"After {_after(one)} updates: {_list(columns['return'])}", class_="returns")
            for one, columns in zip(record.evaluations, record.columns, strict=True)
        ),
    )


def _after(one: Mapping[str, Any]) -> str:
    update = one.get("update")
    return f"{update:,}" if isinstance(update, int) else "?"


def _list(returns: Sequence[float]) -> str:
    return ", ".join([f"{value:z.1f}" for value in returns])


# ---- plain data ----------------------------------------------------------------------------------


def _listed(title: str, plain: Mapping[str, Any]) -> Markup:
    return _list_of(title, orjson.dumps(plain, option=orjson.OPT_SORT_KEYS))


@cache
def _list_of(title: str, content: bytes) -> Markup:
    """List plain data; of a thousand runs most have the same."""
    rows = [
        together(tag("dt", name), tag("dd", _said(value)))
        for name, value in flat(orjson.loads(content)).items()
    ]
    if not rows:
        return together()
    return tag("details", tag("summary", title), tag("dl", *rows))


def _said(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value)) or "-"
    return "-" if value is None else str(value)


def one_decimal(value: float | None) -> str:
    """Write a number with one decimal and no minus before a zero; nothing as a dash."""
    return "-" if value is None else f"{value:z,.1f}"


def scrolled(table: Markup, label: str) -> Markup:
    """Put a table into a box of its own that scrolls where the page is narrow."""
    return tag("section", table, class_="scroll", tabindex="0", aria_label=label)
