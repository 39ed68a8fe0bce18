"""Files that are put in a place whole: what else may stand in that place."""

import os
import stat
from pathlib import Path

import pytest

from seqrl.data.whole import replace_file
from seqrl.errors import DataError


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    """Devices and pipes belong to somebody else, and are not files to be put in anybody's place."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match=r"pipe is no regular file"):
        replace_file(pipe, "text")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [*tmp_path.iterdir()] == [pipe]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it names is what is written, be it there already or not."""
    (tmp_path / "elsewhere").mkdir()
    file, link = tmp_path / "elsewhere/file", tmp_path / "link"
    link.symlink_to(file)
    for text in ("new", "newer"):
        replace_file(link, text)
        assert link.is_symlink()
        assert not file.is_symlink()
        assert file.read_text() == text
    assert [*file.parent.iterdir()] == [file]


def test_a_link_to_itself(tmp_path: Path) -> None:
    """It names nothing that could be written."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="symbolic links"):
        replace_file(loop, "text")
    assert loop.is_symlink()


def test_who_may_read_a_file_stays_as_it_was(tmp_path: Path) -> None:
    """A file that was made private is not shown to others because it was written anew."""
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o600)
    replace_file(file, "new")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == "new"
