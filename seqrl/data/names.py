"""Names of data: what a full or short name means on this machine, and why.

A name is `family/set`, and may go on with `+tail` or `+delayed` (a view of the episodes) and with
`@v5` (another environment version). A short name, `hopper-medium`, means the official file if it is
here, else the official file if it can be downloaded, else the embedded set; which one it became is
said aloud.
"""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from seqrl.data import behaviours, d4rl
from seqrl.data.cache import look_up
from seqrl.errors import DataError, SeqrlError, UnknownName
from seqrl.tasks.d4rl import ENTRIES, Entry

Family = Literal["d4rl", "minari", "seqrl", "file"]
FAMILIES: tuple[Family, ...] = ("d4rl", "minari", "seqrl", "file")

VIEWS = {
    "tail": "with the cut-off last episode, without its last transition",
    "delayed": "all reward at the end of its episode",
}
"""What may follow a name after a +, in this order."""

CONTENT = re.compile(r"(local\.)?[0-9a-f]{8}")
VERSION = re.compile(r"[\w:.-]*v[0-9]+")


@dataclass(frozen=True)
class Name:
    """A name taken apart."""

    entry: str
    """Family and set, or a short name."""
    content: str = ""
    """After a +: which content is meant, where the set alone does not say (`local.1a2b3c4d`)."""
    views: tuple[str, ...] = ()
    environment: str = ""
    """After an @: another environment version than the task's own."""

    @property
    def family(self) -> str:
        """Before the first slash; empty for a short name."""
        return self.entry.partition("/")[0] if "/" in self.entry else ""

    @classmethod
    def parse(cls, text: str) -> "Name":
        """Take a name apart; what follows it may stand in any order."""
        entry, *suffixes = re.split(r"(?=[+@])", text)
        plus = [suffix[1:] for suffix in suffixes if suffix[0] == "+"]
        at = [suffix[1:] for suffix in suffixes if suffix[0] == "@"]
        content = [suffix for suffix in plus if suffix not in VIEWS]
        said_once = len(set(plus)) == len(plus) and len(content) <= 1 and len(at) <= 1
        known = all(CONTENT.fullmatch(c) for c in content) and all(VERSION.fullmatch(v) for v in at)
        if not entry or not said_once or not known:
            raise UnknownName(
                f"{text!r} is no data name. After a + one can write {_views()}; after an @ another "
                "version of the environment, v5 or Hopper-v5."
            )
        views = tuple(view for view in VIEWS if view in plus)
        name = cls(entry, content[0] if content else "", views, at[0] if at else "")
        if name.family and name.family not in FAMILIES:
            raise UnknownName(
                f"{text!r} begins with {name.family!r}; data names begin with "
                f"{', '.join(f'{family}/' for family in FAMILIES)}."
            )
        if name.content and name.family not in ("seqrl", "file"):
            raise UnknownName(
                f"{text!r}: only seqrl/ and file/ names can go on with a fingerprint; {name.entry} "
                "denotes one content already."
            )
        return name

    @property
    def suffix(self) -> str:
        """What follows the entry and its content: views and environment, in their usual order."""
        plus = "".join(f"+{view}" for view in self.views)
        return plus + (f"@{self.environment}" if self.environment else "")


def _views() -> str:
    return " or ".join(f"{view} ({meaning})" for view, meaning in VIEWS.items())


@dataclass(frozen=True)
class Choice:
    """Which data a name came to mean."""

    name: Name
    """With a full entry."""
    reason: str
    fallback: bool = False
    """The official data was looked for and is not to be had."""


# ---- short names ---------------------------------------------------------------------------------


def _short(full: str) -> str:
    """`d4rl/hopper-medium-v2` -> `hopper-medium`."""
    return full.partition("/")[2].rpartition("-v")[0]


OFFICIAL = {_short(name): name for name in reversed(ENTRIES)}
"""Short name -> official set, the first listed where there are several versions."""

EMBEDDED = {_short(name): name for name in behaviours.SETS}


