"""The past as the published Trajectory Transformer hands it over: a pair of tensors a layer.

Letters: B rows, P tokens of the past, h heads, e width of a head.
"""

from typing import Any

from torch import Tensor

from seqrl.errors import SeqrlError
from seqrl.nets.transformer import Cache, Network

Past = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values [B, h, P, e] of each layer."""


def length_of(past: Past | None, network: Network, rows: int) -> int:
    """Count the tokens of a past, and refuse what is none of so many rows."""
    if past is None:
        return 0
    shapes = _shapes(past)
    length = shapes[0][2] if shapes and len(shapes[0]) == 4 else 0
    if shapes != [(rows, network.heads, length, network.head_width)] * (2 * network.layers):
        raise SeqrlError(
            f"past_key_values has tensors of the shapes {shapes}; it must hold two of "
            f"({rows}, {network.heads}, tokens, {network.head_width}) for each of the "
            f"{network.layers} layers. Give what a call with use_cache=True for the same rows "
            "returned."
        )
    return length


def _shapes(past: Any) -> list[tuple[int, ...]]:
    pairs = list(past) if isinstance(past, tuple | list) else [past]
    found = []
    for pair in pairs:
        if not isinstance(pair, tuple | list) or not all(isinstance(x, Tensor) for x in pair):
            raise SeqrlError(
                f"past_key_values holds a {type(pair).__name__}; it must be a tuple with a pair of "
                "tensors for each layer. Give what a call with use_cache=True returned."
            )
        found += [tuple(tensor.shape) for tensor in pair]
    return found


def cache_of(past: Past | None, network: Network, like: Tensor, length: int, size: int) -> Cache:
    """Copy `length` tokens of a past for the rows of embedded tokens `like`, and leave room for
    `size` more."""
    cache = Cache.beside(network, like, length + size)
    for layer, (keys, values) in enumerate(past or ()):
        cache.keys[layer, :, :, :length] = keys.detach()
        cache.values[layer, :, :, :length] = values.detach()
    cache.length = length
    return cache


def past_of(cache: Cache) -> Past:
    """Hand over all tokens of a full cache."""
    return tuple(zip(cache.keys, cache.values, strict=True))
