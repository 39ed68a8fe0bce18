"""From a name to episodes: every source, behind one function. And what the command line does with
names."""

import logging
from dataclasses import replace
from pathlib import Path

from seqrl.data import behaviours, d4rl, own
from seqrl.data.cache import Prepared, entry_folder, everything, look_up, open_prepared, prepare
from seqrl.data.layout import write_layout
from seqrl.data.names import (
    EMBEDDED,
    OFFICIAL,
    Choice,
    Family,
    Name,
    choose,
    entry_in,
    full_name,
    official_entry,
)
from seqrl.episodes import Episodes
from seqrl.errors import DataError, SeqrlError, UnknownName
from seqrl.progress import Progress, silent
from seqrl.tasks.d4rl import ENTRIES
from seqrl.tasks.environment import task_in
from seqrl.tasks.task import Reference, Task

_log = logging.getLogger(__name__)


def task_named(text: str) -> Task:
    """Return the task of a name, whether its data is here or not; a short name means the official
    one.

    Imported and Minari data bring their task with them, so they must be prepared here.
    """
    name = Name.parse(text)
    if not name.family:
        family: Family = "d4rl" if name.entry not in EMBEDDED or name.entry in OFFICIAL else "seqrl"
        name = replace(name, entry=full_name(name.entry, family))
    if name.entry in ENTRIES:
        task = ENTRIES[name.entry].task
    elif name.family == "seqrl":
        task = behaviours.embedded(name.entry).task
    else:
        task = _here(name).task
    return _as_named(task, name)


def _as_named(task: Task, name: Name) -> Task:
    """Return the task in the environment that a name asks for, under that whole name."""
    played = task.on(name.environment) if name.environment else task
    late = "delayed" in name.views
    return replace(played, name=task.name + name.suffix, rewards_at_end=late)


def open_episodes(
    text: str,
    *,
    family: Family | None = None,
    data_dir: Path | None = None,
    progress: Progress = silent,
) -> Episodes:
    """Return the episodes that a name means, preparing them first if need be."""
    choice = choose(text, family=family, data_dir=data_dir, reachable=can_reach)
    if choice.fallback:
        _log.warning("%s -> %s, because %s.", text, choice.name.entry, choice.reason)
    known = obtain(choice.name, data_dir=data_dir, progress=progress)
    return view(known, choice.name)


def can_reach(url: str) -> str:
    """Say why the host of `url` does not answer within three seconds; empty if it does."""
    from seqrl.data.download import answers

    return answers(url, seconds=3.0)


def obtain(name: Name, *, data_dir: Path | None = None, progress: Progress = silent) -> Prepared:
    """Return the prepared data of a full name, found, downloaded or played if need be."""
    if name.family == "d4rl":
        return _official(name, data_dir, progress)
    if name.family == "seqrl":
        if look_up(name.entry) is None:
            steps = sum(share.steps for share in behaviours.embedded(name.entry).shares)
            _log.warning("%s is not here yet: playing its %s steps now.", name.entry, f"{steps:,}")
        known = behaviours.build(name.entry, progress=progress)
        if why := behaviours.why_local(known):
            _log.warning("%s is not %s: %s.", known.name, name.entry, why)
        return _same_content(known, name)
    if name.family == "minari" and look_up(name.entry) is None:
        from seqrl.data import minari

        return prepare(minari.origin(name.entry, download=True, progress=progress), progress)
    return _here(name)


def _official(name: Name, data_dir: Path | None, progress: Progress) -> Prepared:
    entry = official_entry(name)
    file = d4rl.find_file(entry, data_dir)
    if file is None and (known := look_up(name.entry)):
        return known  # prepared from a file that has been removed since
    return prepare(d4rl.origin(entry, file or d4rl.download(entry, progress)), progress)


def _here(name: Name) -> Prepared:
    """Return data that only this machine can have: it is prepared, or it is not."""
    known = look_up(name.entry)
    if known is None:
        present = [known.name for known in everything()]
        raise UnknownName(
            f"{name.entry} is not on this machine. "
            + (f"Here are: {', '.join(present)}. " if present else "")
            + "`seqrl data import` brings in your own data, `seqrl data fetch` D4RL and Minari's."
        )
    return _same_content(known, name)


def _same_content(known: Prepared, name: Name) -> Prepared:
    """Refuse when the name asks for another content than the one that is here."""
    have = known.name.partition("+")[2]
    if name.content and name.content != have:
        raise DataError(
            f"{name.entry} is here with another content: {known.name}, not +{name.content}. They "
            "are different data and do not share results."
        )
    return known


def view(known: Prepared, name: Name) -> Episodes:
    """Open prepared data as its name says."""
    episodes = open_prepared(known, tail="tail" in name.views)
    return episodes.delayed() if "delayed" in name.views else episodes


