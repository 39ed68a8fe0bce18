"""Episodes that are being played, on disk: so that a kill loses a minute of playing, not hours."""

from pathlib import Path

import numpy as np

from seqrl.evaluation import Underway


def write_underway(file: Path, underway: Underway) -> None:
    """Put what is needed to go on in the place of `file`."""
    import torch

    from seqrl.training.checkpoint import write_checkpoint

    arrays = {f"memory.{name}": kept for name, kept in underway.memory.items()}
    arrays |= {"numbers": underway.numbers, "actions": underway.actions}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
    write_checkpoint(file, tensors, {"chance": list(underway.chance)})


def read_underway(file: Path) -> Underway | None:
    """Read it; nothing if there is none."""
    from seqrl.training.checkpoint import named, read_checkpoint

    if not file.exists():
        return None
    tensors, about = read_checkpoint(file)
    return Underway(
        numbers=tensors["numbers"].numpy(),
        actions=tensors["actions"].numpy(),
        memory={name: kept.numpy() for name, kept in named(tensors, "memory.").items()},
        chance=about["chance"],
    )
