"""Embedded sets: one name, one content, however they are built."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seqrl.data import behaviours
from seqrl.data.behaviours import MEDIUM, NOT_SHIPPED, SETS, embedded, golden, snapshot_steps
from seqrl.data.cache import entry_folder, look_up, open_prepared
from seqrl.data.names import choose
from seqrl.data.player import play
from seqrl.data.policy import shipped
from seqrl.data.recording import SEEDS_A_SHARE, Share
from seqrl.errors import DataError, UnknownName
from tests.data import small_build
from tests.data.golden import PREFIX, first_episodes

ROOT = Path(__file__).parents[2]
KNOWN = json.loads(PREFIX.read_text())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the small set stand in the place of a real one, for this test only."""
    monkeypatch.setitem(SETS, small_build.NAME, small_build.SMALL)
    yield


def test_recipes_are_those_of_the_official_sets() -> None:
    """Sizes, and shares of the snapshots: ten actors up to the medium one, random actions first."""
    for body, medium in MEDIUM.items():
        assert sum(s.steps for s in SETS[f"seqrl/{body}-medium-v1"].shares) == 1_000_000
        assert sum(s.steps for s in SETS[f"seqrl/{body}-random-v1"].shares) == 1_000_000
        shares = SETS[f"seqrl/{body}-medium-snapshots-v1"].shares
        assert [share.policy for share in shares[:1]] == [""] and len(shares) == 11
        assert sum(share.steps for share in shares) == behaviours.REPLAY_STEPS[body]
        assert max(s.steps for s in shares) - min(s.steps for s in shares) <= 1
        steps = snapshot_steps(body)
        assert steps[-1] == medium and len(set(steps)) == 10
        assert np.abs(np.array(steps) - np.linspace(medium / 10, medium, 10)).max() <= 5_000


def test_the_tiny_set_is_small_and_says_that_it_is_no_benchmark() -> None:
    """Somebody would report its scores, or wait minutes for what should prove a machine."""
    chosen = SETS["seqrl/hopper-tiny-v1"]
    assert [(share.policy, share.steps) for share in chosen.shares] == [("hopper/0330000", 20_000)]
    assert "not for results" in chosen.note
    assert [name for name in SETS if "tiny" in name] == ["seqrl/hopper-tiny-v1"]
    assert not any(other.note for name, other in SETS.items() if "tiny" not in name)
    assert choose("hopper-tiny").name.entry == "seqrl/hopper-tiny-v1"
    with pytest.raises(DataError, match=r"Nearest embedded set: hopper-medium\.$"):
        choose("hopper-medium-v2")


def test_golden_is_complete_and_never_ambiguous() -> None:
    """A name that denoted two contents would put different data into one column."""
    names = [(name, print_) for table in golden().values() for name, print_ in table.items()]
    assert {name for name, _ in names} == set(SETS)
    assert len(dict(names)) == len(set(names)) == len({print_ for _, print_ in names})


@pytest.mark.parametrize("name", SETS)
def test_first_episodes_of_every_policy_are_the_known_ones(name: str) -> None:
    """A change of policy, player, simulator or noise would silently change what a name denotes."""
    version = behaviours.simulator_version()
    if version not in KNOWN:
        pytest.skip(f"fingerprints are known for {', '.join(KNOWN)}, not for {version}")
    assert first_episodes(SETS[name]) == KNOWN[version][name]


def test_sets_that_do_not_exist_are_said_not_faked() -> None:
    """Expert data that is not there must not be something else under its name."""
    for quality in NOT_SHIPPED:
        with pytest.raises(UnknownName, match="not shipped yet"):
            embedded(f"seqrl/hopper-{quality}-v1")
    with pytest.raises(UnknownName, match="no embedded set"):
        embedded("seqrl/humanoid-medium-v1")


