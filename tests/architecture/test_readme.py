"""The README's commands exist and its code runs: what a newcomer types first must work."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.data.behaviours import SETS
from seqrl.runs.source import Source
from tests.conftest import Ended
from tests.data import small_build
from tests.runs.making import small, write_policy

README = (Path(__file__).parents[2] / "README.md").read_text()
MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


COMMANDS = [
    shlex.split(line.removeprefix("$ "), comments=True)
    for block in blocks("console")
    for line in block.splitlines()
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_exist(command: list[str], seqrl: Callable[..., Ended]) -> None:
    """A renamed command or option must not live on in the README."""
    if command[0] == "make":
        assert re.search(rf"^{command[1]}:.*## ", MAKEFILE, re.MULTILINE)
        return
    assert command[0].rpartition("/")[2] == "seqrl"
    words = command[1:3] if command[1] in ("data", "behaviours") else command[1:2]
    ended = seqrl(*words, "--help")
    assert ended.status == 0, ended.err
    for option in [word for word in command if word.startswith("--")]:
        assert option in ended.out


def test_score_is_what_the_readme_says(seqrl: Callable[..., Ended]) -> None:
    """The one number on the first screen."""
    assert "seqrl score --task hopper-medium --return 1985       # 61.6" in README
    assert seqrl("score", "--task", "hopper-medium", "--return", "1985").out.strip() == "61.6"


def test_the_table_is_that_of_the_records() -> None:
    """The first screen and the committed table have the same cells, and what the sentences below
    say of differences and intervals stands in it."""
    table = (Path(__file__).parents[2] / "results/embedded/tables/scores.md").read_text()
    rows = re.search(r"(?:^\|.*\n)+", README, re.MULTILINE)
    first = re.search(r"(?:^\|.*\n)+", table, re.MULTILINE)
    assert rows and first and rows[0] == first[0]
    _, begins, rest = README.partition("In three sentences:")
    said = " ".join(rest.partition("No published protocol")[0].split())
    quoted = re.findall(r"(-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\]", said)
    assert begins and quoted
    for middle, low, high in quoted:
        assert re.search(rf"\| {middle} ± [\d.]+ \[{low}, {high}\]", table), middle


@pytest.mark.filterwarnings("ignore:.*out of date.*")  # Gymnasium says it of every v4
def test_python_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Copied from the README into a notebook, it must run; on a small set here."""
    monkeypatch.setitem(SETS, small_build.NAME, small_build.SMALL)
    monkeypatch.chdir(tmp_path)
    write_policy(
        small(DecisionTransformer), Source.of(small_build.NAME), Path("hopper.safetensors")
    )
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    assert "Episode(" in capsys.readouterr().out


def test_every_embedded_set_stands_in_the_table() -> None:
    """A set that is shipped but not shown beside the official one hides its difference."""
    for name, chosen in SETS.items():
        assert f"| `{name}` |" in README
        assert f"| {chosen.official.removeprefix('d4rl/')} |" in README


def test_the_table_is_the_committed_one() -> None:
    """Numbers typed into a README stay when the records change."""
    scores = (Path(__file__).parents[2] / "results/embedded/tables/scores.md").read_text()
    table = scores.partition("\n\n|")[2].partition("\n\n")[0]
    assert f"\n\n|{table}\n\n" in README
