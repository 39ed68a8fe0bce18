"""`seqrl table`, `seqrl figures`, `seqrl page`: from records in a folder to files."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Ended
from tests.runs.recorded import TASK, evaluated, recorded, write_all

Run = Callable[..., Ended]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two agents, one of them with a seed that failed, and a file that is cut off."""
    facts = {"target_rule": "given", "target_return": 90.0}
    died = evaluated([[10], [20]], name="DT", facts=facts, seed=1)
    *_, bad = write_all(
        tmp_path,
        evaluated([[10], [40]]),
        evaluated([[10], [60]], seed=1),
        evaluated([[10], [20]], name="DT", facts=facts),
        replace(died, status="failed", evaluations=[], error="Traceback: it died"),
        recorded([1], seed=5),
    )
    bad.write_text("{")
    return tmp_path


def test_the_table(seqrl: Run, results: Path) -> None:
    """What cannot be read is said, and left out; what failed is seen."""
    ended = seqrl("table", results)
    assert ended.status == 0 and "It is left out." in ended.err
    assert f"| agent | {TASK} |" in ended.out and "| BC | 25.0 ± 7.1 (2) |" in ended.out
    assert "| DT | 10.0 (1), failed (1 of 2) |" in ended.out
    only = seqrl("table", results, "--agent", "D*", "--seed", 0).out
    assert "| BC |" not in only and "| DT | 10.0 |" in only


def test_formats_and_files(seqrl: Run, results: Path, tmp_path: Path) -> None:
    """Each is what its ending says, in a folder that need not be there."""
    for format_ in ("md", "csv", "latex", "json"):
        out = tmp_path / "new" / f"t.{format_}"
        ended = seqrl("table", results, "--format", format_, "--out", out)
        assert ended.status == 0 and str(out) in ended.out
        assert out.read_text() == seqrl("table", results, "--format", format_).out
    assert json.loads((tmp_path / "new/t.json").read_text())["cells"][0]["agent"] == "BC"


def test_runs_that_differ_in_what_was_changed_are_told_apart(seqrl: Run, tmp_path: Path) -> None:
    """Two launches with one setting changed between them fill one folder."""
    write_all(tmp_path, evaluated([[10], [40]], changed=["times=2"]), recorded([60], changed=[]))
    refused = seqrl("table", tmp_path)
    assert refused.status == 2 and "--changed" in refused.err
    assert "| BC | 20.0 |" in seqrl("table", tmp_path, "--changed", "times=*").out
    assert "| BC | 30.0 |" in seqrl("table", tmp_path, "--changed", "").out
    other = seqrl("table", tmp_path, "--changed", "times=3")
    assert other.status == 2 and "changes none, times=2" in other.err


def test_a_folder_without_records_is_named(seqrl: Run, results: Path) -> None:
    """Who names the folder inside is told which one is meant."""
    ended = seqrl("page", results / "runs")
    assert ended.status == 2 and str(results / "runs") in ended.err
    assert f"has a folder `runs` in it: {results}?" in ended.err
    around = results / "around"
    (around / "inner/runs").mkdir(parents=True)
    ended = seqrl("page", around)
    assert ended.status == 2 and f"has a folder `runs` in it: {around / 'inner'}?" in ended.err


def test_a_file_named_twice_counts_once(seqrl: Run, results: Path) -> None:
    """`seqrl table results results/runs/*` is easily typed."""
    files = sorted(results.rglob("seed-0-*.json"))
    assert seqrl("table", results, *files).out == seqrl("table", results).out
    assert "| BC | 20.0 |" in seqrl("table", files[0], "--agent", "BC").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "xls"], "--format xls: there are md, csv, latex, json"),
        (["--mixed", "all"], "cannot be told to differ in all"),
        (["--agent", "nobody"], "No record is of that kind"),
    ],
)
def test_mistakes(seqrl: Run, results: Path, arguments: list[str], said: str) -> None:
    """A sentence, and status 2."""
    ended = seqrl("table", results, *arguments)
    assert ended.status == 2 and said in ended.err, ended.err


def test_no_folder_no_records(seqrl: Run, tmp_path: Path) -> None:
    """The usual first mistake: another folder."""
    ended = seqrl("table", tmp_path / "nowhere")
    assert ended.status == 2 and "There is no folder" in ended.err
    ended = seqrl("page", tmp_path, "--out", tmp_path / "p.html")
    assert ended.status == 2 and "no records" in ended.err


def test_a_record_that_was_changed_by_hand(seqrl: Run, tmp_path: Path) -> None:
    """A score that its episodes do not have is in no table."""
    _, bad = write_all(tmp_path, recorded([2]), recorded([4], seed=1))
    bad.write_text(bad.read_text().replace('"score": 2.0', '"score": 99.0'))
    ended = seqrl("table", tmp_path)
    assert (
        "| BC | 1.0 |" in ended.out and f"{bad} contradicts itself: its returns make" in ended.err
    )
    ended = seqrl("table", bad)
    assert ended.status == 2 and "There are no records left" in ended.err
    for file in write_all(tmp_path, *(recorded([4], seed=seed) for seed in range(2, 9))):
        file.write_text(file.read_text().replace('"score": 2.0', '"score": 99.0'))
    ended = seqrl("table", tmp_path)
    assert ended.err.count("It is left out.") == 5 and "3 more files are left out" in ended.err


