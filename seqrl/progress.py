"""How long work tells how far it is. The library only calls; who shows it, and how, is decided
above."""

from typing import Protocol


class Progress(Protocol):
    """Called with what is done and the whole, in `unit`; `total` 0 means not known. `note` is what
    else is worth seeing at this moment."""

    def __call__(self, doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        """Take note of the state of the work."""


def silent(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
    """Show nothing."""
