"""What networks are computed on, and in which precision."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from seqrl.errors import SeqrlError


def device_named(name: str) -> str:
    """Return what `auto` means here, or refuse a device that is not."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.device(name if name.startswith(("cpu", "cuda")) else "")
    except RuntimeError as error:
        raise SeqrlError(f"A device is auto, cpu, cuda or cuda:1, not {name!r}.") from error
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise SeqrlError(
            f"{name}: PyTorch sees no GPU here. `seqrl doctor` says more; the device cpu works "
            "everywhere."
        )
    return name


def precision_on(wanted: str, device: torch.device) -> str:
    """Return what `auto` means on a device: bfloat16 where it is made for it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return "bfloat16"
    return "float32"


def casting(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Compute in a precision for a while; weights stay in float32."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
