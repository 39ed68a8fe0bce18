"""The weights of a published model: read from its files, written as such, under other names.

Our modules and the published ones hold the same numbers. Where the names differ, or what stands
under them, a model declares it: one `Stored` for each such module.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from seqrl.errors import DataError, told_plainly
from seqrl.huggingface.files import Source, read_json

WEIGHTS_FILE = "model.safetensors"
"""How the weights are called in every published folder."""

INDEX_FILE = f"{WEIGHTS_FILE}.index.json"
PICKLED_FILE = "pytorch_model.bin"

MOST_NAMED = 30
"""So many tensors are named in one message, of each kind of fault."""


class Stored:
    """How the tensors of one of our modules stand in a published file.

    `names` are the published modules, or tensors; several of them stand below each other in ours,
    by rows. `turned`: the published matrices stand the other way round. A `{}` stands for a number
    within a name, such as the layer's.
    """

    def __init__(self, *names: str, turned: bool = False) -> None:
        """Keep the names."""
        self.names, self.turned = names, turned

    def below(self, module: str) -> "Stored":
        """Return the same for a model that is the part `module` of another."""
        return Stored(*(f"{module}.{name}" for name in self.names), turned=self.turned)

    def split(self, tensor: Tensor) -> dict[str, Tensor]:
        """Turn our tensor into the published ones."""
        pieces = map(self._turn, tensor.chunk(len(self.names)))
        return dict(zip(self.names, pieces, strict=True))

    def join(self, published: Mapping[str, Tensor]) -> Tensor:
        """Make our tensor, in float32, of the published ones; it shares no memory with them."""
        pieces = [self._turn(published[name]).float() for name in self.names]
        return torch.cat(pieces).contiguous()

    def _turn(self, tensor: Tensor) -> Tensor:
        return tensor.T if self.turned and tensor.ndim == 2 else tensor


def places(module: nn.Module, stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """Say for every tensor of ours how it stands in a published file.

    `stored` names modules (their weight and bias follow) or single tensors; all others have the
    same name on both sides.
    """
    found = {}
    for name in module.state_dict():
        numbers = re.findall(r"(?<=\.)\d+(?=\.)", name)
        pattern = re.sub(r"(?<=\.)\d+(?=\.)", "{}", name)
        around, _, kind = pattern.rpartition(".")
        if pattern in stored:
            rule, ending = stored[pattern], ""
        elif around in stored:
            rule, ending = stored[around], f".{kind}"
        else:
            rule, ending = Stored(pattern), ""
        published = [f"{other}{ending}".format(*numbers) for other in rule.names]
        found[name] = Stored(*published, turned=rule.turned)
    return found


def fill(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    stored: Mapping[str, Stored],
    ignored: tuple[str, ...],
    where: str,
) -> None:
    """Give a module, which may be one without memory, the weights of a published file.

    `ignored`: endings of names that stand in old files and mean nothing.
    """
    rules = places(module, stored)
    ours = module.state_dict()
    wanted = {n: t.shape for o, rule in rules.items() for n, t in rule.split(ours[o]).items()}
    given = {n: t.shape for n, t in tensors.items() if n in wanted or not n.endswith(ignored)}
    faults = {
        "missing": [f"{n} {list(wanted[n])}" for n in wanted if n not in given],
        "unexpected": [f"{n} {list(given[n])}" for n in given if n not in wanted],
        "that are no real numbers": [
            f"{n} of {tensors[n].dtype}"
            for n in given
            if n in wanted and not tensors[n].is_floating_point()
        ],
        "of another shape": [
            f"{name} is {list(shape)} and must be {list(wanted[name])}"
            for name, shape in given.items()
            if name in wanted and shape != wanted[name]
        ],
    }
    said = [f"{kind}: {_listed(names)}" for kind, names in faults.items() if names]
    if said:
        raise DataError(
            f"{where} does not hold the weights of a {type(module).__name__} of its configuration. "
            f"Tensors {'; '.join(said)}. Check that both are of one model."
        )
    state = {name: rule.join(tensors) for name, rule in rules.items()}
    module.load_state_dict(state, assign=True)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def published_tensors(module: nn.Module, stored: Mapping[str, Stored]) -> dict[str, Tensor]:
    """Return a module's weights under the published names, as a file holds them."""
    ours = module.state_dict()
    pieces: dict[str, Tensor] = {}
    for name, rule in places(module, stored).items():
        pieces |= rule.split(ours[name])
    # Each its own memory: pieces of one tensor cannot be written otherwise.
    return {
        name: piece.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, piece in pieces.items()
    }


def read_weights(source: Source) -> tuple[dict[str, Tensor], Path]:
    """Read the weights of a published model; also return the file that says which they are."""
    if (file := source.find(WEIGHTS_FILE)) is not None:
        return tensors_in(file), file
    if (file := source.find(INDEX_FILE)) is not None:
        return _shards(source, file), file
    if (file := source.find(PICKLED_FILE)) is not None:
        return tensors_in(file), file
    raise DataError(
        f"{source.place} has no weights: neither {WEIGHTS_FILE} nor {PICKLED_FILE}. Check that it "
        "is the folder of a published model."
    )


def _shards(source: Source, index: Path) -> dict[str, Tensor]:
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(n, str) for n in names.values()):
        raise DataError(f"{index}: weight_map must be an object of file names.")
    tensors: dict[str, Tensor] = {}
    for name in sorted(set(names.values())):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise DataError(
                f"{index}: weight_map names {name!r}; it must name .safetensors files of its own "
                "folder."
            )
        tensors |= tensors_in(source.get(name))
    return tensors


def tensors_in(file: Path) -> dict[str, Tensor]:
    """Read the tensors of a .safetensors file, or of a state dict written by torch.save.

    Of the latter only tensors and plain containers are read: nothing that it names is run.
    """
    with told_plainly(file, "reading weights"):
        if not file.is_file():
            file.read_bytes()  # says what is wrong
    if file.suffix == ".safetensors":
        try:
            with safe_open(file, framework="pt") as opened:
                return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise DataError(f"{file} is not a whole safetensors file ({error}).") from error
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a broken or hostile file can cause
        raise DataError(
            f"{file} is not a file of weights, or holds more than tensors, and was not opened: "
            f"nothing in it was run. ({_short(error)})"
        ) from error
    return _only_tensors(content, file)


def _short(error: Exception) -> str:
    """Return what an error says, without PyTorch's advice how to run the file after all."""
    program = re.search(r"GLOBAL (\S+)", str(error))
    if program is not None:
        return f"it asks for {program.group(1)}"
    lines = [line for line in str(error).splitlines() if line and "weights_only" not in line]
    return lines[0][:200] if lines else type(error).__name__


def _only_tensors(content: Any, file: Path) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        raise DataError(
            f"{file} holds a {type(content).__name__}, and must hold a state dict: a dict of "
            "tensors by name, as torch.save(model.state_dict(), file) writes it."
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise DataError(
                f"{file}: {name!r} is a {type(value).__name__}; a state dict has names and "
                "tensors only. Write torch.save(model.state_dict(), file)."
            )
        if value.layout is not torch.strided or value.is_quantized or value.is_complex():
            raise DataError(
                f"{file}: {name} is {value.layout} of {value.dtype}; weights must be dense and "
                "real numbers."
            )
    return {name: value.detach() for name, value in content.items()}
