"""`seqrl selection`: what choosing after the fact would have added, or why nobody can say."""

import json
from collections.abc import Callable
from pathlib import Path

from seqrl.runs.sweep import write_sweep
from tests.conftest import Ended
from tests.report.making import sweep_of
from tests.runs.recorded import TASK, evaluated, recorded, write_all

Run = Callable[..., Ended]

SWEEP = sweep_of({0.0: [10.0, 30.0], 50.0: [70.0, 90.0], 100.0: [40.0, 60.0]}, best=100.0)


def test_records_and_targets(seqrl: Run, tmp_path: Path) -> None:
    """A number without its data, rules, episodes and candidates is the very thing it is against."""
    write_all(
        tmp_path,
        evaluated([[80, 80], [20, 40]], seed=0),
        evaluated([[10, 20], [60, 80]], seed=1),
        recorded(seed=2),
        recorded([1, 2], seed=3),
        recorded([1, 2], seed=4),
    )
    write_sweep(tmp_path / "a.csv", SWEEP)
    ended = seqrl("selection", tmp_path, tmp_path / "a.csv", tmp_path / "a.csv")
    assert ended.status == 0, ended.err
    head, first, second, *rest = ended.out.splitlines()
    assert head.split()[:6] == ["agent", "task", "candidates", "episodes", "seeds", "fixed"]
    assert first.split()[:7] == ["BC", TASK, "2", "checkpoints", "2", "2", "25.0"]
    assert first.split()[-3:] == ["+12.5", "±", "17.7"]
    assert second.split() == [
        "DecisionTransformer", TASK, "3", "targets", "2", "1",
        "25.0", "40.0", "40.0", "+15.0", "+0.0", "+15.0",
    ]  # fmt: skip
    text = "\n".join(rest)
    for said in (
        "the headline", "1,000 random halvings", "standard deviation over seeds (n-1)",
        "Of checkpoints the last is fixed.",
        f"of DecisionTransformer on {TASK} the fixed one is the best return in the data, 100.0.",
        "seqrl/hopper-medium-v1 (embedded, not D4RL's; fingerprint 01234567) played in Hopper-v4",
        "seeds 0, 1;", "episodes of each: 2", "Protocol 2", "mujoco 3.3.0",
        "checkpoint fedcba98", "2 episodes a target, seed 7",
    ):  # fmt: skip
        assert said in text, said
    assert "left out: 1 run failed." in ended.err
    assert "left out: 2 runs evaluated once (`seqrl bench --times 5`" in ended.err


def test_for_programs(seqrl: Run, tmp_path: Path) -> None:
    """Every seed's numbers, in full, with all that is said to a person."""
    write_all(tmp_path, evaluated([[80, 80], [20, 41]], seed=0), recorded(seed=2))
    ended = seqrl("selection", tmp_path, "--json")
    plain = json.loads(ended.out)
    (found,) = plain["selections"]
    assert found["seeds"]["0"] == {"fixed": 15.25, "best": 40, "honest": 40, "chosen": 50_000}
    assert (found["of"], found["candidates"]) == ("checkpoints", [50_000, 100_000])
    assert (found["fixed"], found["episodes"], found["n"]) == (100_000, 2, 1)
    assert found["over_seeds"]["added_honestly"] == {"mean": 24.75, "deviation": None}
    assert plain["left_out"] == {"failed": 1} and not ended.err
    assert any("Hopper-v4" in line for line in plain["caption"])
    assert any("headline" in line for line in plain["notes"])


def test_what_is_chosen(seqrl: Run, tmp_path: Path) -> None:
    """A filter that does not filter shows everything under one name."""
    write_all(tmp_path, evaluated([[1, 2], [3, 4]]), evaluated([[1, 2], [3, 4]], name="other"))
    plain = json.loads(seqrl("selection", tmp_path, "--agent", "o*", "--json").out)
    assert [one["agent"] for one in plain["selections"]] == ["other"]


def test_targets_alone_need_no_results(seqrl: Run, tmp_path: Path) -> None:
    """Whoever has a table of targets and no folder `results` has all that it takes."""
    write_sweep(tmp_path / "a.csv", SWEEP)
    ended = seqrl("selection", tmp_path / "a.csv")
    assert ended.status == 0 and "3 targets" in ended.out
    facts = {"target_rule": "given", "target_return": 0.0}
    checkpoint = {"file": "x", "sha256": SWEEP.about["checkpoint_sha256"]}
    (file,) = write_all(tmp_path, recorded([1, 2], name="DT", facts=facts, checkpoint=checkpoint))
    ended = seqrl("selection", tmp_path / "a.csv", file)
    assert ended.status == 0
    assert "of DT on seqrl/hopper-medium-v1 the fixed one is what it was run with, 0.0" in ended.out


def test_where_nothing_can_be_said(seqrl: Run, tmp_path: Path) -> None:
    """An empty table looks like a result; and whoever reads why not knows what to run."""
    write_all(tmp_path, recorded([1, 2]), recorded(seed=1))
    ended = seqrl("selection", tmp_path)
    assert ended.status == 2 and not ended.out
    assert "1 run evaluated once (`seqrl bench --times 5`" in ended.err
    assert "1 run failed" in ended.err and "`seqrl targets CHECKPOINT`" in ended.err
    (tmp_path / "empty").mkdir()
    ended = seqrl("selection", tmp_path / "empty")
    assert ended.status == 2 and "There are no records in" in ended.err
    (tmp_path / "b.csv").write_text("my,own\n1,2\n")
    ended = seqrl("selection", tmp_path / "b.csv")
    assert ended.status == 2 and "no table of `seqrl targets`" in ended.err


def test_mixed_records_are_refused_unless_told(seqrl: Run, tmp_path: Path) -> None:
    """As in `seqrl table`, and with the same words."""
    other = evaluated([[1, 2], [3, 4]], name="B", fingerprint="f" * 16)
    write_all(tmp_path, evaluated([[1, 2], [3, 4]]), other)
    ended = seqrl("selection", tmp_path)
    assert ended.status == 2 and "--mixed fingerprint" in ended.err
    ended = seqrl("selection", tmp_path, "--mixed", "fingerprint")
    assert ended.status == 0 and "PUT TOGETHER AS TOLD" in ended.out
