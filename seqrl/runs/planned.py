"""Plans of an agent while it plays: kept, and told beside what then came.

Letters: T steps of the episode, H steps of a plan, S tokens a step, o observation width.
"""

import numpy as np

from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.episodes import Array, History
from seqrl.errors import SeqrlError
from seqrl.evaluation import Played
from seqrl.policy import Policy
from seqrl.progress import counted
from seqrl.runs.imagined import Float64, Imagined, Plan
from seqrl.runs.origin import Origin, in_cells
from seqrl.tasks.poses import plane_body
from seqrl.tokens.tokenizer import Tokenizer

KEPT = 6
"""Plans of an episode that are kept, evenly spread over those that were made."""


class Planned:
    """Looks on while episodes are played, and keeps the plans of one of them."""

    def __init__(self, policy: Policy, number: int) -> None:
        """Refuse an agent that makes no plans."""
        if not isinstance(policy.agent, TrajectoryTransformer):
            raise SeqrlError(
                f"{type(policy.agent).__name__} makes no plans, so there are none to draw. Leave "
                "out --plans, or name a checkpoint of a TrajectoryTransformer."
            )
        self._agent, self._tokenizer = policy.agent, policy.model.tokenizer
        self._body = plane_body(policy.task)
        self._number = number
        self._plans: dict[int, Array] = {}  # by the step at which they were made [H, S]
        self._seen = np.empty((0, 0))  # all observations of the episode [T + 1, o]

    def look(self, numbers: Array, history: History) -> None:
        """Take note of a step; to be called after each, see `play`."""
        if self._number not in numbers:
            return
        row, decided = int(np.flatnonzero(numbers == self._number)[0]), history.step - 1
        if decided % self._agent.replan_every == 0:
            self._plans[decided] = history.memory["plan"][row].copy()
        self._seen = history.observations[row]

    def imagined(self, origin: Origin, played: Played) -> Imagined:
        """Return what was kept, when the episode is over."""
        made = sorted(self._plans)
        count = min(KEPT, len(made))
        chosen = [made[number * len(made) // count] for number in range(count)]
        slots = self._tokenizer.slots
        names = tuple(slot.label for slot in slots if slot.name == "observation")
        about = {"episode": played.number, "environment_seed": played.seed, **origin.facts}
        said = f"episode {played.number} (environment seed {played.seed})"
        every = self._agent.replan_every
        followed = f" A plan is followed for {counted(every, 'step')}, then a later one."
        return Imagined(
            about={**origin.columns(), **in_cells(about)},
            caption=origin.caption(said) + followed,
            names=names,
            meanings=self._body.names if self._body else names,
            simulated=self._seen.astype(np.float64),
            plans=tuple(self._plan(step) for step in chosen),
        )

    def _plan(self, step: int) -> Plan:
        tokens, body = self._plans[step], self._body
        imagined = decoded(self._tokenizer, tokens)
        came = self._seen[step : step + len(imagined)]
        return Plan(
            step=step,
            imagined=imagined,
            ends=len(imagined) < len(tokens),
            bodies=(body.poses(imagined), body.poses(came)) if body else None,
        )


def decoded(tokenizer: Tokenizer, plan: Array) -> Float64:
    """Return what a plan [H, S] believes will be seen, up to an end that it imagines [H, o]."""
    slots = [i for i, slot in enumerate(tokenizer.slots) if slot.name == "observation"]
    tokens = plan[:, slots]
    over = (tokens >= tokenizer.centres("observation").shape[1]).any(1)
    alive = tokens[: int(over.argmax()) if over.any() else len(over)]
    return tokenizer.decode("observation", alive).astype(np.float64)
