"""Episodes that are being played, on disk: so that a kill loses a minute of playing, not hours."""

from pathlib import Path

import numpy as np

from seqrl.evaluation import Underway

ARRAYS = ("numbers", "actions", "present")


def write_underway(file: Path, underway: Underway) -> None:
    """Put what is needed to go on in the place of `file`; of an agent that remembers anything but
    numbers nothing is kept."""
    import torch

    from seqrl.training.checkpoint import write_checkpoint

    arrays = {f"memory.{name}": kept for name, kept in underway.memory.items()}
    arrays |= {name: getattr(underway, name) for name in ARRAYS}
    if any(array.dtype.kind not in "biuf" for array in arrays.values()):
        return
    tensors = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
    write_checkpoint(file, tensors, {"chance": list(underway.chance)})


def read_underway(file: Path) -> Underway | None:
    """Read it; nothing if there is none."""
    from seqrl.training.checkpoint import named, read_checkpoint

    if not file.exists():
        return None
    tensors, about = read_checkpoint(file)
    return Underway(
        **{name: tensors[name].numpy() for name in ARRAYS},
        memory={name: kept.numpy() for name, kept in named(tensors, "memory.").items()},
        chance=about["chance"],
    )
