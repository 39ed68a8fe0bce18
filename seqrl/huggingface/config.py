"""What the configurations of all published models share. Imports no torch.

A configuration is a dataclass of the documented fields. Whoever writes one by hand may use only
those names; what else stands in a file is kept, readable, and written back.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self

from seqrl.data.whole import replace_file
from seqrl.errors import SeqrlError, UnknownName, told_plainly
from seqrl.huggingface.files import Source, read_json
from seqrl.plain import fields_of, from_plain

SIZE = 2**24
"""The largest width, count of names or length that is believed."""

LAYERS = 1000
"""The most layers that are believed."""

CONFIG_FILE = "config.json"
"""How the file is called in every published folder."""


@dataclass(init=False, kw_only=True)
class Config:
    """The fields that every published configuration has, and what all can do."""

    model_type: ClassVar[str] = ""
    """The family's name, as files have it."""

    aliases: ClassVar[Mapping[str, str]] = {}
    """Second names of fields, as documented."""

    sizes: ClassVar[Mapping[str, int]] = {}
    """Fields that count something: whole numbers from 1 to the one given here."""

    shares: ClassVar[tuple[str, ...]] = ()
    """Fields that say which share is dropped in training."""

    return_dict: bool = True
    """Return named outputs; False: a tuple."""

    output_attentions: bool = False
    """Return the attention weights of every layer."""

    output_hidden_states: bool = False
    """Return what enters and leaves the layers."""

    kept: dict[str, Any] = field(init=False, repr=False)
    """What a file holds besides the documented fields."""

    def __init__(self, **given: Any) -> None:
        """Take documented fields, by either of their names; the others are at their defaults."""
        self.__dict__["kept"] = {}
        fields = self._resolved(given)
        for name in fields:
            if name not in fields_of(type(self)):
                raise self._unknown(name)
        for name in fields_of(type(self)):
            setattr(self, name, fields.get(name, getattr(type(self), name)))
        self.check()

    @classmethod
    def _resolved(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Replace second names by first ones."""
        fields: dict[str, Any] = {}
        for name, value in given.items():
            first = cls.aliases.get(name, name)
            if first in fields:
                raise SeqrlError(
                    f"{cls.__name__}: {first} is given twice: {name} is another name of it. "
                    "Leave one out."
                )
            fields[first] = value
        return fields

    @classmethod
    def _unknown(cls, name: str) -> UnknownName:
        names = [*fields_of(cls), *cls.aliases]
        near = difflib.get_close_matches(name, names, 3, 0.5)
        hint = f"Near are: {', '.join(near)}" if near else f"It has: {', '.join(names)}"
        return UnknownName(f"{cls.__name__} has no field {name!r}. {hint}.")

    def __setattr__(self, name: str, value: Any) -> None:
        """Change a field, by either of its names, or what was kept of a file."""
        name = self.aliases.get(name, name)
        hints = fields_of(type(self))
        if name in hints:
            self.__dict__[name] = from_plain(hints[name], value, f"{type(self).__name__}: {name}")
        elif name in self.kept:
            self.kept[name] = value
        else:
            raise self._unknown(name)

    def __getattr__(self, name: str) -> Any:
        """Read a field by its second name, or what was kept of a file."""
        if name in type(self).aliases:
            return getattr(self, type(self).aliases[name])
        kept = self.__dict__.get("kept", {})
        if name in kept:
            return kept[name]
        raise AttributeError(f"{type(self).__name__} has no field {name!r}")

    def check(self) -> None:
        """Refuse what no model can be made of."""
        for name, largest in self.sizes.items():
            value = getattr(self, name)
            if value is not None and not 1 <= value <= largest:
                raise self.refused(name, f"a whole number from 1 to {largest:,}")
        for name in self.shares:
            if not 0 <= getattr(self, name) < 1:
                raise self.refused(name, "a share from 0 to below 1; 0 drops nothing")

    def refused(self, name: str, allowed: str) -> SeqrlError:
        """Say that a field's value is not allowed, and what is."""
        return SeqrlError(
            f"{type(self).__name__}: {name} is {getattr(self, name)!r}; it must be {allowed}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it, with what was kept of a file."""
        fields = {name: getattr(self, name) for name in fields_of(type(self))}
        plain = {n: list(v) if isinstance(v, tuple) else v for n, v in fields.items()}
        return {"model_type": self.model_type, **self.kept, **plain}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Make one of what a file holds; keys that are not documented are kept."""
        fields = cls._resolved(plain)
        family = fields.pop("model_type", cls.model_type)
        if family != cls.model_type:
            raise SeqrlError(
                f"model_type is {family!r}, and {cls.__name__} is for {cls.model_type!r}. Take the "
                "class of that family."
            )
        known = {name: fields.pop(name) for name in list(fields) if name in fields_of(cls)}
        config = cls(**known)
        config.kept.update(fields)
        return config

    @classmethod
    def from_pretrained(cls, folder_or_id: str | PathLike[str], **changes: Any) -> Self:
        """Read config.json of a folder or of a hub id, and change the fields named."""
        file = Source(folder_or_id).get(CONFIG_FILE)
        try:
            config = cls.from_dict(read_json(file))
        except SeqrlError as error:
            raise (error if str(file) in str(error) else type(error)(f"{file}: {error}")) from error
        for name, value in changes.items():
            setattr(config, name, value)
        config.check()
        return config

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write config.json into a folder."""
        self.check()
        with told_plainly(Path(folder), "writing a published model"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            replace_file(Path(folder, CONFIG_FILE), config_text(self.to_dict()))


def config_text(plain: Mapping[str, Any]) -> str:
    """Return the content of a config.json."""
    return json.dumps(plain, indent=2, sort_keys=True, allow_nan=False) + "\n"
