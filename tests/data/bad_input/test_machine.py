"""The machine refuses: no permission, no room."""

import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seqrl.data.cache import Prepared, entry_folder, look_up, open_prepared
from tests.data.bad_input.telling import IMPORT, OFFICIAL, Seqrl, only_good, said
from tests.data.making import layout, write_hdf5


@contextmanager
def powerless() -> Iterator[None]:
    """Be nobody for a while: root may read and write everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_home(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home into which everybody may walk; pytest's own folders are shut."""
    top = Path(tempfile.mkdtemp(prefix="seqrl-test-"))
    top.chmod(0o755)
    folder = top / "home"
    monkeypatch.setenv("SEQRL_HOME", str(folder))
    folder.mkdir()
    return folder


@pytest.fixture
def shut(open_home: Path) -> Iterator[Callable[[Path, int], None]]:
    """Change permissions, and give them back in the end so that everything can be removed."""
    changed: list[tuple[Path, int]] = []

    def change(place: Path, mode: int) -> None:
        changed.append((place, place.stat().st_mode))
        place.chmod(mode)

    yield change
    for place, mode in reversed(changed):
        if place.exists():
            place.chmod(mode)
    shutil.rmtree(open_home.parent)


REFUSALS: dict[str, tuple[str, int, tuple[object, ...]]] = {
    "source that may not be read": (
        "home/../mine.hdf5",
        0o000,
        ("data", "import", "{top}/mine.hdf5", *IMPORT),
    ),
    "home that may not be written": (
        "home/data/file",
        0o555,
        ("data", "import", "{top}/mine.hdf5", "--name", "new", "--environment", "Hopper-v4"),
    ),
    "entry that may not be written": (
        "home/data/file/mine",
        0o555,
        ("data", "import", "{top}/other.hdf5", *IMPORT),
    ),
    "entry that may not be entered": ("home/data/file/mine", 0o000, ("data", "info", "file/mine")),
    "index that may not be read": (
        "home/data/file/mine/episodes.json",
        0o000,
        ("data", "info", "file/mine"),
    ),
    "column that may not be read": ("{columns}/rewards.npy", 0o000, ("data", "info", "file/mine")),
    "entry that may not be removed": (
        "home/data/file/mine",
        0o555,
        ("data", "remove", "file/mine", "--yes"),
    ),
    "target that may not be written": (
        "locked",
        0o555,
        ("data", "export", "file/mine", "{top}/locked/out.hdf5"),
    ),
    "target that may not be written, npz": (
        "locked",
        0o555,
        ("data", "export", "file/mine", "{top}/locked/out.npz"),
    ),
    "data folder that may not be entered": (
        "locked",
        0o000,
        ("data", "info", OFFICIAL, "--data-dir", "{top}/locked"),
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_no_permission_is_told(
    what: str, open_home: Path, shut: Callable[[Path, int], None], seqrl: Seqrl
) -> None:
    """Prevents: a PermissionError's traceback; or the advice to remove what is whole."""
    place, mode, command = REFUSALS[what]
    top = open_home.parent
    file = write_hdf5(top / "mine.hdf5", layout())
    write_hdf5(top / "other.hdf5", layout(seed=1))
    (top / "locked").mkdir()
    seqrl("data", "import", file, *IMPORT)
    known = look_up("file/mine")
    assert known
    fingerprint = open_prepared(known).fingerprint
    columns = entry_folder("file/mine") / known.folder
    shut(top / place.format(columns=columns), mode)
    with powerless():
        ended = seqrl(*[str(word).format(top=top) for word in command])
    said(ended, "No permission", str(top), "Change its permissions")
    (top / place.format(columns=columns)).chmod(0o755)
    only_good(known, fingerprint)


@pytest.mark.parametrize("depth", ["", "data", "data/file", "data/file/mine"])
def test_a_file_where_a_folder_should_be_is_told(
    depth: str, tmp_path: Path, home: Path, seqrl: Seqrl
) -> None:
    """Prevents: a NotADirectoryError when SEQRL_HOME names a file."""
    (home / depth).parent.mkdir(parents=True, exist_ok=True)
    (home / depth).write_text("I am a file")
    file = write_hdf5(tmp_path / "mine.hdf5", layout())
    ended = seqrl("data", "import", file, *IMPORT)
    said(ended, str(home / depth), "folder is needed", "SEQRL_HOME")
    assert (home / depth).read_text() == "I am a file"


@contextmanager
def full_disk(bytes_: int) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 100, 400, 3_000, 100_000])
def test_a_full_disk_while_preparing_is_told(
    room: int, tmp_path: Path, home: Path, seqrl: Seqrl, good: tuple[Path, Prepared]
) -> None:
    """Prevents: a half-written copy under the final name, or the loss of the one before."""
    big = write_hdf5(tmp_path / "big.hdf5", layout((1000,) * 5))
    with full_disk(room):
        ended = seqrl("data", "import", big, *IMPORT)
    said(ended, "No room left", str(home), "Free some space", "SEQRL_HOME")


@pytest.mark.parametrize("room", [0, 1_000, 100_000])
@pytest.mark.parametrize("kind", ["hdf5", "npz"])
def test_a_full_disk_while_exporting_is_told(
    kind: str, room: int, tmp_path: Path, seqrl: Seqrl
) -> None:
    """Prevents: a crash of HDF5, or a half file in the place of a good one."""
    big = write_hdf5(tmp_path / "big.hdf5", layout((1000,) * 5))
    assert seqrl("data", "import", big, *IMPORT).status == 0
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / f"out.{kind}"
    target.write_text("good")
    with full_disk(room):
        ended = seqrl("data", "export", "file/mine", target, "--overwrite")
    said(ended, "No room left", str(target.parent), "Free some space")
    assert [place.name for place in target.parent.iterdir()] == [target.name]
    assert target.read_text() == "good"


def test_too_little_room_is_told_before_the_work(
    tmp_path: Path,
    home: Path,
    seqrl: Seqrl,
    good: tuple[Path, Prepared],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prevents: minutes of work that end at a full disk which could be seen from the start."""
    other = write_hdf5(tmp_path / "other.hdf5", layout(seed=1))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=1000))
    ended = seqrl("data", "import", other, *IMPORT)
    said(ended, "No room left: file/mine needs about", str(home), "SEQRL_HOME")
