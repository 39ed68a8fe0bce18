"""How long work tells how far it is. The library only calls; who shows it, and how, is decided
above. And how a number of things is said."""

from typing import Protocol


class Progress(Protocol):
    """Called with what is done and the whole, in `unit`; `total` 0 means not known. `note` is what
    else is worth seeing at this moment."""

    def __call__(self, doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        """Take note of the state of the work."""


def counted(number: int, what: str, several: str | None = None) -> str:
    """Say how many of something there are: 1 step, 2 steps."""
    return f"{number:,} {what if number == 1 else several or what + 's'}"


def silent(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
    """Show nothing."""
