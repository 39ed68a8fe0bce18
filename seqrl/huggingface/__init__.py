"""The published model classes on our network; their checkpoints are read and written.

The names below are imported when they are first touched.
"""

from importlib import import_module
from typing import Any

_PUBLIC: dict[str, str] = {
    "DecisionTransformerConfig": "seqrl.huggingface.decision_transformer_config",
    "DecisionTransformerGPT2Model": "seqrl.huggingface.gpt2",
    "DecisionTransformerModel": "seqrl.huggingface.decision_transformer",
    "TrajectoryTransformerConfig": "seqrl.huggingface.trajectory_transformer_config",
    "TrajectoryTransformerModel": "seqrl.huggingface.trajectory_transformer",
    "get_action": "seqrl.huggingface.decision_transformer",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'seqrl.huggingface' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
