"""Settings as plain data: frozen dataclasses to JSON and back, and single fields changed by name.

An object becomes a mapping of its fields, and under "is" the place of its class, module:Class.
Reading checks every name and every type, and says what is allowed.
"""

import dataclasses
import importlib.util
import math
import sys
import types
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from seqrl.errors import SeqrlError, UnknownName, told_plainly

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Return settings as JSON can hold them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = vars(type(value))
        if own.get("__annotations__") and "__dataclass_fields__" not in own:
            raise SeqrlError(
                f"{type(value).__name__} has fields but is no dataclass itself, so they would be "
                "in no record. Put @dataclass(frozen=True, kw_only=True) above it."
            )
        fields = {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"is": place_of(type(value)), **fields}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise SeqrlError(
        f"{value!r} cannot be written down. Settings are numbers, texts, true or false, nothing, "
        "tuples of them, and dataclasses of them."
    )


def declaration(value: Any) -> str:
    """Write a dataclass as it was declared: what is at its default is left out, so that a field
    which is new since then changes nothing."""
    if isinstance(value, tuple):
        return f"({', '.join(map(declaration, value))})"
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return repr(value)
    said = [
        f"{field.name}={declaration(getattr(value, field.name))}"
        for field in dataclasses.fields(value)
        if getattr(value, field.name) != field.default
    ]
    return f"{type(value).__name__}({', '.join(said)})"


def place_of(kind: type) -> str:
    """Return where a class is to be found: module:Class."""
    return f"{kind.__module__}:{kind.__qualname__}"


def module_of(file: str, copy: Path | None = None) -> types.ModuleType:
    """Run a file, mine.py, as a module of that name; its classes are found at mine.py:Class. Where
    it is not on this machine, a copy of it will do."""
    if file in sys.modules:
        return sys.modules[file]
    path = copy or Path(file).expanduser()
    with told_plainly(path, "reading a Python file"):
        path.read_bytes()
    spec = importlib.util.spec_from_file_location(file, path.resolve())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file] = module  # dataclasses of the file look themselves up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[file]
        raise
    return module


def class_at(place: str, expected: type[T]) -> type[T]:
    """Find the class at module:Class or file.py:Class, which must be an `expected`."""
    module, _, name = place.rpartition(":")
    try:
        found = getattr(
            module_of(module) if module.endswith(".py") else import_module(module), name
        )
    except ModuleNotFoundError as error:
        raise UnknownName(
            f"{place}: there is no module {error.name!r} here. Install what it belongs to, or run "
            "where its file lies."
        ) from error
    except (AttributeError, TypeError, ValueError, ImportError) as error:
        raise UnknownName(f"{place} could not be found: {error}.") from error
    if not (isinstance(found, type) and issubclass(found, expected)):
        raise SeqrlError(f"{place} is not a kind of {expected.__name__}.")
    return found


