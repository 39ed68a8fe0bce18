"""Wrong words on the command line."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from seqrl.data.cache import Prepared, look_up
from seqrl.episodes import Array
from tests.data.bad_input.telling import IMPORT, Seqrl, said
from tests.data.making import layout, write_hdf5

WORDS: dict[str, tuple[tuple[object, ...], tuple[str, ...]]] = {
    "unknown environment": (
        ("--environment", "Hoper-v4"),
        ("'Hoper-v4' could not be made", "module:Id"),
    ),
    "environment of a module that is missing": (
        ("--environment", "no_such_module:Thing-v0"),
        ("'no_such_module:Thing-v0' could not be made", "No module named", "module:Id"),
    ),
    "empty environment": (("--environment", ""), ("'' could not be made", "module:Id")),
    "discrete actions": (
        ("--environment", "CartPole-v1"),
        ("CartPole-v1", "Discrete(2)", "one row of numbers"),
    ),
    "wider environment": (
        ("--environment", "HalfCheetah-v4"),
        ("`observations` has the shape (15, 11)", "[steps, 17]"),
    ),
    "no time limit": (
        ("--environment", "Endless-v0"),
        ("Endless-v0 has no time limit", "--horizon"),
    ),
    "horizon 0": (("--horizon", 0), ("--horizon must be at least 1, not 0",)),
    "horizon below 0": (("--horizon", -3), ("--horizon must be at least 1, not -3",)),
    "reference upside down": (
        ("--reference", 10, 3),
        ("minimum (10.0)", "must be below the maximum (3.0)"),
    ),
    "reference without span": (("--reference", 3, 3), ("must be below the maximum",)),
    "reference nan": (("--reference", "nan", 3), ("must be finite numbers", "nan")),
    "reference inf": (("--reference", 0, "inf"), ("must be finite numbers", "inf")),
    **{
        f"name {name!r}": (("--name", name), (name, "letters, digits"))
        for name in ("a/b", "..", ".hidden", "a+b", "a@v5", "a b", "", "a*", "ä")
    },
    "name too long": (("--name", "a" * 300), ("File name too long", "shorter name")),
}


class Endless(gymnasium.Env[Array, Array]):
    """An environment that nobody ends."""

    observation_space = gymnasium.spaces.Box(-1, 1, (11,))
    action_space = gymnasium.spaces.Box(-1, 1, (3,))


@pytest.mark.parametrize("what", WORDS)
def test_a_wrong_word_of_import_is_refused(
    what: str, seqrl: Seqrl, good: tuple[Path, Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: data under a name, an environment or a scale that nobody can use later."""
    spec = EnvSpec("Endless-v0", entry_point="tests.data.bad_input.test_words:Endless")
    monkeypatch.setitem(gymnasium.registry, "Endless-v0", spec)
    options, words = WORDS[what]
    said(seqrl("data", "import", good[0], *IMPORT, *options), *words)


def test_an_environment_of_ones_own_is_imported_by_its_module(
    tmp_path: Path, seqrl: Seqrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: the advice `module:Id` of these errors, which nobody could follow."""
    (tmp_path / "own_environment.py").write_text(
        "import gymnasium\n"
        "place = 'tests.data.bad_input.test_words:Endless'\n"
        "gymnasium.register('Own-v0', place, max_episode_steps=9)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    file = write_hdf5(tmp_path / "mine.hdf5", layout())
    words = ("--name", "mine", "--environment", "own_environment:Own-v0")
    ended = seqrl("data", "import", file, *words)
    gymnasium.registry.pop("Own-v0")
    assert ended.status == 0, ended
    known = look_up("file/mine")
    assert known and known.task.horizon == 9


def _episode(**changed: Any) -> dict[str, Any]:
    columns = layout((4,))
    return {
        "observations": columns["observations"],
        "actions": columns["actions"],
        "rewards": columns["rewards"],
        "terminated": True,
        **changed,
    }


GIVEN: dict[str, tuple[Any, tuple[str, ...]]] = {
    "nothing": (None, ("returned NoneType", "iterable of episodes", "yield")),
    "a number": (7, ("returned int", "iterable of episodes")),
    "no mappings": ([3], ("Episode 0", "not a mapping with observations", "3")),
    "half a mapping": (
        [{"rewards": [1.0], 3: 4}],
        ("Episode 0", "mapping with observations", "rewards, 3", "run the command again"),
    ),
    "no episodes": ([], ("no steps at all", "at least one finished episode")),
    "an episode without steps": (
        [_episode(), _episode(rewards=[])],
        ("Episode 1", "no steps", "Leave such episodes out"),
    ),
    "a reward that is one number": ([_episode(rewards=3.0)], ("Episode 0", "has no steps")),
    "ragged actions": (
        [_episode(actions=[[1, 2], [3]])],
        ("Episode 0", "`actions` is no array", "rows of equal width"),
    ),
    "the last observation too": (
        [_episode(observations=np.zeros((5, 11)))],
        ("Episode 0", "`rewards` has 4 entries", "(5, 11)", "next_observations"),
    ),
    "terminated at every step": (
        [_episode(terminated=[False, False, False, True])],
        ("Episode 0", "`terminated` is [False", "once for the whole episode"),
    ),
    "terminated in words": (
        [_episode(terminated="no")],
        ("Episode 0", "`terminated` is no", "true or false"),
    ),
    "timed out in words": (
        [_episode(timed_out="maybe")],
        ("Episode 0", "`timed_out` is maybe", "true or false"),
    ),
    "a column now and then": (
        [_episode(), _episode(next_observations=np.zeros((4, 11)))],
        ("`next_observations` is present in some episodes only", "in every episode"),
    ),
    "actions too wide": (
        [_episode(actions=np.zeros((4, 6)))],
        ("`actions` have the shape (4, 6)", "[steps, 3]"),
    ),
    "text": ([_episode(rewards=["much"] * 4)], ("`rewards` are of type <U4", "numbers")),
    "nan": ([_episode(rewards=[1, np.nan, 1, 1])], ("`rewards` hold nan at step 1", "finite")),
}


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An importable module `somebodys` whose function gives what the test puts in."""
    module = ModuleType("somebodys")
    monkeypatch.setitem(sys.modules, "somebodys", module)
    return module


@pytest.mark.parametrize("what", GIVEN)
def test_a_function_that_gives_something_else_is_told(
    what: str, seqrl: Seqrl, good: tuple[Path, Prepared], own_module: Any
) -> None:
    """Prevents: numpy's errors, without a word about which episode of whose function."""
    given, words = GIVEN[what]
    own_module.episodes = lambda: given
    said(seqrl("data", "import", "somebodys:episodes", *IMPORT), "somebodys:episodes", *words)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("no_such_module:f", "No module named 'no_such_module'"),
        ("somebodys:nothing", "no attribute 'nothing'"),
        ("somebodys:", "no attribute"),
        (":f", "Empty module name"),
        (".relative:f", "relative import"),
        ("somebodys:number", "is a int"),
    ],
)
def test_a_function_that_is_none_is_told(
    source: str, word: str, seqrl: Seqrl, good: tuple[Path, Prepared], own_module: Any
) -> None:
    """Prevents: a traceback of Python's import machinery for a slip of the pen."""
    own_module.number = 7
    said(seqrl("data", "import", source, *IMPORT), source, word, "module:function")


