"""The command itself: its groups, and how it ends when something is wrong."""

import logging
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from seqrl.cli import (
    attention,
    audit,
    behaviours,
    bench,
    compare,
    data,
    doctor,
    exchange,
    play,
    predict,
    report,
    reproduce,
    run,
    runs,
    selection,
    show,
    speed,
    targets,
    tasks,
)
from seqrl.cli.output import complain, say
from seqrl.errors import SeqrlError
from seqrl.progress import visible

app = typer.Typer(
    name="seqrl",
    help="The benchmark suite for sequence-model agents in offline reinforcement learning.\n\n"
    "Start with [bold]seqrl doctor[/bold]; then [bold]seqrl data build hopper-medium[/bold] makes "
    "a data set that needs no network. Every command explains itself with --help.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("doctor")(doctor.doctor)
app.command("show")(show.show)
app.command("bench")(bench.bench)
app.command("run")(run.run)
app.command("runs")(runs.runs)
app.command("table")(report.table)
app.command("figures")(report.figures)
app.command("page")(report.page)
app.command("audit")(audit.audit)
app.command("selection")(selection.selection)
app.command("reproduce")(reproduce.reproduce)
app.command("play")(play.play)
app.command("targets")(targets.targets)
app.command("compare")(compare.compare)
app.command("attention")(attention.attention)
app.command("predict")(predict.predict)
app.command("import-hf")(exchange.import_hf)
app.command("export-hf")(exchange.export_hf)
app.command("tasks")(tasks.tasks)
app.command("score")(tasks.score)
app.add_typer(data.app, name="data")
app.add_typer(behaviours.app, name="behaviours")
app.add_typer(speed.app, name="speed")


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"seqrl {version('seqrl')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


CTRL_C = 130
"""The status with which typer ends after Ctrl-C."""


class _Visible(logging.Formatter):
    """Warnings name files, which may be called anything."""

    def format(self, record: logging.LogRecord) -> str:
        """Show what a terminal would obey."""
        return visible(super().format(record))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Visible("seqrl: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def main() -> None:
    """Run the command: status 2 and a sentence where a person can help, 130 after Ctrl-C."""
    # For module:Id and module:function of the folder one is in; last, so that a file there which is
    # called numpy.py does no harm.
    sys.path.append("")
    _log_to_stderr()
    try:
        app(standalone_mode=True)
    except SeqrlError as error:
        complain(str(error))
        sys.exit(2)
    except SystemExit as end:
        if end.code == CTRL_C:
            complain(
                "stopped. What was complete before is untouched; a download, a build or a run is "
                "taken up where it was by the same command."
            )
        raise
    except BrokenPipeError:  # `seqrl tasks | head`
        sys.stderr.close()
        sys.exit(141)