def from_plain(hint: Any, plain: Any, where: str = "") -> Any:
    """Make a value of the type `hint` out of plain data; `where` names it in messages."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(hint), plain, where)
    if origin is Literal:
        if plain in get_args(hint) and type(plain) in {type(name) for name in get_args(hint)}:
            return plain
        raise _wrong(where, plain, hint)
    if origin is tuple and isinstance(plain, tuple | list):
        inner = get_args(hint)
        kinds = [inner[0]] * len(plain) if inner[-1:] == (...,) else list(inner)
        if len(kinds) != len(plain):
            raise _wrong(where, plain, hint)
        return tuple(from_plain(k, item, where) for k, item in zip(kinds, plain, strict=True))
    if hint is float and type(plain) is int and abs(plain) <= sys.float_info.max:
        return float(plain)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(plain, hint):
            return plain
        if isinstance(plain, str) and plain in kinds_of(hint):
            return kinds_of(hint)[plain]()
        if not isinstance(plain, Mapping):
            raise _wrong(where, plain, hint)
        return _object(hint, plain, where)
    if hint is type(None) and plain is None:
        return None
    if hint in (bool, int, float, str) and type(plain) is hint:
        if hint is float and not math.isfinite(plain):
            raise _wrong(where, plain, hint)
        return plain
    raise _wrong(where, plain, hint)


def kinds_of(kind: Any) -> dict[str, type]:
    """Return what a person may call a dataclass of this kind: its subclasses, where it has any,
    each standing for its defaults."""
    found: dict[str, type] = {}
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return found
    for inner in kind.__subclasses__():
        found |= {inner.__name__: inner, **kinds_of(inner)}
    return found


def _one_of(hints: tuple[Any, ...], plain: Any, where: str) -> Any:
    for hint in hints:
        try:
            return from_plain(hint, plain, where)
        except SeqrlError:
            continue
    raise _wrong(where, plain, Union[hints])  # noqa: UP007 (there is no other way to say it)


def _object(expected: type, plain: Mapping[str, Any], where: str) -> Any:
    given = dict(plain)
    place = given.pop("is", None)
    kind = expected if place is None else class_at(place, expected)
    hints = fields_of(kind)
    values = {}
    for name, value in given.items():
        _known(kind, name)
        values[name] = from_plain(hints[name], value, f"{where}.{name}" if where else name)
    try:
        return kind(**values)
    except TypeError as error:  # a field without a default is missing
        raise SeqrlError(f"{kind.__name__} cannot be made of {sorted(given)}: {error}.") from error


def fields_of(kind: type) -> dict[str, Any]:
    """Return the fields of a dataclass and their types."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _known(kind: type, name: str) -> None:
    if name not in fields_of(kind):
        raise UnknownName(
            f"{kind.__name__} has no field {name!r}. It has: {', '.join(fields_of(kind))}."
        )


def changed(settings: T, path: str, value: Any) -> T:
    """Return `settings` with one field changed; `path` leads into inner ones by dots."""
    made: T = _changed(settings, path.split("."), value, path)
    return made


def _changed(settings: Any, path: list[str], value: Any, where: str) -> Any:
    name, *rest = path
    _known(type(settings), name)
    if rest:
        inner = getattr(settings, name)
        if not dataclasses.is_dataclass(inner):
            raise SeqrlError(f"{where}: {name} is {inner!r}, and has no fields of its own.")
        made = _changed(inner, rest, value, where)
    else:
        hint = fields_of(type(settings))[name]
        made = from_plain(hint, value, where)
        if isinstance(value, str) and value in kinds_of(hint):  # what both kinds have stays
            before, kept = getattr(settings, name), fields_of(type(made))
            shared = {n: getattr(before, n) for n in kept if hasattr(before, n)}
            made = dataclasses.replace(made, **shared)
    return dataclasses.replace(settings, **{name: made})


def changed_by_text(settings: T, path: str, text: str) -> T:
    """Return `settings` with one field changed to what `text` means for its type."""
    problem = None
    for value in _meanings(text):
        try:
            return changed(settings, path, value)
        except UnknownName:
            raise
        except SeqrlError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _meanings(text: str) -> list[Any]:
    """Return what a text could mean, the narrowest first; the text itself always."""
    found: list[Any] = []
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        found.append(words[text.lower()])
    for kind in (int, float):
        try:
            found.append(kind(text))
        except ValueError:
            continue
    if found and isinstance(found[-1], float) and found[-1].is_integer():
        found.append(int(found[-1]))  # 1e4 updates
    if "," in text:
        found.append([_meanings(item.strip())[0] for item in text.split(",") if item.strip()])
    return [*found, text]


def _wrong(where: str, value: Any, hint: Any) -> SeqrlError:
    return SeqrlError(f"{where or 'It'} is {value!r}; it must be {in_words(hint)}.")


def in_words(hint: Any) -> str:
    """Say what a type allows."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(in_words(inner) for inner in get_args(hint))
    if origin is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if origin is tuple:
        return "a list of " + " and ".join(in_words(i) for i in get_args(hint) if i is not ...)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and kinds_of(hint):
        return " or ".join(kinds_of(hint))
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return plain.get(hint, "none" if hint is type(None) else getattr(hint, "__name__", str(hint)))