def test_figures_that_are_no_more(seqrl: Run, tmp_path: Path) -> None:
    """Beside new figures an old one would be taken for one of them; other files are left alone."""
    out = tmp_path / "figures"
    write_all(tmp_path, *(evaluated([[1], [n]], seed=n) for n in range(5)))
    seqrl("figures", tmp_path, "--out", out)
    (out / "mine.png").write_text("")
    assert (out / "profiles.png").exists() and (out / "learning-curves.csv").exists()
    (out / "profiles.svg").unlink()
    (out / "profiles.svg").symlink_to(out / "mine.png")
    ended = seqrl("figures", tmp_path, "--out", out, "--seed", 0)
    assert "The older profiles.png, profiles.csv in" in ended.err
    assert (out / "profiles.svg").is_symlink(), "a link is nothing that this program makes"
    (out / "profiles.svg").unlink()
    assert not [*out.glob("profiles.*")] and (out / "mine.png").exists()
    assert (out / "learning-curves.csv").exists()
    write_all(tmp_path, recorded([1], name="DT"))
    seqrl("figures", tmp_path, "--out", out, "--agent", "DT")
    assert not [*out.glob("learning-curves.*")] and (out / "scores.csv").exists()
    ended = seqrl("figures", tmp_path, "--out", out / "mine.png")
    assert ended.status == 2 and "--out" in ended.err and "Traceback" not in ended.err


def test_places_that_are_none(seqrl: Run, results: Path) -> None:
    """A name that no disk can hold, and one that records have: a sentence, and nothing lost."""
    long = "x" * 300
    for arguments in (
        *(("table", long), ("table", f"{long}/x"), ("page", results, "--out", long)),
        *(("runs", long), ("selection", long), ("table", results, "--out", long)),
    ):
        ended = seqrl(*arguments)
        assert ended.status == 2 and "File name too long" in ended.err, arguments
    record = next(results.rglob("seed-0-*.json"))
    before = record.read_bytes()
    ended = seqrl("table", record, "--out", record)
    assert ended.status == 2 and "is called as records are" in ended.err
    assert record.read_bytes() == before


def test_what_was_left_out_is_in_the_caption(seqrl: Run, results: Path) -> None:
    """Whoever is sent the table alone must see that it is not of all files."""
    assert "LEFT OUT: 1 file that could not be counted." in seqrl("table", results).out
    next(results.rglob("seed-5-*.json")).unlink()
    assert "LEFT OUT" not in seqrl("table", results).out


def test_told_to_mix(seqrl: Run, tmp_path: Path) -> None:
    """Refused first, with both records named; then put together, and said."""
    write_all(tmp_path, recorded([2]), recorded([4], seed=1, protocol=1))
    ended = seqrl("table", tmp_path)
    assert ended.status == 2 and "seed 0" in ended.err and "--mixed protocol" in ended.err
    ended = seqrl("table", tmp_path, "--mixed", "protocol")
    assert ended.status == 0 and "although records differ in protocol" in ended.out


def test_the_figures(seqrl: Run, results: Path, tmp_path: Path) -> None:
    """Each has the numbers behind it; what cannot be drawn says why."""
    out = tmp_path / "figures"
    ended = seqrl("figures", results, "--out", out)
    assert ended.status == 0 and "no profiles: they need five seeds" in ended.err
    assert "no seconds-per-decision" in ended.err, "these records have no lengths"
    names = {file.stem for file in out.iterdir()}
    assert names == {"scores", "learning-curves", "score-by-budget", "asked-achieved"}
    with (out / "scores.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert [(row["agent"], row["seed"], row["score"]) for row in rows] == [
        ("BC", "0", "20.0"),
        ("BC", "1", "30.0"),
        ("DT", "0", "10.0"),
    ]
    assert rows[0]["environment"] == "Hopper-v4" and rows[0]["checkpoint_rule"] == "last"


def test_letters_without_a_picture_are_told_once(seqrl: Run, tmp_path: Path) -> None:
    """Not as a dozen warnings with a line of matplotlib's code each."""
    write_all(tmp_path, recorded([40], name="\N{CJK UNIFIED IDEOGRAPH-4E2D}"))
    ended = seqrl("figures", tmp_path, "--out", tmp_path / "f")
    assert ended.status == 0 and "Warning" not in ended.err
    assert ended.err.count("the font of the figures has no \N{CJK UNIFIED IDEOGRAPH-4E2D}:") == 1


def test_one_run_in_two_files_is_refused_by_their_names(seqrl: Run, tmp_path: Path) -> None:
    """A folder that was copied within the results counts every run twice."""
    (file,) = write_all(tmp_path, recorded([40]))
    copied = tmp_path / "runs/again" / file.relative_to(tmp_path / "runs/quick")
    copied.parent.mkdir(parents=True)
    copied.write_bytes(file.read_bytes())
    ended = seqrl("table", tmp_path)
    assert ended.status == 2 and str(file) in ended.err and str(copied) in ended.err


def test_the_page(seqrl: Run, results: Path, tmp_path: Path) -> None:
    """One file, with everything."""
    out = tmp_path / "page.html"
    ended = seqrl("page", results, "--out", out)
    assert ended.status == 0 and f"4 runs on {out}" in ended.out
    assert out.read_text().startswith("<!DOCTYPE html>")
    (tmp_path / "folder").mkdir()
    ended = seqrl("page", results, "--out", tmp_path / "folder")
    assert ended.status == 2 and "--out" in ended.err and "is a folder" in ended.err
