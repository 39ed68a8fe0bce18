"""seqrl: sequence-model agents for offline reinforcement learning, compared on one protocol.

The names below are the public face for notebooks; each is imported when it is first touched.
"""

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("seqrl")

_PUBLIC = {
    "Agent": "seqrl.agents.agent",
    "Environments": "seqrl.tasks.environment",
    "Episode": "seqrl.episodes",
    "Episodes": "seqrl.episodes",
    "Evaluation": "seqrl.evaluation",
    "Experiment": "seqrl.runs.experiment",
    "Network": "seqrl.nets.network",
    "Policy": "seqrl.policy",
    "SeqrlError": "seqrl.errors",
    "Task": "seqrl.tasks.task",
    "Training": "seqrl.training.settings",
    "open_episodes": "seqrl.data.source",
    "read_records": "seqrl.runs.frame",
    "task_named": "seqrl.data.source",
    "when": "seqrl.runs.experiment",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'seqrl' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
