"""The Decision Transformer's speed beside `transformers`' own: the same network, the same weights,
the same windows, in one process."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.errors import SeqrlError
from seqrl.policy import Policy
from seqrl.progress import Progress, silent
from seqrl.runs.identity import machine, versions
from seqrl.runs.source import Source
from seqrl.seeds import seed_for
from seqrl.speed.flops import matrix_peak, training_flops
from seqrl.speed.playing import Match, match
from seqrl.speed.race import OURS, THEIRS, Agreement, Race, Side, agreement
from seqrl.tasks.task import Task
from seqrl.tokens.tokenizer import fit
from seqrl.tokens.windows import Windows
from seqrl.training.device import device_named, precision_on

LEAST_UPDATES = 4
"""Two blocks at least are needed: the first is for warming up."""

SAME = 1e-4
"""Share by which loss and gradient of one batch may differ: float32 adds in another order."""

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class Speed:
    """All that was measured, and on what."""

    data: str
    updates: int
    batch: int
    steps: int
    """Of a window."""
    dropout: float
    sides: Sequence[Side]
    agreement: Agreement
    match: Match
    network_played: str
    flops: int
    """Operations of our matrix products in one update."""
    peaks: dict[str, float]
    """Precision -> the most operations a second that matrix products reach here."""
    load: tuple[float, float] | None
    """Processes that wanted to run, at the start and at the end; nothing where the system does not
    say."""
    machine: dict[str, Any]
    versions: dict[str, str]

    @property
    def yardstick(self) -> Side:
        """The side that all are compared with: theirs in float32."""
        return next(side for side in self.sides if side.name == THEIRS)

    def loss_apart(self, side: Side) -> float:
        """Return by what share a side's loss differs from the yardstick's."""
        return abs(side.loss / self.yardstick.loss - 1)

    def used(self, side: Side, precision: str) -> float:
        """Return the share of a peak at which one of our sides multiplies matrices."""
        return self.flops * side.updates_per_second / self.peaks[precision]

    def used_at_best(self, side: Side, precision: str) -> float:
        """Return the same of the quickest block: on a busy machine the peak is a quiet moment's."""
        return self.flops / min(side.seconds) / self.peaks[precision]

    def plain(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        whole = asdict(self)
        for plain, side in zip(whole["sides"], self.sides, strict=True):
            plain["updates_per_second"] = side.updates_per_second
            plain["times_faster"] = side.times_faster(self.yardstick)
            plain["loss_apart"] = self.loss_apart(side)
            if side.name == OURS:
                plain["share_of_peak"] = {kind: self.used(side, kind) for kind in self.peaks}
                plain["share_of_peak_at_best"] = {
                    kind: self.used_at_best(side, kind) for kind in self.peaks
                }
        for name, played in (("ours", self.match.ours), ("theirs", self.match.theirs)):
            whole["match"][name]["seconds_per_step"] = played.per_step
            whole["match"][name]["seconds_per_episode"] = played.per_episode
        whole["match"]["times_faster"] = self.match.times_faster
        return whole


def measure(
    source: Source,
    *,
    updates: int,
    seeds: int,
    episodes: int,
    threads: int,
    device: str = "auto",
    precision: Precision = "auto",
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Speed:
    """Train on both sides, play on both, and count. `checkpoint` is played in place of the network
    that was just trained."""
    if updates < LEAST_UPDATES:
        raise SeqrlError(f"--updates must be {LEAST_UPDATES} or more, not {updates}.")
    load = _load()
    torch.set_num_threads(threads)
    chosen = torch.device(device_named(device))
    loaded = _loaded(checkpoint, source.task, chosen) if checkpoint is not None else None
    race = _race(source, updates, chosen)
    seeds_of_runs = [seed_for(seed, source.task.name, "training") for seed in range(seeds)]
    same = _same_network(race, seeds_of_runs[0])
    peaks = _peaks(chosen, progress)
    sides = _sides(precision, chosen)
    models = [
        race.run(sides, seed, progress, f"training, seed {number} of {seeds}")
        for number, seed in enumerate(seeds_of_runs, 1)
    ]
    playing = loaded or Policy(race.agent, models[0], source.task, about={})
    played = match(playing, seed=0, episodes=episodes, progress=progress)
    return Speed(
        data=source.episodes.name,
        updates=updates,
        batch=race.agent.training.batch,
        steps=race.agent.context_steps,
        dropout=race.agent.network.dropout,
        sides=sides,
        agreement=same,
        match=played,
        network_played=checkpoint.name
        if checkpoint
        else f"the one trained for {updates:,} updates",
        flops=training_flops(models[0], race.agent.training.batch),
        peaks=peaks,
        load=None if load is None else (load, _load() or load),
        machine=machine(str(chosen)),
        versions={**versions(), "transformers": version("transformers")},
    )


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _race(source: Source, updates: int, device: torch.device) -> Race:
    """Lay out what both sides train on: the published settings, but for the number of updates."""
    agent = DecisionTransformer()
    agent = replace(agent, training=replace(agent.training, updates=updates))
    episodes = source.episodes
    tokenizer = fit(agent.layout(), episodes)
    return Race(agent, tokenizer, Windows(tokenizer, episodes, device))


def _same_network(race: Race, seed: int) -> Agreement:
    """Refuse to compare the speed of what is not equal."""
    same = agreement(race, seed)
    if not (same.loss <= SAME and same.gradient_norm <= SAME):
        raise SeqrlError(
            f"transformers {version('transformers')} computes another network than seqrl from the "
            f"same weights: its loss differs by {same.loss:.1e} of the value, the norm of its "
            f"gradient by {same.gradient_norm:.1e}. Comparing speeds would mean nothing. Install "
            "the version that comes with pip install 'seqrl[dev]'."
        )
    return same


def _peaks(device: torch.device, progress: Progress) -> dict[str, float]:
    doing, peaks = "measuring the peak of matrix products", {}
    for done, precision in enumerate(("float32", "bfloat16")):
        progress(doing, done, 2, "precisions")
        peaks[precision] = matrix_peak(precision, device)
    progress(doing, 2, 2, "precisions")
    return peaks


def _sides(precision: Precision, device: torch.device) -> list[Side]:
    """List who takes part, ours first. Theirs always trains in float32, as it is published; in
    bfloat16 too where ours does."""
    ours = ["float32"] if precision == "auto" else [precision]
    if precision == "auto" and precision_on("auto", device) == "bfloat16":
        ours.append("bfloat16")
    theirs = ["float32", *(kind for kind in ours if kind != "float32")]
    return [Side(OURS, kind) for kind in ours] + [Side(THEIRS, kind) for kind in theirs]


def _loaded(checkpoint: Path, task: Task, device: torch.device) -> Policy:
    policy = Policy.load(checkpoint, str(device))
    if not isinstance(policy.agent, DecisionTransformer) or policy.task.name != task.name:
        raise SeqrlError(
            f"{checkpoint} holds {type(policy.agent).__name__} for {policy.task.name}; what can be "
            f"played here is a DecisionTransformer for {task.name}. Name another checkpoint, or "
            "the --task that it is for."
        )
    return policy
