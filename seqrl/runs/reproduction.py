"""Reproduction: what a record says is run again, and the numbers of both are compared.

What cannot come to equal numbers is refused before anything is trained.
"""

import importlib.util
import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqrl.agents.agent import Agent
from seqrl.data.names import Name
from seqrl.data.whole import sha256_of
from seqrl.errors import DataError, SeqrlError, UnknownName
from seqrl.evaluation import Evaluation
from seqrl.plain import changed, from_plain
from seqrl.progress import Progress, silent
from seqrl.runs.agreement import Agreement, agreement, reason
from seqrl.runs.differences import differences
from seqrl.runs.experiment import RunSpec
from seqrl.runs.job import Job
from seqrl.runs.place import Place, finished
from seqrl.runs.record import PROTOCOL, RunRecord, read_record
from seqrl.runs.records import Found
from seqrl.runs.run import run_one
from seqrl.runs.source import Source

DECISIVE = ("data", "fingerprint", "environment", "protocol")
"""Of an identity: where one of these is another, the numbers cannot be equal."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Again:
    """A record's run, ready to be done once more."""

    then: Found
    job: Job
    device: str
    threads: int | None
    place: Place


def reproduce(
    then: Found,
    *,
    results: Path,
    device: str | None = None,
    anyway: bool = False,
    progress: Progress = silent,
) -> Agreement:
    """Run again what a record says, or what is left of it, and compare.

    Done with the record's number of threads and on its device, unless another is named. `anyway`
    runs what cannot come to equal numbers too.
    """
    again = _made_ready(then, results, device, anyway, progress)
    _warn(again)
    before = finished(again.place, again.job.hash)
    if before is not None:
        _refuse_other_machine(before, again)
    return agreement(then, Found(file=again.place.record, record=_done(again, results, progress)))


def _made_ready(
    then: Found, results: Path, device: str | None, anyway: bool, progress: Progress
) -> _Again:
    import torch

    from seqrl.training.device import device_named, precision_on

    record = then.record
    chosen = device_named(device or record.machine.get("device", "auto"))
    if not anyway:  # what needs no data to be known
        _refuse_decisive(record.identity, {"protocol": PROTOCOL})
    _refuse_missing_code(record)
    spec = spec_of(record)
    source = _source(record, progress)
    # Under another name it would be another task, with other seeds.
    spec = replace(spec, task=source.task.name)
    agent, precision = spec.agent, record.identity["training_precision"]
    if precision_on(agent.training.precision, torch.device(chosen)) != precision:
        spec = replace(spec, agent=changed(agent, "training.precision", precision))
    job = Job.of(spec, source, precision)
    if not anyway:
        _refuse_decisive(record.identity, job.identity)
    place = job.place(results)
    if place.record.resolve() == then.file.resolve():
        raise SeqrlError(
            f"{then.file} lies where it would be run again, and would be compared with itself. Say "
            "another folder with --results."
        )
    threads = record.machine.get("threads")
    return _Again(then=then, job=job, device=chosen, threads=threads, place=place)


def spec_of(record: RunRecord) -> RunSpec:
    """Make of a record what it was asked to run."""
    evaluation = {n: v for n, v in record.identity["evaluation"].items() if n != "precision"}
    try:
        return RunSpec(
            experiment=f"{record.experiment}.py",  # named by a file, its name may have dots
            name=record.name,
            agent=from_plain(Agent, record.agent),
            task=record.task["name"],
            seed=record.seed,
            evaluation=from_plain(Evaluation, evaluation),
            changed=tuple(record.changed),
        )
    except SeqrlError as error:
        edited = [name for name, said in _code_here(record).items() if said]
        why = f" Its code is not what it was: {', '.join(edited)}." if edited else ""
        raise SeqrlError(
            f"The record's run cannot be made here. {error}{why} It was written by seqrl "
            f"{record.versions['seqrl']}."
        ) from error


def _source(record: RunRecord, progress: Progress) -> Source:
    """Get the data of that name; whether its content is the same is asked afterwards."""
    name = Name.parse(record.task["name"])
    return Source.of(name.entry + name.suffix, progress=progress)


# ---- what stands against it ----------------------------------------------------------------------


def _refuse_decisive(then: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    other = [
        f"{name} {then[name]} then, {here[name]} here"
        for name in DECISIVE
        if name in here and then[name] != here[name]
    ]
    if other:
        raise SeqrlError(
            f"The numbers cannot be equal: {'; '.join(other)}. Bring back what it was; --anyway "
            "runs it as it is here, and compares."
        )


def _refuse_missing_code(record: RunRecord) -> None:
    missing = [name for name, said in _code_here(record).items() if said == "missing"]
    if missing:
        raise UnknownName(
            f"{record.name} is an agent of somebody's own, {record.agent['is']}, and its code is "
            f"not here: {', '.join(missing)}. Put it where Python finds it, or run where it lies."
        )


def _code_here(record: RunRecord) -> dict[str, str]:
    """Say of each file of the user's own whether it is `missing` or `changed`; nothing if it is as
    it was."""
    found = {}
    for module, digest in record.identity.get("code", {}).items():
        file = _file_of(module)
        if file is None:
            found[module] = "missing"
        else:
            found[module] = "" if sha256_of(file) == digest else "changed"
    return found


def _file_of(module: str) -> Path | None:
    if module.endswith(".py"):
        file = Path(module).expanduser()
        return file if file.is_file() else None
    try:
        found = importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError):
        return None
    return Path(found.origin) if found and found.origin else None


def _warn(again: _Again) -> None:
    """Say beforehand what is known not to be as it was."""
    for one in differences(again.then.record.identity, again.job.identity):
        field = one.field
        if field.startswith("code."):
            _log.warning("The agent's own code has changed since: %s.", field[len("code.") :])
        else:
            _log.warning("%s: %s then, %s here.", field, one.first, one.second)


def _refuse_other_machine(before: RunRecord, again: _Again) -> None:
    """Do not take what was run again in another way for what is asked for now."""
    asked = {"device": again.device, "threads": again.threads}
    other = [
        f"{name} {before.machine.get(name)} and not {wanted}"
        for name, wanted in asked.items()
        if wanted is not None and before.machine.get(name) != wanted
    ]
    if other:
        raise SeqrlError(
            f"It was run again before, with {', '.join(other)}: {again.place.record}. Remove that, "
            "or say another folder with --results."
        )


# ---- doing it ------------------------------------------------------------------------------------


def _done(again: _Again, results: Path, progress: Progress) -> RunRecord:
    """Run it; a failure is an answer too, where it is the run's own."""
    job, place, then = again.job, again.place, again.then.record
    try:
        return run_one(
            job.spec,
            job.source,
            results=results,
            device=again.device,
            threads=again.threads,
            progress=progress,
        )[0]
    except Exception as error:
        if not place.record.exists():
            raise
        failed, said = read_record(place.record), traceback.format_exception_only(error)
        if failed.status != "failed" or reason(failed) != "".join(said).strip().rpartition("\n")[2]:
            raise
        # Of a full disk here the record that is asked about knows nothing.
        if isinstance(error, DataError) and reason(failed) != reason(then):
            raise
        return failed
