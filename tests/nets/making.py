"""Small networks and inputs for the tests of nets."""

from typing import Any

import torch
from torch import Tensor

from seqrl.nets.transformer import Network, Transformer


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(**given: Any) -> Network:
    settings: dict[str, Any] = {"layers": 3, "heads": 2, "width": 12, "inner": 20, "dropout": 0.0}
    return Network(**settings | given)


def transformer(seed: int = 0, **given: Any) -> Transformer:
    """Make one with large random weights: at the usual start, attention hardly matters."""
    made = Transformer(network(**given), generator(seed)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.4, generator=generator(seed + parameter.numel()))
    return made


def tokens(rows: int, size: int, width: int = 12, seed: int = 1) -> Tensor:
    return torch.randn(rows, size, width, generator=generator(seed))
