"""Play every embedded set in full and compare its fingerprint with the known one.

usage: python tests/data/golden.py [--write] [NAME ...]

`--write` notes what this machine found, for the simulator version that is installed: only for sets
that are new. It also notes the digests of each policy's first episodes, which the tests play.
"""

import json
import sys
from pathlib import Path
from typing import Any

from seqrl.cli.output import say, shown_progress
from seqrl.data import behaviours
from seqrl.data.behaviours import SETS, Embedded, golden, simulator_version
from seqrl.data.cache import open_prepared
from seqrl.data.player import play
from seqrl.data.policy import shipped
from seqrl.data.recording import SEEDS_A_SHARE
from seqrl.episodes import digest_of, fingerprint_of

PREFIX = Path(__file__).with_name("golden_prefix.json")
EPISODES = 2


def first_episodes(chosen: Embedded) -> list[str]:
    """Fingerprint of the first episodes of each share of a set."""
    found = []
    for place, share in enumerate(chosen.shares):
        seeds = range(place * SEEDS_A_SHARE, place * SEEDS_A_SHARE + EPISODES)
        columns = play(chosen.task, shipped(share.policy), chosen.short, seeds)
        found.append(fingerprint_of({name: digest_of(c) for name, c in columns.items()}))
    return found


def starts_of_full_set(name: str) -> tuple[str, str]:
    """Build a set in full: its fingerprint, and that of its first episodes."""
    with shown_progress() as progress:
        episodes = open_prepared(behaviours.build(name, progress=progress))
    first = {n: digest_of(c[: episodes.starts[EPISODES]]) for n, c in episodes.columns.items()}
    return episodes.fingerprint, fingerprint_of(first)


def main() -> None:
    """Compare, or note."""
    write = "--write" in sys.argv
    names = [argument for argument in sys.argv[1:] if argument != "--write"] or list(SETS)
    known: Any = golden()
    prefixes: Any = json.loads(PREFIX.read_text()) if PREFIX.exists() else {}
    wrong = 0
    for name in names:
        found, first = starts_of_full_set(name)
        prefix = first_episodes(SETS[name])
        assert prefix[0] == first, (
            f"{name}: the set does not begin with the first policy's episodes"
        )
        expected = known.get(simulator_version(), {}).get(name)
        if write and expected is None:
            known.setdefault(simulator_version(), {})[name] = found
            prefixes.setdefault(simulator_version(), {})[name] = prefix
        else:
            wrong += found != expected
        say(f"{name} {found} {'equal' if found == expected else f'expected {expected}'}")
    if write:
        target = Path(behaviours.__file__).with_name("golden.json")
        target.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        PREFIX.write_text(json.dumps(prefixes, indent=1, sort_keys=True) + "\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