def test_processes_do_not_change_the_content(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finishes first must not come first."""
    prints = []
    for processes in (1, 2):
        monkeypatch.setenv("SEQRL_HOME", str(tmp_path / str(processes)))
        known = small_build.build(processes)
        prints.append(open_prepared(known).fingerprint)
    assert prints[0] == prints[1]


def test_a_set_is_its_policies_episodes_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare with playing every episode by itself and adding them up by hand."""
    shares = (Share("", 500), Share("hopper/0030000", 1_500), Share("hopper/0070000", 1_000))
    chosen = replace(small_build.SMALL, shares=shares)
    monkeypatch.setitem(SETS, small_build.NAME, chosen)
    known = behaviours.build(small_build.NAME, processes=2)
    episodes = open_prepared(known, tail=True)
    wanted, position = 0, 0
    for place, share in enumerate(shares):
        wanted, seed = wanted + share.steps, place * SEEDS_A_SHARE
        while position < wanted:
            alone = play(chosen.task, shipped(share.policy), chosen.short, range(seed, seed + 1))
            end = min(position + len(alone["rewards"]), episodes.steps)
            for name, column in alone.items():
                np.testing.assert_array_equal(
                    episodes.columns[name][position:end], column[: end - position], err_msg=name
                )
            position, seed = position + len(alone["rewards"]), seed + 1
    assert known.steps + known.cut_off_steps == wanted == 3_000
    assert known.name == f"{small_build.NAME}+local.{open_prepared(known).fingerprint[:8]}"
    assert "content differs" in behaviours.why_local(known)


def test_a_killed_build_goes_on_where_it_was(tmp_path: Path) -> None:
    """The power cord: nothing finished is lost, nothing half is taken, nobody is left running."""
    command = [sys.executable, "-m", "tests.data.small_build", "2"]
    environment = {**os.environ, "SEQRL_HOME": str(tmp_path / "whole")}
    whole = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)

    environment["SEQRL_HOME"] = str(tmp_path / "killed")
    folder = tmp_path / "killed" / "data" / small_build.NAME
    victim = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list(folder.rglob("share-*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    kept = {file.name: file.stat().st_mtime_ns for file in folder.rglob("share-*.npz")}
    assert kept and not (folder / "episodes.json").exists()
    deadline = time.monotonic() + 30
    while _session(victim.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _session(victim.pid), "a player outlived the build that started it"

    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    first, second = json.loads(whole.stdout), json.loads(again.stdout)
    assert second["fingerprint"] == first["fingerprint"] and second["name"] == first["name"]
    assert first["begun_at"] == 0 < second["begun_at"]
    assert not list(folder.rglob("share-*.npz")), "scratch files stay behind"


def _session(session: int) -> list[int]:
    """List the living processes of a session, the players among them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            status, _parent, _group, its = (
                (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            )
            if int(its) == session and status not in "ZX":
                found.append(int(folder.name))
    return found


def _players(session: int) -> list[int]:
    """List those of them that play."""
    commands = {process: Path(f"/proc/{process}/cmdline") for process in _session(session)}
    return [p for p, file in commands.items() if b"seqrl.data.player" in file.read_bytes()]


def test_a_killed_player_ends_the_build_with_a_sentence(tmp_path: Path) -> None:
    """The kernel kills the largest process when memory runs out: said, not waited for."""
    victim = subprocess.Popen(
        [sys.executable, "-m", "tests.data.small_build", "1"],
        cwd=ROOT,
        env={**os.environ, "SEQRL_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (players := _players(victim.pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in players:
        os.kill(process, signal.SIGKILL)
    _, error = victim.communicate(timeout=60)
    assert victim.returncode != 0
    assert "died with status -9" in error and "what is finished is kept" in error


def test_a_script_without_a_main_guard_builds_too(tmp_path: Path) -> None:
    """Players that ran the caller's script again would wait for each other for ever."""
    script = tmp_path / "script.py"
    script.write_text(
        "from tests.data import small_build\n"
        "print(small_build.build(2).name)\n"
        "(__import__('pathlib').Path('runs').open('a')).write('once ')\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "SEQRL_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.startswith(small_build.NAME), done.stderr
    assert (tmp_path / "runs").read_text() == "once "


def test_a_damaged_shard_is_played_again(small: None) -> None:
    """A file cut short by a full disk must not become data."""
    known = small_build.build(2)
    right = open_prepared(known).fingerprint
    scratch = entry_folder(small_build.NAME) / "unfinished"
    recipe = behaviours._origin(small_build.SMALL, 1)
    (entry_folder(small_build.NAME) / "episodes.json").unlink()
    scratch.mkdir()
    list(recipe.read(scratch, lambda *told: None))
    (folder,) = scratch.iterdir()
    shard = folder / "share-01.shard-00000.npz"
    shard.write_bytes(shard.read_bytes()[:-1000])
    again = small_build.build(1)
    assert open_prepared(again).fingerprint == right
    assert look_up(small_build.NAME) == again
