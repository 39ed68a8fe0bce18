"""Source: the data of a run, under the name that was asked for, and the task that goes with it."""

from dataclasses import dataclass
from pathlib import Path

from seqrl.data.cache import Prepared
from seqrl.data.names import Choice, Family, choose
from seqrl.data.source import can_reach, obtain, play_task, view
from seqrl.episodes import Episodes
from seqrl.progress import Progress, silent
from seqrl.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Source:
    """The data of a run, and the task that goes with it."""

    known: Prepared
    choice: Choice
    task: Task

    @classmethod
    def of(
        cls,
        text: str,
        *,
        family: Family | None = None,
        data_dir: Path | None = None,
        progress: Progress = silent,
    ) -> "Source":
        """Find out what a name means, and prepare it if need be."""
        choice = choose(text, family=family, data_dir=data_dir, reachable=can_reach)
        known = obtain(choice.name, data_dir=data_dir, progress=progress)
        return cls(known=known, choice=choice, task=play_task(known, choice.name))

    @property
    def episodes(self) -> Episodes:
        """Open the data as its name says."""
        return view(self.known, self.choice.name)
