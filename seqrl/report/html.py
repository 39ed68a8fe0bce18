"""HTML made so that no text can be markup: whatever is put in is escaped, by one function.

Names of elements and attributes are ours and are written as they stand; everything between and in
them may be anybody's. SVG inside a page is made in the same way.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

SPECIAL = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}
ENDS = range(0x10000, 0x110001, 0x10000)
PLAIN = "&<>\"'\x00-\x08\x0b-\x1f\x7f"
"""Marks, and control characters, but for tab and new line."""
BEYOND = (
    "\x80-\x9f"  # more control characters
    "\u202a-\u202e\u2066-\u2069"  # they turn the text around that follows
    "\ud800-\udfff"  # halves of characters, which no file can hold
    # and these are none:
    "\ufdd0-\ufdef" + "".join(f"{chr(end - 2)}{chr(end - 1)}" for end in ENDS)
)
STRANGE = {True: re.compile(f"[{PLAIN}]"), False: re.compile(f"[{PLAIN}{BEYOND}]")}
"""What cannot stand in a page as it is: of ASCII, which nearly all is, and of everything."""

EMPTY = {"br", "circle", "line", "link", "meta", "path", "polyline", "rect", "wbr"}
"""Elements that hold nothing."""
DRAWN = {"circle", "line", "path", "polyline", "rect"}
"""Those of SVG, which are closed in themselves."""


class Markup(NamedTuple):
    """A piece of a page. It is no text: text becomes one by being escaped, and in no other way."""

    source: str


def escaped(text: str) -> str:
    """Write text so that it is read as text, in an element as in an attribute. What no page can
    hold is shown as Python would write it."""
    return STRANGE[text.isascii()].sub(_shown, text)


def _shown(found: "re.Match[str]") -> str:
    return SPECIAL.get(found[0]) or found[0].encode("unicode_escape").decode()


def tag(name: str, /, *content: str | Markup, **attributes: str | float | None) -> Markup:
    """Make an element. An attribute that is a word of Python is written with _ after it, a dash
    as _ (`class_`, `aria_label`); one that is None is left out."""
    opening = name
    for key, value in attributes.items():
        if value is not None:
            opening += f' {_written(key)}="{escaped(str(value))}"'
    if name in EMPTY:
        assert not content, f"{name} holds nothing"
        return Markup(f"<{opening}/>" if name in DRAWN else f"<{opening}>")
    return Markup(f"<{opening}>{_source(content)}</{name}>")


def each(name: str, texts: Iterable[str]) -> Markup:
    """Make an element of each text."""
    return Markup("".join([f"<{name}>{escaped(text)}</{name}>" for text in texts]))


@cache
def _written(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def style_sheet(rules: str) -> Markup:
    """Make an element of rules of ours, which are not escaped there: nobody else's belong in."""
    assert "<" not in rules
    return Markup(f"<style>{rules}</style>")


def together(*content: str | Markup) -> Markup:
    """Put one after the other; what is text is escaped."""
    return Markup(_source(content))


def _source(content: Iterable[str | Markup]) -> str:
    return "".join([one.source if isinstance(one, Markup) else escaped(one) for one in content])
