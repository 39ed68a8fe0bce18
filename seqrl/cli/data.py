"""`seqrl data ...`: see, fetch, build, check, import, export and remove data sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from seqrl.cli.output import remark, say, say_json, say_table, shown_progress
from seqrl.cli.tasks import JSON
from seqrl.cli.words import say_beside_official, say_info, say_intact, say_prepared, say_verdict

if TYPE_CHECKING:
    from seqrl.data.cache import Prepared
    from seqrl.data.names import Name

app = typer.Typer(
    help="Data sets: see, fetch, build, check, import, export, remove.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

NAME = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Full name (d4rl/hopper-medium-v2, seqrl/hopper-medium-v1, file/mine) or short name "
        "(hopper-medium). +tail keeps a cut-off last episode, +delayed moves all reward to the "
        "end.",
    ),
]
FAMILY = Annotated[
    Literal["d4rl", "minari", "seqrl"] | None,
    typer.Option("--data", help="Which data a short name means; forbids any other."),
]
DATA_DIR = Annotated[
    Path | None, typer.Option(help="Folder in which to look for official files first.")
]
REFERENCE = Annotated[
    tuple[float, float] | None,
    typer.Option(help="Returns worth the scores 0 and 100.", metavar="MINIMUM MAXIMUM"),
]


@app.command("list")
def list_(as_json: JSON = False) -> None:
    """List what is prepared on this machine, and what can be made or fetched."""
    from seqrl.data import d4rl
    from seqrl.data.behaviours import NOT_SHIPPED, SETS
    from seqrl.data.cache import everything, home, size_of, unfinished
    from seqrl.tasks.d4rl import ENTRIES

    prepared = everything()
    names = {known.name.partition("+")[0] for known in prepared}
    rows: list[dict[str, Any]] = [
        {
            "name": known.name,
            "episodes": known.episodes,
            "steps": known.steps,
            "bytes": size_of(known),
            "how": "prepared",
        }
        for known in prepared
    ]
    rows += [
        {"name": name, "bytes": size, "how": "unfinished: the same command goes on, or remove it"}
        for name, size in unfinished().items()
    ]
    files = {name: d4rl.find_file(entry) for name, entry in ENTRIES.items() if name not in names}
    rows += [{"name": n, "how": f"file here: {file}"} for n, file in files.items() if file]
    rows += [
        {"name": name, "how": f"seqrl data build {name}" + (chosen.note and f" ({chosen.note})")}
        for name, chosen in SETS.items()
        if name not in names
    ]
    absent = [name for name, file in files.items() if not file]
    if as_json:
        rows += [{"name": name, "how": f"seqrl data fetch {name}"} for name in absent]
        say_json({"folder": str(home()), "data": rows, "not_shipped": NOT_SHIPPED})
        return
    say_table(
        ["data", "episodes", "steps", "MB", ""],
        [
            [
                row["name"],
                f"{row['episodes']:,}" if "episodes" in row else "",
                f"{row['steps']:,}" if "steps" in row else "",
                f"{row['bytes'] / 1e6:,.0f}" if "bytes" in row else "",
                row["how"],
            ]
            for row in rows
        ],
        right=(1, 2, 3),
    )
    say()
    for quality, reason in NOT_SHIPPED.items():
        say(f"seqrl/<body>-{quality}-v1: not shipped yet, {reason}.")
    say(f"{len(absent)} official sets can be fetched: `seqrl tasks d4rl/` lists them.")
    say(f"Everything lies in {home()}.")


@app.command()
def info(
    name: NAME,
    data: FAMILY = None,
    data_dir: DATA_DIR = None,
    as_json: JSON = False,
) -> None:
    """Show what a data set is like: size, returns, scores, fingerprint, where it came from.

    Beside an embedded set stands what is published of the official set of the same quality.
    """
    from seqrl.data.source import play_task, view
    from seqrl.data.statistics import describe

    known, chosen = _known(name, data, data_dir)
    play_task(known, chosen)  # refuses an environment version that there is not
    content = describe(known, view(known, chosen))
    if as_json:
        say_json(content)
    else:
        say_info(content)


@app.command()
def build(
    name: NAME,
    processes: Annotated[
        int | None,
        typer.Option(help="Processes that play; all cores by default. The data is the same."),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Make an embedded set: the shipped behaviour policies play it, minutes on two free cores.

    Killed in the middle, it goes on where it was. Embedded sets are not D4RL; `seqrl data info`
    shows how far they are from it.
    """
    from seqrl.data import behaviours
    from seqrl.data.names import entry_in

    with shown_progress() as progress:
        known = behaviours.build(entry_in("seqrl", name), processes=processes, progress=progress)
    say_prepared(known, as_json)


@app.command()
def fetch(
    name: NAME,
    mirror: Annotated[
        str | None, typer.Option(help="Address of a folder that holds the official files.")
    ] = None,
    data_dir: DATA_DIR = None,
    reference: REFERENCE = None,
    as_json: JSON = False,
) -> None:
    """Get an official D4RL file or a Minari set, and prepare it.

    A download that was cut off goes on where it was. What arrives is compared with what is
    published of it.
    """
    from seqrl.data.source import fetch as fetch_data

    with shown_progress() as progress:
        known = fetch_data(
            name, mirror=mirror, data_dir=data_dir, reference=reference, progress=progress
        )
    say_prepared(known, as_json)


