"""Settings to plain data and back: nothing is lost, nothing wrong gets in."""

import json
from dataclasses import dataclass
from typing import Literal

import pytest

from seqrl.errors import SeqrlError, UnknownName
from seqrl.plain import (
    changed,
    changed_by_text,
    class_at,
    declaration,
    from_plain,
    kinds_of,
    to_plain,
)


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Settings inside settings."""

    count: int = 3
    share: float = 0.5
    kind: Literal["slow", "fast"] = "slow"
    pair: tuple[float, float] = (0.9, 0.999)
    limit: float | None = 0.25


@dataclass(frozen=True, kw_only=True)
class Other(Inner):
    """A kind of Inner."""

    extra: bool = False


@dataclass(frozen=True, kw_only=True)
class Outer:
    """Settings."""

    inner: Inner = Inner()
    target: float | Literal["best", "worst"] = "best"
    name: str = "x"
    many: tuple[int, ...] = ()


EXAMPLES = [
    Outer(),
    Outer(target=1800.0, inner=Inner(limit=None, kind="fast", pair=(0.1, 0.2))),
    Outer(inner=Other(extra=True, count=7), many=(1, 2, 3), name="a, b"),
]


@pytest.mark.parametrize("settings", EXAMPLES)
def test_what_went_through_json_is_the_same(settings: Outer) -> None:
    """A checkpoint whose agent comes back different plays another game."""
    text = json.dumps(to_plain(settings))
    again = from_plain(Outer, json.loads(text))
    assert again == settings and type(again.inner) is type(settings.inner)


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("inner.count", "2000", 2000),
        ("inner.count", "2e3", 2000),
        ("inner.share", "1", 1.0),
        ("inner.share", "1e-3", 0.001),
        ("inner.kind", "fast", "fast"),
        ("inner.pair", "0.9,0.95", (0.9, 0.95)),
        ("inner.limit", "none", None),
        ("inner.limit", "2", 2.0),
        ("target", "worst", "worst"),
        ("target", "1800", 1800.0),
        ("name", "12", "12"),
        ("name", "true", "true"),
        ("many", "1,2", (1, 2)),
        ("inner", "Other", Other()),
        ("name", "Other", "Other"),
    ],
)
def test_a_field_is_changed_by_text(path: str, text: str, expected: object) -> None:
    """Text from a command line must come to mean what the field's type says."""
    found = changed_by_text(Outer(), path, text)
    for name in path.split("."):
        found = getattr(found, name)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("inner.cuont", "3", "Inner has no field 'cuont'. It has: count, share, kind"),
        ("iner.count", "3", "Outer has no field 'iner'. It has: inner, target"),
        ("inner.count", "2.5", "inner.count is 2.5; it must be a whole number"),
        ("inner.count", "many", "inner.count is 'many'; it must be a whole number"),
        ("inner.count", "true", "must be a whole number"),
        ("inner.kind", "quick", "it must be 'slow' or 'fast'"),
        ("inner.share", "nan", "it must be a number"),
        ("inner.share", "inf", "it must be a number"),
        ("inner.limit", "x", "a number or none"),
        ("inner.pair", "1", "a list of a number and a number"),
        ("target", "middle", "a number or 'best' or 'worst'"),
        ("inner", "Another", "inner is 'Another'; it must be Other"),
        ("target.x", "1", "no fields of its own"),
        ("", "1", "no field ''"),
    ],
)
def test_a_wrong_change_says_what_is_allowed(path: str, text: str, said: str) -> None:
    """A misspelt setting that is taken in silence is a run that was never asked for."""
    with pytest.raises(SeqrlError) as refusal:
        changed_by_text(Outer(), path, text)
    assert said in str(refusal.value)


def test_another_kind_keeps_what_both_have() -> None:
    """Who chooses another search did not ask for another horizon."""
    before = Outer(inner=Inner(count=7, share=0.25))
    assert changed_by_text(before, "inner", "Other").inner == Other(count=7, share=0.25)
    assert kinds_of(Inner) == {"Other": Other} and kinds_of(Inner | None) == kinds_of(str) == {}


def test_types_are_checked_in_plain_data_too() -> None:
    """A checkpoint may come from anywhere."""
    plain = to_plain(Outer())
    for wrong in ({"name": 3}, {"inner": 3}, {"inner": {"count": "3"}}, {"many": [1, "2"]}):
        with pytest.raises(SeqrlError):
            from_plain(Outer, {**plain, **wrong})
    assert changed(Outer(), "inner.share", 1).inner.share == 1.0


@pytest.mark.parametrize(
    "place",
    [
        "os:system",
        "os:nothing",
        "nowhere:Thing",
        "",
        "a:",
        ":b",
        "tests.test_plain:EXAMPLES",
        "tests.test_plain:Outer",
        "builtins:exec",
    ],
)
def test_only_classes_of_the_kind_are_made(place: str) -> None:
    """Plain data that names any class would call anything."""
    with pytest.raises((SeqrlError, UnknownName)):
        class_at(place, Inner)
    with pytest.raises((SeqrlError, UnknownName)):
        from_plain(Inner, {"is": place})


def test_what_is_no_setting_is_refused() -> None:
    """Arrays and functions in settings would make the hash of a run depend on their repr."""
    for value in (object(), float("nan"), {1, 2}, len):
        with pytest.raises(SeqrlError, match="cannot be written down"):
            to_plain(value)


def test_a_declaration_says_what_was_chosen() -> None:
    """A default that is written down makes every older checkpoint another one when it is new."""
    assert declaration(Outer()) == "Outer()"
    chosen = Outer(target=5.0, inner=Other(extra=True), many=(1,))
    assert declaration(chosen) == "Outer(inner=Other(extra=True), target=5.0, many=(1))"
    assert declaration(Outer(name="y")) != declaration(Outer(name="z"))