def play_task(known: Prepared, name: Name) -> Task:
    """Return the task of prepared data, in the environment version that the name asks for."""
    return _as_named(replace(known.task, name=known.name), name)


# ---- what the command line does with names -------------------------------------------------------


def on_this_machine(
    text: str,
    *,
    family: Family | None = None,
    data_dir: Path | None = None,
    progress: Progress = silent,
) -> tuple[Prepared, Choice]:
    """Return the data of a name, preparing a file that is here, but fetching nothing."""
    choice = choose(text, family=family, data_dir=data_dir)
    name = choice.name
    file = d4rl.find_file(ENTRIES[name.entry], data_dir) if name.entry in ENTRIES else None
    if file is not None:
        return prepare(d4rl.origin(ENTRIES[name.entry], file), progress), choice
    if name.family == "seqrl":
        behaviours.embedded(name.entry)
        if look_up(name.entry) is None:
            why = f" ({choice.reason})" if choice.fallback else ""
            raise DataError(
                f"{text} means {name.entry} here{why}, and that is not built yet: `seqrl data "
                f"build {name.entry}` makes it in minutes, with no network."
            )
    elif name.family == "d4rl" and look_up(name.entry) is None:
        official_entry(name)
        raise DataError(
            f"{name.entry} is not on this machine: `seqrl data fetch {name.entry}` gets it."
        )
    return _here(name), choice


def entry_here(text: str) -> str:
    """Return the entry of data that lies on this machine, finished or not."""
    name = choose(text).name
    if name.suffix:
        raise SeqrlError(
            f"{text} is a view of {name.entry}, and only the whole can be removed: name it without "
            f"{name.suffix}."
        )
    if not entry_folder(name.entry).is_dir():
        _here(name)  # says what is here
    if name.content:
        _here(name)  # says so if it is another content
    return name.entry


def fetch(
    text: str,
    *,
    mirror: str | None = None,
    data_dir: Path | None = None,
    reference: tuple[float, float] | None = None,
    progress: Progress = silent,
) -> Prepared:
    """Get official or Minari data from where it is published, and prepare it."""
    if Name.parse(text).family == "minari":
        from seqrl.data import minari

        origin = minari.origin(text, download=True, progress=progress, reference=reference)
        return prepare(origin, progress)
    if reference is not None:
        raise SeqrlError("--reference is for Minari sets; D4RL's tasks have their own.")
    entry = official_entry(Name.parse(entry_in("d4rl", text)))
    if found := d4rl.find_file(entry, data_dir):
        return prepare(d4rl.origin(entry, found), progress)
    file = d4rl.download(entry, progress, mirror)
    try:
        return prepare(d4rl.origin(entry, file), progress)
    except d4rl.NotOfficial as error:
        file.unlink(missing_ok=True)  # or it would be found, and refused, for ever
        raise DataError(f"{error} What was downloaded is deleted again.") from error


def import_data(
    source: str,
    *,
    name: str,
    environment: str,
    horizon: int | None = None,
    reference: tuple[float, float] | None = None,
    replacing: bool = False,
    progress: Progress = silent,
) -> Prepared:
    """Prepare data of the user's own: a file in D4RL's layout, or `module:function`."""
    if "/" in name or "+" in name or "@" in name:
        raise SeqrlError(
            f"--name {name!r}: only letters, digits and . _ - are allowed; it becomes file/{name}."
        )
    entry_folder(f"file/{name}")
    scale = (
        Reference(minimum=reference[0], maximum=reference[1], source="given at import")
        if reference
        else None
    )
    task = task_in(environment, name=f"file/{name}", horizon=horizon, reference=scale)
    file = Path(source).expanduser()
    if ":" in source and not file.exists():
        origin = own.function_origin(source, task, replacing=replacing)
    else:
        origin = own.file_origin(file, task, replacing=replacing)
    return prepare(origin, progress)


def export_data(
    known: Prepared,
    name: Name,
    target: str,
    *,
    states: bool | None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> str:
    """Write episodes to a file in D4RL's layout, or to a local Minari set `minari/<id>`.

    `states`: simulator positions and velocities too; by default, if there are any and the format
    takes them.
    """
    if name.environment:
        raise SeqrlError(
            f"An export is of the data, which is of {known.task.environment}: name it without "
            f"@{name.environment}."
        )
    episodes = view(known, name)
    if target.startswith("minari/"):
        if states:
            raise SeqrlError("A Minari set has no place for simulator states: leave out --states.")
        from seqrl.data.minari_export import export_minari

        task = play_task(known, name)
        return str(export_minari(episodes, task, target.removeprefix("minari/"), progress))
    file = Path(target).expanduser()
    if file.exists() and not overwrite:
        raise DataError(f"{file} exists already. Choose another name, or say --overwrite.")
    with_states = "states" in episodes.columns if states is None else states
    write_layout(episodes, file, states=with_states, progress=progress)
    return str(file)
