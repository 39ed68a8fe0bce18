"""Build a small embedded set: what the tests of building, killing and continuing use.

usage: python -m tests.data.small_build PROCESSES   (in $SEQRL_HOME; prints JSON)
"""

import json
import sys

from seqrl.data import behaviours
from seqrl.data.behaviours import SETS, Embedded
from seqrl.data.cache import Prepared
from seqrl.data.recording import Share
from seqrl.episodes import fingerprint_of

NAME = "seqrl/hopper-medium-v1"
SMALL = Embedded(
    SETS[NAME].task,
    (
        Share("", 3_000, shard=64),
        Share("hopper/0030000", 3_000, shard=8),
        Share("hopper/0070000", 3_000, shard=8),
    ),
    SETS[NAME].official,
)
"""Three shares, several shards: random actions first, as in the snapshots sets."""


def build(processes: int, first_steps: list[float] | None = None) -> Prepared:
    """Build `SMALL` in the place of a real set, which gives it a local name."""

    def progress(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        if first_steps is not None:
            first_steps.append(done)

    SETS[NAME] = SMALL
    return behaviours.build(NAME, processes=processes, progress=progress)


if __name__ == "__main__":
    seen: list[float] = []
    known = build(int(sys.argv[1]), seen)
    found = {"name": known.name, "fingerprint": fingerprint_of(known.digests), "begun_at": seen[0]}
    sys.stdout.write(json.dumps(found))
