"""What a person sees, and what a program reads. Progress goes to stderr, results to stdout."""

import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from seqrl.errors import SeqrlError
from seqrl.progress import Progress, one_line, visible

PLAIN_SECONDS = 10.0
"""Where nobody looks at a terminal, progress is a line in so many seconds."""


def say(text: str = "") -> None:
    """Print a result."""
    try:
        typer.echo(text)
    except BrokenPipeError:
        raise  # whoever read has seen enough
    except OSError as error:
        raise SeqrlError(f"The result could not be printed: {error.strerror}.") from error


def tell(text: str) -> None:
    """Print lines to stderr; what they name may be called anything, and no terminal obeys it."""
    typer.echo(visible(text), err=True)


def complain(text: str) -> None:
    """Print an error, to stderr."""
    typer.secho("seqrl: ", fg=typer.colors.RED, bold=True, err=True, nl=False)
    tell(text)


def remark(text: str) -> None:
    """Print something the person should know, to stderr."""
    typer.secho("seqrl: ", fg=typer.colors.YELLOW, bold=True, err=True, nl=False)
    tell(text)


def say_json(content: Any) -> None:
    """Print plain data for a program."""
    say(json.dumps(content, indent=2, allow_nan=False))


def one_decimal(value: float) -> str:
    """Write a number with one decimal and no minus before a zero."""
    return f"{value:z,.1f}"


def say_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> None:
    """Print a table; `right` names columns of numbers."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, title in enumerate(head):
        table.add_column(
            title, justify="right" if i in right else "left", no_wrap=i < len(head) - 1
        )
    shown = [[*map(_shown, row)] for row in rows]
    for row in shown:
        table.add_row(*row)
    # As wide as it is: better that the terminal wraps a line than that a name or number is cut.
    width = sum(max(map(cell_len, column)) + 2 for column in zip(head, *shown, strict=True))
    text = io.StringIO()
    Console(file=text, highlight=False, markup=False, emoji=False, width=width).print(table)
    say("\n".join(line.rstrip() for line in text.getvalue().rstrip("\n").split("\n")))


def _shown(cell: str) -> str:
    """Keep what leads a cell; show what a terminal would obey."""
    return " " * (len(cell) - len(cell.lstrip(" "))) + one_line(cell)


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Show progress: a bar on a terminal, now and then a line elsewhere."""
    if sys.stderr.isatty():
        with _bar() as progress:
            yield progress
    else:
        yield _Lines()


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    with Bars(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True, highlight=False),
        transient=True,
    ) as bars:
        shown: dict[str, TaskID] = {}

        def progress(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
            if doing not in shown:
                shown[doing] = bars.add_task(doing, total=total or None, amount="")
            amount = ", ".join(filter(None, [_amount(done, total, unit), note]))
            bars.update(shown[doing], completed=done, total=total or None, amount=amount)

        yield progress


class _Lines:
    """Progress as plain lines: the first, the last, and one every `PLAIN_SECONDS`."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._first: dict[str, tuple[float, float]] = {}

    def __call__(self, doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        now, finished = time.monotonic(), bool(total) and done >= total
        if doing in self._last and not finished and now - self._last[doing] < PLAIN_SECONDS:
            return
        if self._last.get(doing) == float("inf"):
            return  # already said that it is finished
        self._last[doing] = float("inf") if finished else now
        began, before = self._first.setdefault(doing, (now, done))
        left = ""
        if total and before < done < total:
            left = f"{clock((total - done) * (now - began) / (done - before))} left"
        told = ", ".join(filter(None, [_amount(done, total, unit), note, left]))
        tell(f"{doing} {told}".strip())


def clock(seconds: float) -> str:
    """Write hours, minutes and seconds."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def _amount(done: float, total: float, unit: str) -> str:
    if not unit:
        return ""
    if unit == "bytes":
        done, total, unit = done / 1e6, total / 1e6, "MB"
    return f"{done:,.0f}/{total:,.0f} {unit}" if total else f"{done:,.0f} {unit}"
