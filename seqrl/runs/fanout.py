"""Fanout: the runs of a launch as flat Ray tasks, wherever there is room.

A task gets an order and streams what it has to tell; everything that is kept is written by this
process alone, so machines need no shared folder. A run that was lost with its machine is sent out
again with what there was to go on from.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from seqrl.data.copies import packed, unpack
from seqrl.errors import SeqrlError
from seqrl.runs.cluster import Resources
from seqrl.runs.launch import LOOK_SECONDS, Launch
from seqrl.runs.ledger import Claim
from seqrl.runs.order import (
    Begun,
    DataMissing,
    Failed,
    Finished,
    Going,
    Kept,
    Message,
    Order,
    order_of,
)
from seqrl.runs.worker import messages

if TYPE_CHECKING:
    from ray import ObjectRef, ObjectRefGenerator

DEATHS = 3
"""So often a run is sent out again without having come any further."""

GONE = (
    "The cluster is gone: its processes on this machine have died, or were killed. What runs had "
    "come to a minute ago is not lost; the same command goes on from there."
)

AHEAD = 2
"""Runs that are sent out beyond what there is room for, so that no worker waits for the next."""


class ClusterGone(SeqrlError):
    """Nobody is left to send runs to."""


@dataclass(eq=False)
class _Sent:
    """A run that was sent out."""

    claim: Claim
    node: str = ""
    """The machine that its data is on its way to."""
    deaths: int = 0
    """Since it last came any further."""
    waits_for: "ObjectRef[Any] | None" = None
    """Data on its way to the machine that it came to."""


@dataclass(eq=False)
class Fanout:
    """The runs that are out, and the data that is on its way."""

    launch: Launch
    resources: Resources
    slots: int | None = None
    """How many runs there is room for; nothing where that may change."""
    out: "dict[ObjectRefGenerator, _Sent]" = field(default_factory=dict)
    parked: list[_Sent] = field(default_factory=list)
    """Runs that wait for data to be where they are to be done."""
    copies: "dict[tuple[str, str], ObjectRef[Any]]" = field(default_factory=dict)
    """Data that was sent out, by node and fingerprint."""
    parcels: "dict[str, ObjectRef[Any]]" = field(default_factory=dict)

    look_at: float = 0.0
    """When to look again for room, and for runs that other launches have let go of."""
    freed: bool = True
    """Whether a run has come back since the last look."""

    def all(self) -> None:
        """Do all runs that are not done."""
        with ExitStack() as held:
            while self.launch.waiting or self.out or self.parked:
                self._send_out(held)
                self._unpark()
                self._hear()

    # ---- outwards ----------------------------------------------------------------------------

    def _send_out(self, held: ExitStack) -> None:
        if (now := time.monotonic()) >= self.look_at:
            self.look_at = now + LOOK_SECONDS
        elif not self.freed:
            return
        self.freed = False
        while len(self.out) + len(self.parked) < self._slots() + AHEAD:
            claim = self.launch.next()
            if claim is None:
                return
            held.enter_context(claim)
            self._send(_Sent(claim))

    def _slots(self) -> int:
        import ray

        if self.slots is not None:
            return self.slots
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        return self.resources.slots_in(resources)

    def _send(self, sent: _Sent) -> None:
        """Send a run out, with what there is to go on from, to wherever there is room."""
        order = order_of(
            sent.claim.job,
            kept=sent.claim.kept(),
            device=self.resources.device,
            threads=self.resources.threads,
        )
        task = _remote(_task).options(
            num_cpus=self.resources.threads,
            num_gpus=self.resources.gpus,
            max_retries=0,
            name=str(sent.claim.job.spec),
        )
        self.out[task.remote(order)] = sent

    # ---- inwards -----------------------------------------------------------------------------

    def _hear(self) -> None:
        """Wait a little for what the runs have to tell, and take it in."""
        import ray

        if not self.out:
            time.sleep(LOOK_SECONDS)
            return
        ready, _ = ray.wait([*self.out], num_returns=1, timeout=LOOK_SECONDS)
        for stream in ready:
            self._take_in(stream)

    def _take_in(self, stream: "ObjectRefGenerator") -> None:
        import ray

        sent = self.out.pop(stream)
        try:
            message = ray.get(next(stream))
        except StopIteration:
            self._died(sent, "it ended without a last word.")
        except ray.exceptions.LocalRayletDiedError as error:
            raise ClusterGone(GONE) from error
        except ray.exceptions.RayError as error:
            self._died(sent, str(error).strip().splitlines()[0])
        else:
            if self._heard(sent, message):
                self.freed = True
            else:
                self.out[stream] = sent  # as the last one: the others come first next time

    def _heard(self, sent: _Sent, message: Message) -> bool:
        """Take in a message; whether it was the last of its run."""
        board, job = self.launch.board, sent.claim.job
        match message:
            case Begun():
                board.set(job, "running")
            case Going(doing, done, total, _, note):
                board.going(job, doing, done, total, note)
            case Kept(files):
                sent.claim.keep(files)
                sent.deaths = 0
            case DataMissing(node):
                self._bring_data(sent, node)
                return True
            case Finished(record, checkpoint, metrics):
                self.launch.done(sent.claim, sent.claim.finish(record, checkpoint, metrics))
                return True
            case Failed(error, record):
                self._failed(sent, error, record)
                return True
        return False

    def _failed(self, sent: _Sent, error: str, content: bytes | None) -> None:
        claim = sent.claim
        record = claim.read(content) if content else claim.job.record("failed", "cpu", error=error)
        self.launch.failed(claim, claim.fail(record))

    def _died(self, sent: _Sent, why: str) -> None:
        """Send a run out again whose machine or process is gone, unless that leads nowhere."""
        sent.deaths += 1
        if sent.deaths < DEATHS:
            self.launch.board.set(sent.claim.job, "waiting")
            self._send(sent)
            return
        self._failed(
            sent,
            f"Its process died {sent.deaths} times without having come any further; the last "
            f"time: {why} A process that the system kills has mostly asked for too much memory: "
            "give fewer runs at once (--workers), or smaller batches.",
            None,
        )

    # ---- data --------------------------------------------------------------------------------

    def _bring_data(self, sent: _Sent, node: str) -> None:
        """Copy the data of a run to the machine that lacks it, once; the run waits meanwhile."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        source = sent.claim.job.source
        print_, key = source.fingerprint, (node, source.fingerprint)
        if print_ not in self.parcels:
            self.parcels[print_] = ray.put(packed(source.known))
        if key in self.copies and sent.waits_for is self.copies[key]:
            self._died(sent, f"its data was copied to {node}, and is not found there.")
            return
        if key not in self.copies:
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            copy = _remote(unpack).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
            self.copies[key] = copy.remote(self.parcels[print_])
        sent.node, sent.waits_for = node, self.copies[key]
        self.launch.board.set(sent.claim.job, "running", doing="copying its data")
        self.parked.append(sent)

    def _unpark(self) -> None:
        """Send out again the runs whose data has arrived."""
        import ray

        for sent in [*self.parked]:
            assert sent.waits_for is not None
            if not ray.wait([sent.waits_for], timeout=0)[0]:
                continue
            self.parked.remove(sent)
            try:
                ray.get(sent.waits_for)
            except ray.exceptions.RayTaskError as error:
                self._failed(sent, f"Its data could not be copied: {error}", None)
            except ray.exceptions.RayError as error:  # the machine is gone
                self.copies = {k: v for k, v in self.copies.items() if k[0] != sent.node}
                self._died(sent, str(error).strip().splitlines()[0])
            else:
                self._send(sent)  # to another machine perhaps, which may need its copy too


@cache
def _remote(function: Callable[..., Any]) -> Any:
    """Hand a function to Ray, once: every time again it would be sent to all machines."""
    import ray

    return ray.remote(function)


def _task(order: Order) -> Any:
    """Be the task: flat, and it asks nobody for anything."""
    import ray

    yield from messages(order, ray.get_runtime_context().get_node_id())
