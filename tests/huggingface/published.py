"""What transformers 4.30.0 said of its Trajectory Transformer, written down by make_fixtures.py."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from seqrl.huggingface import TrajectoryTransformerConfig, TrajectoryTransformerModel
from tests.huggingface.make_fixtures import leaves

__all__ = ["CALLS", "CASES", "KNOWN", "TENSORS", "close", "leaves", "model", "under", "weights"]

FOLDER = Path(__file__).parent
KNOWN = json.loads((FOLDER / "trajectory_transformer.json").read_text())
CASES = range(len(KNOWN["cases"]))
CALLS = [(case, call) for case in CASES for call in range(len(KNOWN["cases"][case]["calls"]))]
TENSORS = load_file(FOLDER / "trajectory_transformer.safetensors")


def under(prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin so, under the rest of their names."""
    return {n.removeprefix(prefix): t for n, t in TENSORS.items() if n.startswith(prefix)}


def weights(case: int) -> dict[str, Tensor]:
    """Return all that their state dict held, the masks as well."""
    trained = under(f"{case}/weights/")
    shapes = KNOWN["cases"][case]["tensors"]
    masks = {name: torch.ones(shapes[name]) for name in shapes.keys() - trained.keys()}
    return {name: (trained | masks)[name] for name in shapes}


def model(case: int, **changes: Any) -> TrajectoryTransformerModel:
    """Make their model of ours."""
    config = TrajectoryTransformerConfig.from_dict(KNOWN["cases"][case]["config"] | changes)
    return TrajectoryTransformerModel.of_tensors(config, weights(case), f"case {case}")


def close(have: Tensor, want: Tensor) -> None:
    """Hold two tensors against the bar."""
    torch.testing.assert_close(have, want, atol=1e-5, rtol=1e-5)
