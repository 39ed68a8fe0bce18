"""How long work tells how far it is. The library only calls; who shows it, and how, is decided
above. And how a number of things is said."""

from collections.abc import Iterable
from typing import Protocol


class Progress(Protocol):
    """Called with what is done and the whole, in `unit`; `total` 0 means not known. `note` is what
    else is worth seeing at this moment."""

    def __call__(self, doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        """Take note of the state of the work."""


def counted(number: int, what: str, several: str | None = None) -> str:
    """Say how many of something there are: 1 step, 2 steps."""
    return f"{number:,} {what if number == 1 else several or what + 's'}"


def ranges(numbers: Iterable[int]) -> str:
    """List whole numbers, many in a row as their ends: 0, 1, 7 to 99."""
    said: list[str] = []
    rows: list[list[int]] = []
    for number in sorted(set(numbers)):
        if rows and number == rows[-1][-1] + 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    for row in rows:
        said += [f"{row[0]} to {row[-1]}"] if len(row) > 5 else [str(number) for number in row]
    return ", ".join(said)


def one_line(text: str) -> str:
    """Return text in one line, with what cannot be seen as Python would write it."""
    return _visible(" ".join(text.split()))


def visible(text: str) -> str:
    """Return the lines of a text, with what cannot be seen in them as Python would write it."""
    return "\n".join(map(_visible, text.split("\n")))


def _visible(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in line
    )


def silent(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
    """Show nothing."""
