"""`seqrl table`, `seqrl figures`, `seqrl page`: what records come to."""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqrl.cli.output import remark, say, shown_progress
from seqrl.cli.reading import (
    AGENT,
    CHANGED,
    EXPERIMENT,
    MIXED,
    PLACES,
    SEED,
    TASK,
    kinds_in,
    records_at,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


GLYPH = re.compile(r"Glyph (\d+) .* missing from font")
"""What matplotlib says of a letter that it cannot draw."""


def table(
    places: PLACES = None,
    format_: Annotated[
        str, typer.Option("--format", help="md, csv, latex or json.", show_default=True)
    ] = "md",
    out: Annotated[
        Path | None, typer.Option(help="Write it to this file; else it is printed.")
    ] = None,
    experiment: EXPERIMENT = None,
    task: TASK = None,
    agent: AGENT = None,
    changed: CHANGED = None,
    seed: SEED = None,
    mixed: MIXED = "",
) -> None:
    """Make a table of scores: agents x tasks, mean ± standard deviation over seeds; intervals,
    paired differences, sums over tasks; what others have published; and a caption that says what
    the numbers must not be told without.

    Equal records make equal bytes. A sweep may be half finished: what is missing or failed is seen.
    An interval is printed only where it was measured how often it holds the truth.

    seqrl table results --task 'hopper-*' --format latex --out hopper.tex
    """
    from seqrl.errors import UnknownName
    from seqrl.report.formats import FORMATS, written
    from seqrl.report.summary import summary_of

    if format_ not in FORMATS:
        raise UnknownName(f"--format {format_}: there are {', '.join(FORMATS)}.")
    records, left_out = records_at(
        places, experiment=experiment, task=task, agent=agent, changed=changed, seed=seed
    )
    text = written(summary_of(records, mixed=kinds_in(mixed), left_out=left_out), format_)
    if out is None:
        say(text.rstrip("\n"))
        return
    write(out, text)
    say(f"written to {out}")


def figures(
    places: PLACES = None,
    out: Annotated[Path, typer.Option(help="Folder for the figures.")] = Path("figures"),
    experiment: EXPERIMENT = None,
    task: TASK = None,
    agent: AGENT = None,
    changed: CHANGED = None,
    seed: SEED = None,
    mixed: MIXED = "",
) -> None:
    """Draw scores with their seeds, learning curves, score against budget, asked against achieved
    return, seconds per decision, and, from five seeds of every task on, performance profiles.

    Each is a .png, a .svg, and a .csv of the numbers behind it. What cannot be drawn is said, and
    an older figure of that name is taken away.

    seqrl figures results --task 'hopper-*' --out figures
    """
    from seqrl.progress import counted
    from seqrl.report.charts import chart, picture, profile_chart
    from seqrl.report.formats import profile_as_csv, series_as_csv
    from seqrl.report.series import all_series, profiles
    from seqrl.report.summary import summary_of

    records, left_out = records_at(
        places, experiment=experiment, task=task, agent=agent, changed=changed, seed=seed
    )
    summary = summary_of(records, mixed=kinds_in(mixed), left_out=left_out)
    table, caption = summary.table, summary.caption
    all_ = all_series(summary.records)
    shown = [series for series in all_ if series.points]
    numbers = series_as_csv(shown, summary)
    empty = {series.name: series.why_empty for series in all_ if not series.points}
    todo: dict[str, Callable[[], Figure]] = {
        series.name: partial(chart, series, table, caption) for series in shown
    }
    if points := profiles(table):
        numbers["profiles"] = profile_as_csv(points, summary)
        todo["profiles"] = partial(profile_chart, points, table, caption)
    else:
        empty["profiles"] = "they need five seeds of every task, of one kind of data"
    files: dict[str, str | bytes] = {}
    with _glyphs_told(), shown_progress() as progress:
        for done, (name, drawn) in enumerate(todo.items()):
            progress("drawing", done, len(todo), "figures", name)
            figure = drawn()
            files |= {f"{name}.{kind}": picture(figure, kind, caption) for kind in ("png", "svg")}
            files[f"{name}.csv"] = numbers[name]
        progress("drawing", len(todo), len(todo), "figures")
    for file, content in files.items():  # together: a kill should not leave half of them old
        write(out / file, content)
    for name, why in empty.items():
        older = _removed(out, name)
        gone = f" The older {', '.join(older)} in {out} are taken away." if older else ""
        remark(f"no {name}: {why}.{gone}")
    say(f"{counted(len(todo), 'figure')} in {out}, each as .png, .svg and .csv")


@contextmanager
def _glyphs_told() -> Iterator[None]:
    """Say once which letters the font of the figures lacks."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield
    lacking = {found[1] for one in seen if (found := GLYPH.match(str(one.message)))}
    if lacking:
        letters = ", ".join(chr(int(number)) for number in sorted(lacking, key=int))
        remark(f"the font of the figures has no {letters}: they are drawn as boxes.")
    for one in seen:
        if not GLYPH.match(str(one.message)):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _removed(folder: Path, name: str) -> list[str]:
    """Take away an older figure: beside new ones it would be taken for one of them. A link, or a
    pipe, is nothing that this program has made."""
    from seqrl.errors import told_plainly

    with told_plainly(folder, "taking away an older figure", "--out"):
        older = [folder / f"{name}.{kind}" for kind in ("png", "svg", "csv")]
        there = [file for file in older if file.is_file() and not file.is_symlink()]
        for file in there:
            file.unlink()
    return [file.name for file in there]


def page(
    places: PLACES = None,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("page.html"),
    experiment: EXPERIMENT = None,
    task: TASK = None,
    agent: AGENT = None,
    changed: CHANGED = None,
    seed: SEED = None,
    mixed: MIXED = "",
) -> None:
    """Make one HTML file of everything: tables, figures, and each run's settings, curve, episodes
    and versions, or why it failed.

    The file loads nothing and runs nothing: it may be sent, archived, and opened without a network.

    seqrl page results --out hopper.html --task 'hopper-*'
    """
    from seqrl.progress import counted
    from seqrl.report.page import page as page_of
    from seqrl.report.summary import summary_of

    records, left_out = records_at(
        places, experiment=experiment, task=task, agent=agent, changed=changed, seed=seed
    )
    summary = summary_of(records, mixed=kinds_in(mixed), left_out=left_out)
    write(out, page_of(summary))
    say(f"{counted(len(summary.records), 'run')} on {out}")


def write(file: Path, text: str | bytes) -> None:
    """Put something in the place of a file."""
    from seqrl.data.whole import replace_file
    from seqrl.errors import SeqrlError, told_plainly
    from seqrl.runs.records import NAME

    with told_plainly(file, "writing a report", "--out"):
        if file.is_dir():
            raise SeqrlError(f"--out {file} is a folder: name a file in it.")
        if NAME.fullmatch(file.name):
            raise SeqrlError(f"--out {file} is called as records are: choose another name.")
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, text)
