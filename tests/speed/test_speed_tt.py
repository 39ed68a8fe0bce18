"""`seqrl speed tt`: what it times is the same plan, and what it prints says what it is of."""

import json
from collections.abc import Callable

import pytest

from seqrl.planning.settings import BeamSearch
from seqrl.speed import tt
from tests.conftest import Ended

Run = Callable[..., Ended]

SEARCHES = dict(tt.SEARCHES)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan little: the command is the same."""
    less = {body: BeamSearch(horizon=2, beam_width=3) for body in tt.SEARCHES}
    monkeypatch.setattr(tt, "SEARCHES", less)


def test_the_settings_are_the_authors() -> None:
    """As protocols tell them: halfcheetah plans less far, with fewer beams."""
    assert {b: (s.horizon, s.beam_width, s.expansion) for b, s in SEARCHES.items()} == {
        "hopper": (15, 128, 2),
        "halfcheetah": (5, 32, 2),
        "walker2d": (15, 128, 2),
    }
    for how in SEARCHES.values():
        assert (how.action.cdf, how.observation.top_k, how.discount) == (0.6, 1, 0.99)
        assert how.window == "published" and how.percentile is None


def test_the_command(seqrl: Run) -> None:
    """Speeds without settings, machine and versions are rumours."""
    ended = seqrl("speed", "tt", "--bodies", "hopper", "--repeats", 1, "--device", "cpu")
    assert ended.status == 0, ended.err
    for said in (
        "published", "full", "2 x 3", "times faster", "8 together / 1", "random weights",
        "Only the published window is the paper's", "threads: 1", "torch 2", "mujoco", "load",
    ):  # fmt: skip
        assert said in ended.out, said
    assert "hopper, full window" in ended.err
    found = json.loads(
        seqrl("speed", "tt", "--bodies", "hopper,walker2d", "--repeats", 2, "--json").out
    )
    rows = found["decisions"]
    assert [(row["body"], row["window"]) for row in rows] == [
        (body, window) for body in ("hopper", "walker2d") for window in ("published", "full")
    ]
    for row in rows:
        assert row["least"] <= row["seconds"] <= row["most"] and row["slow"] > 0
        assert row["times_faster"] == pytest.approx(row["slow"] / row["seconds"]) and row["same"]
    none = json.loads(
        seqrl("speed", "tt", "--bodies", "hopper", "--no-slow", "--repeats", 1, "--json").out
    )
    assert none["decisions"][0]["slow"] is None
    wrong = seqrl("speed", "tt", "--bodies", "ant")
    assert wrong.status == 2 and "there are hopper, halfcheetah, walker2d" in wrong.err