@app.command()
def check(
    name: NAME,
    sample: Annotated[int, typer.Option(help="How many steps to simulate again.")] = 4000,
    data: FAMILY = None,
    data_dir: DATA_DIR = None,
    as_json: JSON = False,
) -> None:
    """Does the installed simulator agree with the data? And is the prepared copy still what it was?

    Puts the simulator where the data was, applies the recorded action, and compares. Ends with
    status 1 if they differ: then a score measured here is not a score in the data's environment.
    @v5 after the name asks the question of the newer environments.
    """
    from dataclasses import asdict, replace

    from seqrl.data.cache import verify
    from seqrl.data.physics import check as check_physics
    from seqrl.data.source import play_task, view
    from seqrl.data.statistics import describe

    known, chosen = _known(name, data, data_dir)
    changed = verify(known)
    if not as_json:
        say_intact(changed, known)
    # Delaying rewards is our own doing: the simulator is asked about the data as it was recorded.
    recorded = replace(chosen, views=tuple(view for view in chosen.views if view != "delayed"))
    episodes, task = view(known, recorded), play_task(known, recorded)
    with shown_progress() as progress:
        verdict = check_physics(episodes, task, sample=sample, progress=progress)
    content = describe(known, episodes)
    if as_json:
        say_json(
            {
                "name": episodes.name,
                "environment": task.environment,
                "agrees": verdict.agrees,
                "in_words": verdict.in_words(task.environment),
                **asdict(verdict),
                "changed_columns": changed,
                "content": content,
            }
        )
    else:
        say_verdict(verdict, task.environment, episodes.name)
        say_beside_official(content)
    raise typer.Exit(0 if verdict.agrees and not changed else 1)


@app.command("import")
def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A .hdf5 or .npz file in D4RL's layout, or module:function that returns episodes.",
        ),
    ],
    name: Annotated[str, typer.Option(help="It becomes file/NAME.")],
    environment: Annotated[
        str, typer.Option(help="Gymnasium id in which it is played; module:Id for your own.")
    ],
    horizon: Annotated[
        int | None,
        typer.Option(help="Steps of the longest episode; the environment's, by default."),
    ] = None,
    reference: REFERENCE = None,
    replacing: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of other data of that name.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Bring in data of your own. The full name ends in the content's fingerprint, so it means one
    content.

    D4RL's layout is one entry a step under observations, actions, rewards, terminals and, if you
    can, timeouts and next_observations. A function returns mappings, one an episode, with
    observations, actions, rewards and terminated.
    """
    from seqrl.data.source import import_data

    with shown_progress() as progress:
        known = import_data(
            source,
            name=name,
            environment=environment,
            horizon=horizon,
            reference=reference,
            replacing=replacing,
            progress=progress,
        )
    say_prepared(known, as_json)


@app.command()
def export(
    name: NAME,
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="A file ending in .hdf5 or .npz, or minari/<id>."),
    ],
    states: Annotated[
        bool | None,
        typer.Option(help="Simulator positions and velocities; by default, where there are any."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over a file that exists.")
    ] = False,
    data: FAMILY = None,
    data_dir: DATA_DIR = None,
    as_json: JSON = False,
) -> None:
    """Write a data set as a file in D4RL's layout, or as a local Minari set."""
    from seqrl.data.source import export_data

    known, chosen = _known(name, data, data_dir)
    with shown_progress() as progress:
        written = export_data(
            known, chosen, target, states=states, overwrite=overwrite, progress=progress
        )
    source = known.name + chosen.suffix
    if as_json:
        say_json({"name": source, "written": written})
    else:
        say(f"{source} -> {written}")


@app.command()
def remove(
    name: NAME,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JSON = False,
) -> None:
    """Delete the prepared copy of a data set, and what a killed build or import left of it.

    The official file, and the file that you imported, stay where they are.
    """
    import sys

    from seqrl.data.cache import remove as remove_data
    from seqrl.data.source import entry_here
    from seqrl.errors import SeqrlError

    entry = entry_here(name)
    if not yes:
        if not sys.stdin.isatty():
            raise SeqrlError(
                f"To delete the prepared copy of {entry} without being asked, add --yes."
            )
        typer.confirm(f"Delete the prepared copy of {entry}?", abort=True)
    freed = remove_data(entry)
    if as_json:
        say_json({"removed": entry, "bytes": freed})
    else:
        say(f"{entry} removed, {freed / 1e6:,.0f} MB are free again.")


def _known(name: str, data: Any, data_dir: Path | None) -> "tuple[Prepared, Name]":
    """Return what is on this machine under a name; say so if that may not be what was meant."""
    from seqrl.data.source import on_this_machine

    with shown_progress() as progress:
        known, choice = on_this_machine(name, family=data, data_dir=data_dir, progress=progress)
    if choice.fallback:
        remark(f"{name} means {known.name} here, because {choice.reason}. It is not D4RL data.")
    return known, choice.name
