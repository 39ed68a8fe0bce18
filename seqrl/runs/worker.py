"""Worker: does an order on the machine it has come to, and tells of it as it goes on.

Knows nothing of who sends orders. Nothing of what it does is left on its machine, but for copies of
data. The run itself is in a thread of its own, which looks after what is told between two of its
own steps: so what is sent of an unfinished run is of one moment.
"""

import hashlib
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from seqrl.data.copies import at_home, found, home_of
from seqrl.data.names import Choice, Name
from seqrl.errors import SeqrlError
from seqrl.runs.differences import differences
from seqrl.runs.job import Job
from seqrl.runs.order import (
    Begun,
    DataMissing,
    Failed,
    Finished,
    Going,
    Kept,
    Message,
    Order,
    OtherConditions,
    make_importable,
    spec_in,
)
from seqrl.runs.place import Place
from seqrl.runs.run import work_on
from seqrl.runs.scratch import scratch
from seqrl.runs.source import Source

TELL_SECONDS = 1.0
"""How often a worker says how far it is, and looks for files that are to be kept."""


def messages(order: Order, where: str) -> Iterator[Message]:
    """Do an order; all that is to be told, as it happens. `where` names this machine."""
    yield Begun(where)
    try:
        with scratch() as folder:
            make_importable(order.code, folder / "code")
            source = source_of(order)
            if source is None:
                yield DataMissing(where)
                return
            yield from _told(order, source, folder)
    except (Exception, SystemExit) as error:
        said = str(error) if isinstance(error, SeqrlError) else traceback.format_exc()
        yield Failed(said, None)


def source_of(order: Order) -> Source | None:
    """Find the data of an order on this machine; nothing if it is not here."""
    name = Name.parse(order.data)
    for place in (None, home_of(order.fingerprint)):
        with at_home(place):
            if known := found(name.entry, order.fingerprint):
                return Source.opened(known, Choice(name, order.reason))
    return None


def _told(order: Order, source: Source, folder: Path) -> Iterator[Message]:
    """Run in a thread; pass on what it says."""
    queue: SimpleQueue[Message | None] = SimpleQueue()
    nobody_listens = threading.Event()

    def work() -> None:
        try:
            queue.put(_done(order, source, folder, queue, nobody_listens))
        except _NobodyListens:
            pass
        except BaseException as error:  # an agent may raise anything, and nobody else would hear
            said = str(error) if isinstance(error, OtherConditions) else traceback.format_exc()
            failed = [*folder.glob("runs/**/seed-*.json")]
            queue.put(Failed(said, failed[0].read_bytes() if failed else None))
        finally:
            queue.put(None)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (message := queue.get()) is not None:
            yield message
    finally:
        nobody_listens.set()
        thread.join()


class _NobodyListens(Exception):
    """Whoever gave the order has gone."""


def _done(
    order: Order,
    source: Source,
    folder: Path,
    queue: "SimpleQueue[Message | None]",
    nobody_listens: threading.Event,
) -> Finished:
    import torch

    from seqrl.training.device import device_named, precision_on

    spec, device = spec_in(order), device_named(order.device)
    precision = precision_on(spec.agent.training.precision, torch.device(device))
    job = Job.of(spec, source, precision)
    if job.hash != order.hash:
        raise OtherConditions(
            f"{spec} would be another run on this machine than what was asked for: "
            + "; ".join(
                f"{differs.field} is {differs.second!r} and not {differs.first!r}"
                for differs in differences(order.identity, job.identity)
            )
            + ". Use the same versions everywhere, and say --set training.precision=float32 where "
            "machines are of different kinds."
        )
    place = job.place(folder)
    place.work.mkdir(parents=True)
    for name, content in order.kept.items():
        (place.work / name).write_bytes(content)
    watch = _Watch(place.work, queue, nobody_listens)
    work_on(job, place, device=device, threads=order.threads, progress=watch)
    return _collected(place)


def _collected(place: Place) -> Finished:
    files = (place.record, place.checkpoint, place.metrics)
    return Finished(*(file.read_bytes() for file in files))


@dataclass
class _Watch:
    """Is called between two steps of a run; now and then it tells, and sends what has changed."""

    work: Path
    queue: "SimpleQueue[Message | None]"
    nobody_listens: threading.Event
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of each file, when it was written and how long it was: others are not read."""
    sent: dict[str, bytes] = field(default_factory=dict)
    """The hash of each file's content: one that was written again as it was is no news."""
    last: float = 0.0

    def __post_init__(self) -> None:
        """What came with the order need not be sent back."""
        self._news()

    def __call__(self, doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        if self.nobody_listens.is_set():
            raise _NobodyListens
        now = time.monotonic()
        if now - self.last < TELL_SECONDS and done < total:
            return
        self.last = now
        if news := self._news():
            self.queue.put(Kept(news))
        self.queue.put(Going(doing, done, total, unit, note))

    def _news(self) -> dict[str, bytes]:
        """Return the files whose content is not what it was the last time."""
        news = {}
        for file in self.work.iterdir():
            if file.name[0] == ".":  # on its way to its name
                continue
            stat = file.stat()
            state = (stat.st_mtime_ns, stat.st_size)
            if self.seen.get(file.name) == state:
                continue
            content = file.read_bytes()
            self.seen[file.name], digest = state, _digest(content)
            if self.sent.get(file.name) != digest:
                news[file.name], self.sent[file.name] = content, digest
        return news


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
