"""Many records: all are found, what is wrong with one is told, and what two of them differ in."""

import json
import logging
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import seqrl
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.errors import SeqrlError
from seqrl.planning.settings import MostLikely
from seqrl.runs.differences import between, from_defaults
from seqrl.runs.finding import chosen_from, records_below
from seqrl.runs.frame import COLUMNS
from seqrl.runs.identity import hash_over
from seqrl.runs.record import PROTOCOL
from seqrl.runs.records import Found, Records, Unread
from seqrl.runs.run import run_one
from seqrl.runs.unfinished import unfinished
from tests.runs.making import small, spec_of, toy_source
from tests.runs.recorded import place_of, recorded, write_all


def test_all_are_found_and_sorted(tmp_path: Path) -> None:
    """A record that is not found is a seed that is missing from the mean."""
    made = [
        recorded([1], experiment="paper", seed=2),
        recorded([2], seed=10),
        recorded([3], seed=9),
        recorded([4], name="A", seed=11),
        recorded([5], task="d4rl/hopper-medium-v2", seed=12),
    ]
    write_all(tmp_path, *made)
    (file,) = write_all(tmp_path / "elsewhere", recorded([6]))
    file.rename(tmp_path / "runs/quick/half.json")  # not where records lie
    place_of(tmp_path, made[1]).with_name(".abc.seed-1-00000000.json").write_text("{")
    found = records_below(tmp_path)
    assert [one.record.seed for one in found.found] == [2, 12, 11, 9, 10]
    assert [one.record for one in found.found[3:]] == [made[2], made[1]]
    assert not found.unread
    assert all(one.file == place_of(tmp_path, one.record) for one in found.found)


def _changed(**given: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda plain: {**plain, **given}


WRONG: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    ("cut off", lambda plain: None, "not a whole record"),
    ("deep", lambda plain: ..., "not a whole record"),
    ("list", lambda plain: [plain], "not a whole record of seqrl: it has no format number"),
    ("text", lambda plain: "x", "not a whole record of seqrl: it has no format number"),
    ("other JSON", lambda plain: {"a": 1}, "not a whole record of seqrl: it has no format number"),
    ("half", lambda plain: {"format": 1, "seed": 0}, "lacks agent, changed, checkpoint, "),
    ("format", _changed(format=7), "another format than 1"),
    ("newer", _changed(identity={"protocol": PROTOCOL + 1}), "newer seqrl .*nothing of it is read"),
    ("protocol", _changed(identity={"protocol": "x"}), "protocol number 'x', which is none"),
    ("no protocol", _changed(identity={}), "protocol number None"),
    ("newer and other", _changed(identity={"protocol": 99}, seed="a"), "newer seqrl"),
    ("identity", _changed(identity=None), "protocol number None"),
    ("huge", lambda plain: _with(plain, score=10**400), "not a whole record"),
    ("no score", lambda plain: _with(plain, score=None), "scores where there is no reference"),
    ("no episodes", lambda plain: _with(plain, episodes=[]), "an evaluation has no episodes"),
    (
        "reference",
        _changed(task={"name": "a", "environment": "b", "horizon": 9, "reference": {"minimum": 1}}),
        "task.reference.maximum is not",
    ),
    ("seed", _changed(seed="0"), "seed is not what it should be"),
    ("status", _changed(status="well"), "status is not"),
    ("no evaluation", _changed(evaluations=[]), "done, and has no evaluation"),
    ("evaluation", _changed(evaluations=[{"return": 1.0}]), "evaluations.score is not"),
    ("agent", _changed(agent={"is": 3}), "agent.is is not"),
    ("data", _changed(data={}), "data.name is not"),
    ("no name", _changed(name=""), "the name '' cannot be told from others by eye"),
    ("row", _changed(name="data"), "nothing is called 'data': every table has a row of that name"),
    ("space", _changed(name="BC "), "the name 'BC ' cannot be told"),
    ("invisible", _changed(name="B\u200bC"), "the name 'B.u200bC' cannot be told"),
    ("terminal", _changed(experiment="\x1b[2Jx"), "the name '.x1b.2Jx' cannot be told"),
    ("turned", _changed(name="BC\u202e"), "the name 'BC.u202e' cannot be told"),
    ("infinite", lambda plain: _with(plain, score=float("inf")), "is not a whole record"),
    ("other name", _changed(hash="f" * 64), "named for another run"),
]


