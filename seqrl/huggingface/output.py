"""What the published models return: named fields that can also be counted, as there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(eq=False)
class Output(Mapping[str, Any]):
    """Named outputs. Those that are None are not there, except as attributes.

    `out.name`, `out["name"]`, `out[0]`, `out[:2]`, `**out`. Going through one gives the names, as
    the published outputs do: to unpack the values, take `out.to_tuple()`.
    """

    def __post_init__(self) -> None:
        """Take a mapping of them in place of the first, as the published outputs do."""
        first, *others = fields(self)
        given = getattr(self, first.name)
        if isinstance(given, Mapping) and all(getattr(self, f.name) is None for f in others):
            setattr(self, first.name, None)
            for name, value in given.items():
                setattr(self, name, value)

    def __getitem__(self, key: Any) -> Any:
        """Return an output by its name, or by its place among those that are there."""
        if not isinstance(key, str):
            return self.to_tuple()[key]
        if key not in list(self):
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return (f.name for f in fields(self) if getattr(self, f.name) is not None)

    def __len__(self) -> int:
        """Count those that are there."""
        return sum(1 for _ in self)

    def to_tuple(self) -> tuple[Any, ...]:
        """Return the values of those that are there."""
        return tuple(getattr(self, name) for name in self)
