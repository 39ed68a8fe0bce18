"""Backends: who does the runs of a launch. All give the same records."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from seqrl.data.recording import cores
from seqrl.errors import SeqrlError
from seqrl.runs.cluster import Resources, joined_cluster, own_cluster
from seqrl.runs.fanout import Fanout
from seqrl.runs.inline import run_inline
from seqrl.runs.launch import Launch


class Backend(Protocol):
    """Does runs."""

    @property
    def workers(self) -> int:
        """How many it does at once."""

    @property
    def device(self) -> str:
        """What trains: cpu, or a GPU."""

    @property
    def like_here(self) -> str:
        """What to add to a time that was estimated on this machine."""

    def precision(self, wanted: str) -> str:
        """Say what a training is computed in that asks for this precision."""

    def run(self, launch: Launch) -> None:
        """Do all runs that are not done."""


@dataclass(frozen=True)
class Inline:
    """This process, one run after another."""

    device: str
    threads: int
    workers: int = 1
    like_here: str = ""

    def precision(self, wanted: str) -> str:
        """Ask this machine."""
        return _precision(wanted, self.device)

    def run(self, launch: Launch) -> None:
        """Do all runs that are not done."""
        run_inline(launch, device=self.device, threads=self.threads)


@dataclass(frozen=True)
class OwnCluster:
    """A cluster on this machine, started when there is something to do."""

    workers: int
    resources: Resources
    like_here: str = ""

    @property
    def device(self) -> str:
        """What trains."""
        return self.resources.device

    def precision(self, wanted: str) -> str:
        """Ask this machine."""
        return _precision(wanted, self.resources.device)

    def run(self, launch: Launch) -> None:
        """Do all runs that are not done."""
        if launch.waiting:
            with own_cluster(self.workers, self.resources):
                Fanout(launch, self.resources, self.workers).all()


@dataclass(frozen=True)
class JoinedCluster:
    """A cluster that was there already, and stays."""

    workers: int
    resources: Resources
    automatic: str
    """What `auto` means on one of its machines; one that differs refuses its runs."""
    like_here: str = ", as if all machines were like this one"

    @property
    def device(self) -> str:
        """What trains."""
        return self.resources.device

    def precision(self, wanted: str) -> str:
        """Say what a machine of the cluster has said."""
        return self.automatic if wanted == "auto" else wanted

    def run(self, launch: Launch) -> None:
        """Do all runs that are not done."""
        Fanout(launch, self.resources).all()


@contextmanager
def backend_for(
    *,
    inline: bool,
    address: str | None,
    workers: int | None,
    threads: int,
    device: str,
    gpus: float | None,
) -> Iterator[Backend]:
    """Have someone to do runs, for a while."""
    from seqrl.training.device import device_named

    if gpus is not None and not (0 < gpus <= 1 or (gpus > 1 and gpus % 1 == 0)):
        raise SeqrlError(f"--gpus {gpus:g}: a run takes a fraction of one GPU, or whole ones.")
    if address is not None:
        with joined_cluster(address):
            yield _joined(threads, device, gpus)
        return
    chosen = device_named(device)
    if inline:
        yield Inline(chosen, threads)
        return
    resources = _resources(threads, gpus, on_gpu=chosen != "cpu")
    room = resources.slots_in({"CPU": float(cores()), "GPU": float(_gpus_here())})
    yield OwnCluster(workers or max(1, room), resources)


def _resources(threads: int, gpus: float | None, *, on_gpu: bool) -> Resources:
    if not on_gpu:
        return Resources(threads, 0.0, "cpu")
    return Resources(threads, 1.0 if gpus is None else gpus, "cuda")


def _joined(threads: int, device: str, gpus: float | None) -> JoinedCluster:
    import ray

    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    on_gpu = device != "cpu" and (gpus is not None or any(m.get("GPU") for m in machines))
    resources = _resources(threads, gpus, on_gpu=on_gpu)
    workers = sum(resources.slots_in(machine) for machine in machines)
    if not workers:
        raise SeqrlError(
            f"No machine of the cluster has room for a run, which takes {threads} CPU"
            + (f" and {resources.gpus:g} GPU" if on_gpu else "")
            + ". Its machines have: "
            + "; ".join(
                f"{machine.get('CPU', 0):g} CPU, {machine.get('GPU', 0):g} GPU"
                for machine in machines
            )
            + ". Lower --threads or --gpus."
        )
    asked = ray.remote(_precision).options(num_cpus=threads, num_gpus=resources.gpus)
    automatic: str = ray.get(asked.remote("auto", resources.device))
    return JoinedCluster(workers, resources, automatic)


def _precision(wanted: str, device: str) -> str:
    import torch

    from seqrl.training.device import precision_on

    return precision_on(wanted, torch.device(device))


def _gpus_here() -> int:
    import torch

    count: Any = torch.cuda.device_count()
    return int(count)