def _with(plain: dict[str, Any], **given: Any) -> dict[str, Any]:
    (one,) = plain["evaluations"]
    return {**plain, "evaluations": [{**one, **given}]}


@pytest.mark.parametrize(("change", "said"), [row[1:] for row in WRONG], ids=[r[0] for r in WRONG])
def test_what_is_wrong_is_told_beside_what_is_not(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    """One damaged file must neither end the command nor be left out in silence."""
    good, bad = write_all(tmp_path, recorded([1]), recorded([2], seed=1))
    content = change(json.loads(bad.read_text()))
    texts = {None: bad.read_text()[:99], ...: "[" * 100_000}
    bad.write_text(texts[content] if content in (None, ...) else json.dumps(content))
    found = records_below(tmp_path)
    assert [one.file for one in found.found] == [good]
    (unread,) = found.unread
    assert unread.file == bad
    assert re.search(said, unread.why), unread.why
    assert str(bad) in unread.why


def test_an_older_protocol_is_read(tmp_path: Path) -> None:
    """Numbers of last year are still numbers, if they say which protocol they are of."""
    write_all(tmp_path, recorded([1], protocol=1))
    (one,) = records_below(tmp_path).found
    assert one.record.identity["protocol"] == 1
    assert list(seqrl.read_records(tmp_path)["protocol"]) == [1]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A misspelt folder must not look like one in which nothing was run."""
    with pytest.raises(SeqrlError, match=r"no folder .*resluts"):
        records_below(tmp_path / "resluts")
    assert records_below(tmp_path).found == ()


def test_what_is_no_folder(tmp_path: Path) -> None:
    """A pipe is read once, a link to itself never; neither is a folder that is not there."""
    pipe, loop = tmp_path / "pipe", tmp_path / "loop"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    with pytest.raises(SeqrlError, match="neither a folder nor a file"):
        chosen_from([pipe])
    with pytest.raises(SeqrlError, match="A link leads back to itself"):
        chosen_from([loop])


@pytest.mark.parametrize(
    "name",
    [
        *("{} copy", "{} (1)", "Copy of {}", "{}.bak", "x", "upper"),
        *("../{}", "../../{}", "../../../{}", "deeper/{}", "a/b/{}"),
    ],
)
def test_what_looks_like_a_record_is_not_left_out_in_silence(tmp_path: Path, name: str) -> None:
    """Whoever copies records by hand misses the right place easily, and would miss the seed."""
    good, bad = write_all(tmp_path, recorded([1]), recorded([2], seed=1))
    stem, end = bad.name.split(".")
    said = bad.name.upper() if name == "upper" else name.format(stem) + f".{end}"
    (bad.parent / said).parent.mkdir(parents=True, exist_ok=True)
    stray = bad.rename(bad.parent / said).resolve()
    found = records_below(tmp_path)
    assert [one.file for one in found.found] == [good]
    (unread,) = found.unread
    assert unread.file.resolve() == stray
    assert "may be a record, and is not read" in unread.why


def test_what_lies_beside_records_is_none(tmp_path: Path) -> None:
    """Metrics, checkpoints, and what is being written, need no word."""
    (good,) = write_all(tmp_path, recorded([1]))
    for name in ("{}.metrics.jsonl", "{}.safetensors", ".1234.{}.json", "notes.txt"):
        (good.parent / name.format(good.stem)).touch()
    (good.parent / ".hidden").mkdir()
    (good.parent / "around").symlink_to(tmp_path)
    (good.parent / ".hidden" / good.name).touch()
    assert records_below(tmp_path).unread == ()


def test_a_record_that_contradicts_itself_is_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A notebook would show what a table leaves out."""
    good, bad = recorded([1]), recorded([2], seed=1)
    bad = replace(bad, evaluations=[{**bad.evaluations[0], "score": 99.0}])
    files = write_all(tmp_path, good, bad)
    assert list(seqrl.read_records(tmp_path)["seed"]) == [0]
    assert "contradicts itself: its returns make a score of 1.000" in caplog.text
    assert len(seqrl.read_records(files[1])) == 0
    asked = records_below(tmp_path).matching(seed=1)
    assert not asked.found and [one.file for one in asked.unread] == [files[1]]
    assert records_below(tmp_path).matching(seed=0).unread == ()
    with pytest.raises(SeqrlError, match="No record is of that kind"):
        records_below(tmp_path).matching(seed=2)


def test_a_file_that_counts_is_not_left_out(tmp_path: Path) -> None:
    """Named by itself it is read, whatever it is called; the folder around it says otherwise."""
    (file,) = write_all(tmp_path, recorded([1]))
    mine = file.rename(file.with_name("mine.json"))
    found = chosen_from([tmp_path, mine])
    assert [one.file for one in found.found] == [mine] and not found.unread


def test_they_are_chosen_by_name(tmp_path: Path) -> None:
    """A pattern that means the short name must find the full one, and no other."""
    hopper, walker = "seqrl/hopper-medium-v1@v5", "d4rl/walker2d-medium-v2"
    made = [
        recorded([1], task=hopper),
        recorded([1], task=walker, seed=1, name="DT"),
        recorded(task=walker, seed=2, experiment="paper"),
    ]
    write_all(tmp_path, *made)
    all_ = records_below(tmp_path)

    def seeds(**asked: Any) -> list[int]:
        return sorted(one.record.seed for one in all_.matching(**asked).found)

    for pattern in ("hopper-medium", "hopper-*", hopper, "seqrl/*"):
        assert seeds(task=pattern) == [0], pattern
    assert seeds(task="*-medium") == [0, 1, 2] == seeds()
    assert seeds(agent="D*") == [1] == seeds(seed=1)
    assert seeds(experiment="pap*") == [2] == seeds(status="failed")
    with pytest.raises(SeqrlError, match=r"There are experiments paper, quick; tasks .*agents BC"):
        all_.matching(agent="TT")


def test_a_hash_is_found_by_its_first_letters(tmp_path: Path) -> None:
    """The wrong record explained is worse than none."""
    made = [recorded([1], hash=f"{begun:0<64}") for begun in ("1a", "2a", "1b")]
    found = [Found(file=place_of(tmp_path, record), record=record) for record in made]
    damaged = Unread(file=tmp_path / f"seed-0-{'e' * 8}.json", why="it is not a whole record")
    all_ = Records(found=tuple(found), unread=(damaged,))
    assert all_.with_hash("2").record == made[1] and all_.with_hash("1A0").record == made[0]
    with pytest.raises(SeqrlError, match=r"(?s)2 records have.*1a000000 .*1b000000 .*Write more"):
        all_.with_hash("1")
    with pytest.raises(SeqrlError, match=r"whose hash begins so\. There are:\n  1a000000"):
        all_.with_hash("77")
    with pytest.raises(SeqrlError, match="not a whole record"):
        all_.with_hash("eeee")


def test_the_table_for_notebooks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A column that is of another quantity than its name is a wrong figure."""
    facts = {"target_rule": "given", "target_return": 7.5}
    made = recorded([10, 30, 80], agent=DecisionTransformer(target=7.5), name="DT", facts=facts)
    made = replace(made, versions={**made.versions, "score": "99", "file": "no"})
    done, _, bad, *_ = write_all(tmp_path, made, recorded(seed=1), recorded([1], seed=2))
    bad.write_text("{")
    with caplog.at_level(logging.WARNING):
        table = seqrl.read_records(tmp_path, done, bad)
    assert str(bad) in caplog.text and len(table) == 2, "twice the same is once"
    failed, row = table.iloc[0], table.iloc[1]
    assert row["score"] == 20 and row["return"] == 40
    assert row["return_sd"] == pytest.approx(((30**2 + 10**2 + 40**2) / 2) ** 0.5)
    assert (row["agent"], row["kind"], row["task"]) == (
        "DT", "DecisionTransformer", "seqrl/hopper-medium-v1",
    )  # fmt: skip
    assert (row["target_rule"], row["target_return"], row["torch"]) == ("given", 7.5, "2.8.0")
    assert (row["training_seconds"], row["evaluation_seconds"], row["threads"]) == (120, 60, 2)
    assert row["file"] == str(done) and row["hash"] == made.hash
    assert failed["status"] == "failed" and "it broke" in failed["error"]
    assert table["score"].dtype == float and table["score"].isna().tolist() == [True, False]
    (tmp_path / "empty").mkdir()
    empty = seqrl.read_records(tmp_path / "empty")
    assert tuple(empty.columns) == COLUMNS and not len(empty)
    assert set(COLUMNS) < set(table.columns)


def test_a_real_record_is_sound(tmp_path: Path) -> None:
    """What runs write today must never be called damaged."""
    source = toy_source()
    record, place = run_one(
        spec_of(small(DecisionTransformer), source), source, results=tmp_path, device="cpu"
    )
    (found,) = records_below(tmp_path).found
    assert found.record == record and found.file == place.record
    row = seqrl.read_records(tmp_path).iloc[0]
    assert row["score"] == record.score and row["episodes"] == 5
    assert not between(record, record)
    # The hash is over what a record says of itself: so two records can be told apart.
    assert record.hash == hash_over({"agent": record.agent, "seed": record.seed, **record.identity})
    changed = {one.field: one.second for one in from_defaults(record.agent)}
    assert changed["network.width"] == 16 and changed["training.updates"] == 30


def test_what_two_records_differ_in() -> None:
    """ "Why was it run again?" has an answer, and the machine is not it."""
    first = recorded([1], agent=DecisionTransformer())
    second = recorded(
        [2], agent=DecisionTransformer(context_steps=5), torch="2.9.0", seed=3,
        machine={**first.machine, "threads": 8},
    )  # fmt: skip
    found = {one.field: (one.first, one.second, one.in_hash) for one in between(first, second)}
    assert found == {
        "agent.context_steps": (20, 5, True),
        "seed": (0, 3, True),
        "identity.versions.torch": ("2.8.0", "2.9.0", True),
        "versions.torch": ("2.8.0", "2.9.0", False),
        "machine.threads": (2, 8, False),
    }


def test_an_agent_beside_its_defaults() -> None:
    """A setting that was changed must not hide behind the name of the agent."""
    agent = TrajectoryTransformer(search=MostLikely(horizon=3))
    found = {
        one.field: (one.first, one.second) for one in from_defaults(recorded(agent=agent).agent)
    }
    assert found["search.horizon"] == (15, 3)
    assert found["search.is"][1].endswith(":MostLikely") and found["search.expansion"][0] == 2
    assert "window_steps" not in found
    assert not from_defaults(recorded(agent=TrajectoryTransformer()).agent)


def test_unfinished_work_is_measured(tmp_path: Path) -> None:
    """Gigabytes of a killed run lie where nobody looks."""
    assert unfinished(tmp_path) is None
    for name in ("0123456789abcdef", "fedcba9876543210", "other"):
        inner = tmp_path / ".work" / name / "inner"
        inner.mkdir(parents=True)
        (inner / "state").write_bytes(b"x" * 1000)
    (tmp_path / ".work" / "0123456789abcdef.lock").write_bytes(b"x")
    found = unfinished(tmp_path)
    assert found is not None and found.bytes == 2000
    assert found.hashes == ("0123456789abcdef", "fedcba9876543210")
    assert found.touched.startswith("20")
