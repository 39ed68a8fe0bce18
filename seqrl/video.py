"""Films: what one episode looks like, as a file. Knows no agent: it looks on while somebody plays.

Letters: h height, w width of a picture.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqrl.data.whole import put_whole
from seqrl.errors import SeqrlError, need_extra, told_plainly

if TYPE_CHECKING:
    from seqrl.tasks.environment import Environments

ENCODERS = {".mp4": "imageio_ffmpeg", ".gif": "imageio"}
"""Endings that a film can have, and the package that writes each."""

PICTURES_A_SECOND = 30
"""About so many: Hopper's own 125 steps a second are more than an eye can use, or a disk should
hold. Films run in the environment's own time."""


def check_target(target: Path) -> None:
    """Refuse, before anything is played, a film that could not be written."""
    encoder = ENCODERS.get(target.suffix.lower())
    if encoder is None:
        raise SeqrlError(f"A film is an .mp4 or a .gif file; {target} is neither.")
    need_extra(encoder, "video", f"Writing {target.name}")
    if not target.absolute().parent.is_dir():
        raise SeqrlError(f"There is no folder {target.absolute().parent} for {target.name}.")


@contextmanager
def filming(target: Path) -> Iterator[Callable[["Environments"], None]]:
    """Give what is to be called before every step of `play`: it films the first row.

    The file is there when all is over, or not at all.
    """
    check_target(target)
    with told_plainly(target, "writing a film"), put_whole(target) as fresh:
        film = _Film(fresh)
        try:
            yield film.look
        finally:
            film.close()


class _Film:
    """A film under way; it begins with the first picture, which says how large it is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._writer: Any = None
        self._environments: Environments | None = None
        self._step = 0
        self._every = 1

    def look(self, environments: "Environments") -> None:
        """Take a picture of the first row, if it is time for one and the row still plays."""
        if 0 not in environments.playing:
            return
        if self._environments is None:
            self._environments = environments
            self._every = max(1, round(environments.picture_rate / PICTURES_A_SECOND))
        if self._step % self._every == 0:
            picture = environments.picture(0)  # [h, w, 3]
            if self._writer is None:
                self._writer = self._begun(environments.picture_rate / self._every)
            self._writer.append_data(picture)
        self._step += 1

    def _begun(self, rate: float) -> Any:
        import imageio.v2 as imageio

        if self._file.suffix.lower() == ".gif":
            return imageio.get_writer(self._file, duration=1000 / rate, loop=0)
        return imageio.get_writer(self._file, fps=rate)

    def close(self) -> None:
        """End the film, and give back what drawing needed."""
        if self._writer is not None:
            self._writer.close()
        if self._environments is not None:
            self._environments.close()
