"""Checkpoints: arrays and plain data in one safetensors file, written whole or not at all.

The plain data stands in the file's own header, as JSON, so that the two cannot be of different
ages. What the entries mean is the business of whoever writes them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from seqrl.data.whole import replace_file
from seqrl.errors import DataError, told_plainly
from seqrl.nets.model import Model

FORMAT = 1
"""Raised when a reader of this file could misunderstand an older one."""


def write_checkpoint(file: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Put a checkpoint in the place of `file`."""
    header = json.dumps({"format": FORMAT, **about}, allow_nan=False)
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with told_plainly(file, "writing a checkpoint"):
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, save(content, metadata={"seqrl": header}))


def read_checkpoint(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint: its arrays, on the CPU, and what stands in its header."""
    with told_plainly(file, "reading a checkpoint"):
        if file.is_dir() or not file.exists():
            file.read_bytes()  # says what is wrong
    try:
        with safe_open(file, framework="pt") as opened:
            header = (opened.metadata() or {}).get("seqrl")
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        about = json.loads(header) if header is not None else None
    except (SafetensorError, ValueError) as error:
        raise DataError(
            f"{file} is not a whole safetensors file ({error}), so not a checkpoint of seqrl. A "
            "checkpoint is written by `seqrl run`, beside the record."
        ) from error
    if not isinstance(about, dict):
        raise DataError(
            f"{file} is a safetensors file, but not a checkpoint of seqrl: its header says nothing "
            "of an agent. A checkpoint is written by `seqrl run`, beside the record."
        )
    if about.get("format") != FORMAT:
        raise DataError(
            f"{file} is a checkpoint of format {about.get('format')!r}, and this version of seqrl "
            f"reads format {FORMAT}. Use the version that wrote it"
            + (f": seqrl {about['versions']['seqrl']}." if "versions" in about else ".")
        )
    return tensors, about


def tensors_of(model: Model) -> dict[str, Tensor]:
    """Return what plays: weights, and the tokenizer's numbers."""
    weights = {f"weights.{name}": weight for name, weight in model.state_dict().items()}
    numbers = {f"tokenizer.{n}": np.array(a) for n, a in model.tokenizer.arrays().items()}
    return weights | {name: torch.from_numpy(array) for name, array in numbers.items()}


def named(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the arrays whose names begin with `prefix`, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
