"""Targets: which return a return-conditioned agent asks for. Fixed by a rule before training."""

from math import isfinite
from typing import Literal

from seqrl.errors import SeqrlError
from seqrl.tokens.tokenizer import DataFacts

Target = float | Literal["best_in_data", "paper_code", "paper_table9"]
"""A return of one's own, or a rule: the best return in the training data; what the code of the
Decision Transformer's authors asks for; what Table 9 of their paper says."""

PAPER = {
    "paper_code": {"hopper": 3600.0, "halfcheetah": 12000.0, "walker2d": 5000.0},
    "paper_table9": {"hopper": 3600.0, "halfcheetah": 6000.0, "walker2d": 5000.0},
}
"""The larger of the two returns that the authors' code plays for each body; and the paper's one."""


def target_return(target: Target, data: DataFacts) -> float:
    """Return what is asked for at the first step of an episode."""
    if target == "best_in_data":
        return data.best_return
    if not isinstance(target, str):
        return target
    known = PAPER[target]
    words = data.name.replace("-", "/").split("/")
    for body, wanted in known.items():
        if body in words:
            return wanted
    raise SeqrlError(
        f"The rule {target!r} knows {', '.join(known)}, and {data.name} is none of them. Use "
        "target='best_in_data', or a number."
    )


def rule_of(target: Target) -> str:
    """Say by which rule a target is chosen."""
    return target if isinstance(target, str) else "given"


def asked(wanted: float) -> float:
    """Return what a person asks for; no number is refused, as it would look like a bad agent."""
    if not isfinite(wanted):
        raise SeqrlError(f"A target is a finite return, not {wanted}.")
    return wanted