def test_a_functions_own_exception_keeps_its_traceback_and_loses_nothing(
    seqrl: Seqrl, good: tuple[Path, Prepared], own_module: Any
) -> None:
    """Prevents: hiding where in the user's own code the mistake is; and a half-written copy."""

    def episodes() -> Iterator[Mapping[str, Any]]:
        yield _episode()
        raise ZeroDivisionError("in the user's own code")

    own_module.episodes = episodes
    with pytest.raises(ZeroDivisionError, match="own code"):
        seqrl("data", "import", "somebodys:episodes", *IMPORT)


MISSING = ("file/other", "seqrl/hopper-meddium-v1", "d4rl/hoper-medium-v2", "hoper-medium")
VERBS: dict[str, tuple[object, ...]] = {
    "info": (),
    "check": (),
    "export": ("out.hdf5",),
    "remove": ("--yes",),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", [*MISSING, "what/is-this", "file/../mine", "hopper+x+y", "d4rl/"])
def test_a_name_that_does_not_exist_is_told(
    verb: str, name: str, seqrl: Seqrl, good: tuple[Path, Prepared]
) -> None:
    """Prevents: a traceback, or a verb that does something to another set than the named one."""
    said(seqrl("data", verb, name, *VERBS[verb]), name.partition("/")[2] or name)


@pytest.mark.parametrize("verb", ["build", "fetch"])
@pytest.mark.parametrize("name", [*MISSING, "what/is-this"])
def test_a_name_that_cannot_be_made_or_fetched_is_told(
    verb: str, name: str, seqrl: Seqrl, good: tuple[Path, Prepared]
) -> None:
    """Prevents: an hour of work, or a download, for a name that was misspelt."""
    said(seqrl("data", verb, name), name.partition("/")[2])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("remove", "file/mine"), ("file/mine", "add --yes")),
        (("export", "file/mine", "mine.csv"), ("mine.csv ends in '.csv'", ".hdf5 or .npz")),
        (("export", "file/mine", "mine"), ("mine ends in 'nothing'", ".hdf5 or .npz")),
        (("export", "file/mine", "no/such/out.hdf5"), ("No such file", "folder around it")),
        (("export", "file/mine", "no/such/out.npz"), ("No such file", "folder around it")),
        (("export", "file/mine", "out.hdf5", "--states"), ("no simulator states", "--states away")),
        (("export", "file/mine", "out.npz", "--states"), ("no simulator states", "--states away")),
        (("check", "file/mine", "--sample", 0), ("--sample must be at least 1, not 0",)),
        (("check", "file/mine", "--sample", -1), ("--sample must be at least 1, not -1",)),
        (("build", "hopper-medium", "--processes", 0), ("--processes must be at least 1, not 0",)),
        (("build", "hopper-medium", "--processes", -2), ("--processes must be at least 1",)),
        (("info", "hopper-medium", "--data-dir", "nowhere"), ("nowhere is not a folder",)),
        (("info", "file/mine", "--data", "d4rl"), ("--data d4rl asks for others",)),
        (("info", "file/mine+12345678"), ("another content", "not +12345678")),
        (("info", "hopper-medium@v9"), ("not on this machine",)),
        (("fetch", "hopper-medium", "--reference", 0, 1), ("--reference is for Minari sets",)),
        (("fetch", "hopper-medium", "--mirror", "/mnt/d4rl"), ("/mnt/d4rl", "http://")),
        (("fetch", "hopper-medium", "--mirror", "http://[::1"), ("no usable address", "--data")),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_a_wrong_use_of_a_verb_is_told(
    command: tuple[object, ...],
    words: tuple[str, ...],
    seqrl: Seqrl,
    good: tuple[Path, Prepared],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prevents: a slip that deletes, overwrites, or ends in a traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", (tmp_path / "good" / "mine.hdf5").open("rb"))
    before = {*tmp_path.glob("*")}
    said(seqrl("data", *command), *words)
    assert {*tmp_path.glob("*")} - before <= {tmp_path / "home"}
    sys.stdin.close()
