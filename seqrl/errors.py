"""The errors that are meant for people: what was found, what is allowed, what to do next.

The command line prints them without a traceback and exits with status 2. Anything else that is
raised is a defect of ours and keeps its traceback.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path


class SeqrlError(ValueError):
    """Something that the person at the keyboard can put right; the message says how."""


class DataError(SeqrlError):
    """A file, a download or a prepared data set is not what it should be."""


class UnknownName(SeqrlError):
    """A task, data or column name that does not exist; the message lists near ones."""


class MissingExtra(SeqrlError):
    """An optional package is needed; the message is the pip command."""


def need_extra(module: str, extra: str, purpose: str) -> None:
    """Refuse with the pip command when `module` of the optional `extra` is not installed."""
    if find_spec(module) is None:
        raise MissingExtra(
            f"{purpose} needs the optional package {module!r}, which is not installed. Install it "
            f"with: pip install 'seqrl[{extra}]'"
        )


_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}
_WAYS_OUT = {
    errno.ENOENT: "Check how it is spelt, and that the folder around it exists",
    errno.ENOTDIR: "A file stands where a folder is needed: choose another place",
    errno.EEXIST: "A file stands where a folder is needed: choose another place",
    errno.EISDIR: "It is a folder, and a file is needed: name the file itself",
    errno.ELOOP: "A link leads back to itself: remove it, or name the file itself",
    errno.ENAMETOOLONG: "Choose a shorter name",
    errno.EIO: "The disk does not work as it should: check it, or choose another place",
}


def is_refusal(error: BaseException) -> bool:
    """Say whether the operating system refused something that a person can put right."""
    return isinstance(error, OSError) and error.errno in {*_NO_ROOM, *_NO_RIGHT, *_WAYS_OUT}


@contextmanager
def told_plainly(place: Path, doing: str, setting: str | None = "SEQRL_HOME") -> Iterator[None]:
    """Turn the operating system's refusals while `doing` something at `place` into a sentence.
    `setting` is what names the folder; nothing where the person named the place."""
    try:
        yield
    except OSError as error:
        if not is_refusal(error):
            raise
        where = Path(error.filename) if isinstance(error.filename, str) else place
        if error.errno in _NO_ROOM:
            raise DataError(
                f"No room left while {doing} at {where}: {error.strerror}. Free some space there, "
                f"or set {setting} to a folder on a larger disk; nothing that was complete before "
                "is lost."
            ) from error
        if error.errno in _NO_RIGHT:
            other = f", or set {setting} to a folder that you may write" if setting else ""
            raise DataError(
                f"No permission while {doing} at {where}: {error.strerror}. Change its "
                f"permissions{other}."
            ) from error
        way_out = _WAYS_OUT[error.errno or 0]
        by = f" (the folder is set by {setting})" if setting else ""
        raise DataError(
            f"Cannot go on while {doing} at {where}: {error.strerror}. {way_out}{by}."
        ) from error
