"""What every test of bad input asks of the end of a command, and of what it leaves."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seqrl.data.cache import Prepared, entry_folder, look_up, open_prepared, verify
from tests.conftest import Ended

Seqrl = Callable[..., Ended]
Columns = dict[str, Any]
Maker = Callable[[Path], object]

IMPORT = ("--name", "mine", "--environment", "Hopper-v4")
OFFICIAL = "d4rl/hopper-full-replay-v2"
"""An official set of which no content is published, so that made-up data can stand for it."""

FETCH = "fetch or copy it again"
STEPS = 15

PROGRESS = re.compile(r"^(preparing|reading|writing|downloading) .* (steps|columns|MB)$")


def said(ended: Ended, *words: str) -> None:
    """Status 2, one or two lines, no traceback, and every one of `words`."""
    assert ended.status == 2, ended
    assert "Traceback" not in ended.err + ended.out
    message = [line for line in ended.err.splitlines() if not PROGRESS.match(line)]
    assert 1 <= len(message) <= 2, ended.err
    assert message[0].startswith("seqrl: ")
    for word in words:
        assert word in ended.err, f"{word!r} is not in {ended.err!r}"


def only_good(known: Prepared | None, fingerprint: str) -> None:
    """Assert that a prepared set is what it was, to the bit, and nothing half stands beside it."""
    assert known is not None
    again = look_up(known.name.partition("+")[0])
    assert again is not None
    assert open_prepared(again).fingerprint == fingerprint
    assert verify(again) == []
    folder = entry_folder(again.name)
    assert [place.name for place in folder.glob("columns-*")] == [again.folder]
    assert nothing_half(folder)


def nothing_half(folder: Path) -> bool:
    """Say whether a folder of prepared data has nothing but what belongs there."""
    allowed = {"episodes.json", ".lock", "unfinished"}
    return all(p.name in allowed or p.name.startswith("columns-") for p in folder.glob("*"))
