"""Source: the data of a run, under the name that was asked for, and the task that goes with it."""

from dataclasses import dataclass
from pathlib import Path

from seqrl.data.cache import Prepared
from seqrl.data.names import Choice, Family, choose
from seqrl.data.source import can_reach, obtain, play_task, view
from seqrl.episodes import Episodes, fingerprint_of
from seqrl.progress import Progress, silent
from seqrl.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Source:
    """The data of a run, and the task that goes with it."""

    known: Prepared
    choice: Choice
    task: Task
    episodes: Episodes

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
        return cls.chosen(choice, data_dir=data_dir, progress=progress)

    @classmethod
    def chosen(
        cls, choice: Choice, *, data_dir: Path | None = None, progress: Progress = silent
    ) -> "Source":
        """Prepare the data that was chosen, if need be."""
        known = obtain(choice.name, data_dir=data_dir, progress=progress)
        return cls.opened(known, choice)

    @classmethod
    def opened(cls, known: Prepared, choice: Choice) -> "Source":
        """Open prepared data as its name says."""
        task, episodes = play_task(known, choice.name), view(known, choice.name)
        return cls(known=known, choice=choice, task=task, episodes=episodes)

    @property
    def fingerprint(self) -> str:
        """Of the data as it is prepared, without the views that a name may ask for."""
        return fingerprint_of(self.known.digests)
