"""Records that contradict themselves, or hold what no run writes, stand in no table."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seqrl.errors import DataError
from seqrl.report.formats import FORMATS, written
from seqrl.report.page import page
from seqrl.report.series import all_series
from seqrl.report.summary import summary_of
from seqrl.runs.contradiction import contradiction
from seqrl.runs.identity import hash_in
from seqrl.runs.record import RunRecord
from seqrl.runs.sound import read_sound
from tests.runs.recorded import evaluated, recorded

Change = Callable[[dict[str, Any]], object]


def good() -> RunRecord:
    """Two evaluations of three episodes, with everything that a run writes of them."""
    facts = {"target_rule": "given", "target_return": 90.0}
    return evaluated([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]], name="DT", facts=facts)


def changed(change: Change, *, hashed: bool = True) -> RunRecord:
    """Change a copy of the plain record, and say what its hash should then be."""
    plain = copy.deepcopy(vars(good()))
    change(plain)
    record = RunRecord(**plain)
    return replace(record, hash=hash_in(record)) if hashed else record


def test_what_a_run_writes_is_no_contradiction() -> None:
    """Done or failed, with reference returns or without."""
    for record in (good(), recorded(), recorded([1.0], reference=None), recorded([0.1, 0.2, 0.3])):
        assert contradiction(record) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["evaluations"][-1].update(score=99.0), "make a score of 25.000"),
        (lambda r: r["evaluations"][0].update({"return": 99.0}), "mean return of 20.000"),
        (
            lambda r: [
                episode.update({"return": 0.0}) for episode in r["evaluations"][1]["episodes"]
            ],
            "mean return of 0.000",
        ),
        (lambda r: r["evaluations"].pop(), "after 50000 updates, and trained for another"),
        (lambda r: r["evaluations"].pop(0), "1 evaluations, and 2 were planned"),
        (lambda r: r["evaluations"][-1].update(update=70_000), "after 70000 updates"),
        (
            lambda r: r["training"].update(updates=7, updates_per_second=7 / 120),
            "trained for another number",
        ),
        (
            lambda r: r["evaluations"][1].update(episodes=r["evaluations"][1]["episodes"][:1] * 3),
            "other episodes than the 3 that were planned",
        ),
        (lambda r: r["identity"]["evaluation"].update(episodes=50), "than the 50 that were"),
        (lambda r: r["identity"]["evaluation"].update(episodes=10**15), "than the 1000000000"),
        (lambda r: r["evaluations"][0]["episodes"].reverse(), "other episodes than the 3"),
        (lambda r: r["evaluations"][1]["episodes"][2].update(seed=2), "as those of seed 0 do"),
        (lambda r: r.update(seed=1), "did not begin as those of seed 1 do"),
        (lambda r: r["data"].update(fingerprint="f" * 16), "two data sets"),
        (lambda r: r["data"].update(name="d4rl/hopper-medium-v2"), "two data sets"),
        (lambda r: r["task"].update(environment="Hopper-v5"), "two environments"),
        (lambda r: r["identity"].update(horizon=10), "two environments: horizon 1000 and 10"),
        (lambda r: r["versions"].update(mujoco="2.1.0"), "two versions of mujoco"),
        (lambda r: r["identity"].update(reference=[0.0, 400.0]), "two kinds of reference"),
        (lambda r: r["data"].update(mean_score=95.0), "mean return of its data"),
        (lambda r: r["training"].update(precision="bfloat16"), "two precisions of training"),
        (lambda r: r["evaluations"][0].update(update=10**9), "in this order"),
        (lambda r: r["evaluations"][0].update(update=0), "in this order"),
        (lambda r: r["versions"].update(torch="2.8.0.dev9"), "two versions of torch"),
        (lambda r: r["training"].update(seconds=1e-9), "updates in 0.000 seconds are not"),
        (lambda r: r["training"].update(updates_per_second=7.0), "are not 7.000 a second"),
        (lambda r: r["evaluations"][0].update(seconds=-1.0), "less than no time"),
        (lambda r: r["evaluations"][1]["episodes"][0].update(length=-5), "episodes of -5 to"),
        (lambda r: r["evaluations"][1]["episodes"][0].update(length=1001), "1001 steps, of 1000"),
        (lambda r: r["evaluations"][1]["episodes"][0].update(outside=-1), "outside the bins"),
        (lambda r: r["agent"].update(target=80.0, **{"is": "mine:Own"}), ""),
        (
            lambda r: [
                r["agent"].update({"is": "mine:Optimist", "target": "best_in_data"}),
                r["facts"].update(target_rule="best_in_data"),
            ],
            "",
        ),
        (lambda r: r["agent"].update(target=90.0), ""),
        (lambda r: r["agent"].update(target="best_in_data"), "target is best_in_data, and its ru"),
        (lambda r: r["data"].update(best_return=40.0), "such a mean and best return"),
        (lambda r: r["data"].update(episodes=0), "no data have so many episodes"),
        (lambda r: r["data"].update(episodes=2001), "no data have so many episodes"),
        (
            lambda r: r["facts"].update(target_rule="best_in_data"),
            "best return in the data, 190.000, and for 90.000",
        ),
    ],
)
def test_contradictions(change: Change, said: str) -> None:
    """Each of two places that say the same, changed in one of them."""
    found = contradiction(changed(change))
    assert said in found if said else not found


def test_settings_changed_afterwards() -> None:
    """Somebody writes a hundred thousand updates over two thousand, and forgets the hash."""

    def longer(record: dict[str, Any]) -> None:
        record["agent"]["training"]["updates"] *= 50
        record["training"]["updates"] *= 50
        record["training"]["updates_per_second"] *= 50
        record["evaluations"][-1]["update"] *= 50

    assert "its hash" in contradiction(changed(longer, hashed=False))
    assert contradiction(changed(longer)) == ""


PLACES: list[tuple[str, tuple[Any, ...]]] = [
    ("update", ("evaluations", 1, "update")),
    ("number", ("evaluations", 1, "episodes", 0, "number")),
    ("seed of an episode", ("evaluations", 0, "episodes", 2, "seed")),
    ("return of an episode", ("evaluations", 0, "episodes", 2, "return")),
    ("length", ("evaluations", 0, "episodes", 2, "length")),
    ("target", ("facts", "target_return")),
    ("another fact", ("facts", "window_rule")),
    ("trained updates", ("training", "updates")),
    ("seconds", ("training", "seconds")),
    ("seconds of playing", ("evaluations", 0, "seconds")),
    ("speed", ("training", "updates_per_second")),
    ("horizon", ("task", "horizon")),
    ("machine", ("machine", "processor")),
]
VALUES = ("x", "\ud800", [1], {"a": 1}, None, -1, 0, 1e308, float("nan"), True, ...)


@pytest.mark.parametrize("value", VALUES, ids=map(repr, range(len(VALUES))))
@pytest.mark.parametrize("place", [row[1] for row in PLACES], ids=[row[0] for row in PLACES])
def test_whatever_stands_anywhere(tmp_path: Path, place: tuple[Any, ...], value: Any) -> None:
    """A record is refused with its name, or stands in every report: one of hundreds must not end a
    page with a traceback."""
    plain = json.loads(json.dumps({"format": 1, **vars(good())}))
    inner = plain
    for name in place[:-1]:
        inner = inner[name]
    if value is ...:
        inner.pop(place[-1], None)
    else:
        inner[place[-1]] = value
    file = tmp_path / "r.json"
    file.write_text(json.dumps(plain))
    try:
        record = read_sound(file)
    except DataError as error:
        assert str(file) in str(error)
        return
    if contradiction(record):
        return
    summary = summary_of([record])
    for format_ in FORMATS:
        written(summary, format_)
    page(summary)
    all_series([record])