def full_name(short: str, family: Family) -> str:
    """Return the full name that a short name has in one family."""
    tables = {"d4rl": OFFICIAL, "seqrl": EMBEDDED}
    if family in tables:
        candidates = tables[family]
        versioned = {name.partition("/")[2]: name for name in candidates.values()}
        versioned |= {n.partition("/")[2]: n for n in ENTRIES} if family == "d4rl" else {}
        if short in candidates or short in versioned:
            return candidates.get(short) or versioned[short]
        behaviours_name = f"seqrl/{short}-v1"
        if family == "seqrl" and short in OFFICIAL:
            behaviours.embedded(behaviours_name)  # says why it is not shipped
    elif family == "minari":
        body, _, quality = short.partition("-")
        return f"minari/mujoco/{body}/{quality}-v0"
    else:
        return f"{family}/{short}"
    raise UnknownName(_unknown(short, list(tables[family])))


def _unknown(short: str, known: list[str]) -> str:
    near = difflib.get_close_matches(short, sorted(set(known)), 3, 0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"There is no task named {short!r}.{hint} `seqrl tasks` lists all."


def choose(
    text: str,
    *,
    family: Family | None = None,
    data_dir: Path | None = None,
    reachable: Callable[[str], str] | None = None,
) -> Choice:
    """Decide which data `text` means. `reachable(url)` says why a host does not answer, empty if it
    does.

    Without `reachable`, only what is on this machine counts: nothing is downloaded.
    """
    name = Name.parse(text)
    if name.family:
        if family and family != name.family:
            raise SeqrlError(
                f"{text} names {name.family} data, but --data {family} asks for others."
            )
        return Choice(name, "named in full")
    if family:
        return Choice(replace(name, entry=full_name(name.entry, family)), f"--data {family}")
    entry = name.entry
    if entry in EMBEDDED.values() or any(entry == n.partition("/")[2] for n in EMBEDDED.values()):
        return Choice(
            replace(name, entry=full_name(entry, "seqrl")), "only the embedded set has this version"
        )
    try:
        official = full_name(entry, "d4rl")
    except UnknownName:
        if entry in EMBEDDED:
            return Choice(replace(name, entry=EMBEDDED[entry]), "an embedded set only")
        raise UnknownName(_unknown(entry, [*OFFICIAL, *EMBEDDED])) from None
    if look_up(official) or d4rl.find_file(ENTRIES[official], data_dir):
        return Choice(replace(name, entry=official), "the official data is on this machine")
    missing = "the official file is not on this machine"
    if reachable is not None:
        refusals = [f"{url}: {why}" for url in ENTRIES[official].urls if (why := reachable(url))]
        if len(refusals) < len(ENTRIES[official].urls):
            return Choice(replace(name, entry=official), "the official file can be downloaded")
        missing += " and its hosts do not answer (" + "; ".join(refusals) + ")"
    if entry in EMBEDDED:  # a name with a version, hopper-medium-v2, means the official set alone
        return Choice(replace(name, entry=EMBEDDED[entry]), missing, fallback=True)
    raise DataError(
        f"{official}: {missing}, and there is no embedded set {entry}. Fetch it where there is a "
        f"network (`seqrl data fetch {official}`), or put the file into ~/.d4rl/datasets."
        + (
            f" Nearest embedded set: {', '.join(near)}."
            if (near := _embedded_like(official))
            else ""
        )
    )


def _embedded_like(official: str) -> list[str]:
    return [
        chosen.short
        for chosen in behaviours.SETS.values()
        if chosen.official == official and not chosen.note
    ]


def entry_in(family: Family, text: str) -> str:
    """Return the full name, without views, that a full or short name has in one family."""
    name = Name.parse(text)
    if name.family and name.family != family:
        raise SeqrlError(f"{text} is {name.family} data; expected is {family}/... or a short name.")
    if name.views or name.content or name.environment:
        raise SeqrlError(
            f"{text}: here the plain name {name.entry} is expected, with nothing after it."
        )
    return name.entry if name.family else full_name(name.entry, family)


def official_entry(name: Name) -> Entry:
    """Return the catalogue's entry of a full official name."""
    if name.entry not in ENTRIES:
        short = name.entry.partition("/")[2]
        raise UnknownName(_unknown(short, [known.partition("/")[2] for known in ENTRIES]))
    return ENTRIES[name.entry]
