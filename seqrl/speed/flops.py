"""How much of the machine a training uses: the matrix products of an update, over the time it
takes, over what the machine can do.

Only matrix products are counted, two operations for each multiplication and addition, and only
those that are really executed: the last block works for the tokens that something is read from,
attention multiplies the hidden half of its square too.
"""

import time

import torch

from seqrl.nets.token_model import TokenModel

SIZES = {"cpu": (256, 512, 1024), "cuda": (2048, 4096, 8192)}
"""Square matrices with which the peak is looked for."""

PEAK_SECONDS = 0.5
"""How long each size is tried."""


def training_flops(model: TokenModel, batch: int) -> int:
    """Count the operations of one update: forward, and backward, which is twice as much."""
    network, steps = model.network, model.tokenizer.layout.steps
    widths, width, inner = model.tokenizer.widths, network.width, network.inner_width
    tokens, read = model.size, len(model.read_from)

    def block(asking: int) -> int:
        """Multiplications in a block for the tokens that ask, all of which look at all."""
        keys_and_values = tokens * width * 2 * width
        queries_and_out = asking * width * 2 * width
        attention = 2 * asking * tokens * width
        return keys_and_values + queries_and_out + attention + 2 * asking * width * inner

    blocks = block(tokens) * (network.layers - 1) + block(read)
    heads = steps * width * sum(widths[name] for name in model.outputs)
    # What is embedded needs no gradient: backward is half there.
    embedded = steps * width * sum(widths[name] for name in model.inputs)
    return 2 * batch * (3 * (blocks + heads) + 2 * embedded)


def matrix_peak(precision: str, device: torch.device) -> float:
    """Measure the most operations a second that products of square matrices reach here."""
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    return max(_speed(size, kind, device) for size in SIZES[device.type])


def _speed(size: int, kind: torch.dtype, device: torch.device) -> float:
    a, b = (torch.ones(size, size, dtype=kind, device=device) for _ in range(2))
    repeats = 1 if device.type == "cpu" else 20
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < PEAK_SECONDS:
        start = _now(device)
        for _ in range(repeats):
            torch.mm(a, b)
        best = min(best, (_now(device) - start) / repeats)
    return 2 * size**3 / best


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
