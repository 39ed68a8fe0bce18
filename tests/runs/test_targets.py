"""Which targets are asked for, and a table that is never of two things at once."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from seqrl.agents.trajectory_imitation import TrajectoryToGoal
from seqrl.errors import DataError, SeqrlError
from seqrl.policy import Policy
from seqrl.report.figures import caption_of
from seqrl.runs.origin import Origin
from seqrl.runs.sweep import read_sweep, take_up, write_sweep
from seqrl.runs.targets import play_targets, targets_for, targets_in, usual_targets
from seqrl.tasks.d4rl import ENTRIES
from seqrl.tokens.tokenizer import DataFacts
from tests.report.making import sweep_of
from tests.runs.making import small, toy_source, write_policy

HOPPER = ENTRIES["d4rl/hopper-medium-v2"].task
OWN = replace(HOPPER, reference=None)


def facts(best: float, mean: float) -> DataFacts:
    return DataFacts(
        name="x", fingerprint="", episodes=2, steps=9, best_return=best, mean_return=mean, horizon=9
    )


def test_usual_targets_reach_from_random_to_beyond_the_data() -> None:
    """The interesting part, following and where it ends, must lie within."""
    assert HOPPER.reference is not None
    found = usual_targets(facts(3000.0, 1500.0), HOPPER, 10)
    assert len(found) == 10 and found[0] == HOPPER.reference.minimum
    assert found[6] == pytest.approx(3000.0), "the best in the data is one of them"
    assert found[-1] == pytest.approx(3000 + 0.5 * (3000 - found[0]))
    steps = [after - before for before, after in pairwise(found)]
    assert steps == pytest.approx([steps[0]] * 9)
    assert usual_targets(facts(600.0, 300.0), OWN, 4) == pytest.approx([0, 300, 600, 900])
    # All returns below zero: 1.5 times the best would be worse than the best.
    assert usual_targets(facts(-100.0, -400.0), OWN, 4) == pytest.approx([-700, -400, -100, 200])
    with pytest.raises(SeqrlError, match="Say --targets"):
        usual_targets(facts(-100.0, -100.0), OWN, 4)


def test_targets_by_hand() -> None:
    """Twice the same is once; what is no number is told."""
    assert targets_in("500, 0,1e3,500") == [0.0, 500.0, 1000.0]
    for text in ("", ",", "a,b", "1;2", "nan", "inf,0"):
        with pytest.raises(SeqrlError, match="numbers"):
            targets_in(text)


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    """A rounded number would be another one after the first interruption."""
    sweep = sweep_of({0.1: [1 / 3, 2e-9], 1e6 / 7: [-5.5, 1e5 / 3]}, best=100.0 / 7)
    write_sweep(tmp_path / "a.csv", sweep)
    empty = replace(sweep, rows=())
    assert take_up(tmp_path / "a.csv", empty) == sweep
    assert take_up(tmp_path / "none.csv", empty) == empty
    assert read_sweep(tmp_path / "a.csv") == sweep
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert len(lines) == 5 and all("seqrl/hopper-medium-v1" in line for line in lines[1:])


@pytest.mark.parametrize("column", ["checkpoint_sha256", "seed", "torch", "environment"])
def test_a_table_of_something_else_is_not_continued(tmp_path: Path, column: str) -> None:
    """Half of a curve from another checkpoint looks like a discovery."""
    sweep = sweep_of({0.0: [1.0]}, best=10.0)
    write_sweep(tmp_path / "a.csv", sweep)
    other = replace(sweep, about={**sweep.about, column: "other"}, rows=())
    with pytest.raises(DataError, match=f"returns of {column}.*--out"):
        take_up(tmp_path / "a.csv", other)
    with pytest.raises(DataError, match="returns of episodes 1, and these are of 5"):
        take_up(tmp_path / "a.csv", replace(sweep, episodes=5, rows=()))


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    """A file of the user's must not be written over because it stands where the table should."""
    (tmp_path / "a.csv").write_text("my,own\n1,2\n")
    with pytest.raises(DataError, match="no table of"):
        take_up(tmp_path / "a.csv", sweep_of({0.0: [1.0]}, best=10.0))


def test_a_target_with_missing_rows_is_played_again(tmp_path: Path) -> None:
    """A mean over one episode in place of twenty looks like any other."""
    file = tmp_path / "t.csv"
    sweep = sweep_of({0.0: [1.0, 2.0], 5.0: [3.0, 4.0]}, best=10.0)
    write_sweep(file, sweep)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-1]))
    found = take_up(file, replace(sweep, rows=()))
    assert found.targets == sweep.targets[:-1]


def test_what_is_not_whole_is_not_read(tmp_path: Path) -> None:
    """Whoever reads a table without its checkpoint has nobody who plays what is missing."""
    file = tmp_path / "t.csv"
    write_sweep(file, sweep_of({0.0: [1.0, 2.0], 5.0: [3.0, 4.0]}, best=10.0))
    whole = file.read_text()
    head, *lines = whole.splitlines(keepends=True)
    other = lines[3].replace("Hopper-v4", "Hopper-v5")
    for content, said in (
        (head, "has no rows"),
        ("", "has no rows"),
        ("".join([head, *lines[:3]]), "should hold 2 episodes of each target, and of 5 it does"),
        (whole + lines[0], "should hold 2 episodes of each target, and of 0"),
        (head + "".join([*lines[:3], other]), "line 5: its environment is Hopper-v5, and that"),
        (whole.replace("3.0,1.5", "nan,1.5"), "nan is not a finite number"),
        (whole.replace("True", "yes"), "no table of `seqrl targets`"),
        (whole[:-40], "."),
        (whole.replace("3.0,1.5", "3.0,9999.0"), "a return of 3 is no score of 9999.0"),
        (whole.replace("3.0,1.5", "3.0,"), "a return of 3 is no score of None"),
        (whole.replace(",0.0,200.0,", ",200.0,200.0,"), "minimum, 200.0, is not below"),
        (whole.replace("training_seed", "seed_of_training"), "it has no column training_seed"),
        (whole.replace("checkpoint_sha256", "c"), "it has no column checkpoint_sha256"),
        (whole.replace(",3,", ",x,"), "invalid literal"),
        (whole.replace(",2,10.0,", ",99999999999,10.0,"), "should hold 99999999999 episodes"),
        (head + lines[0].replace("\n", ",9\n"), "line 2 has more fields"),
        ("my,own\n1,2\n", "no table of `seqrl targets`"),
        ("a\0b\n1\n", "."),
    ):
        file.write_text(content)
        with pytest.raises(DataError, match=said):
            read_sweep(file)
    file.write_text(f"\ufeff{whole}")  # as spreadsheets begin it
    assert read_sweep(file).episodes == 2
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="no table of"):
        read_sweep(file)
    with pytest.raises(DataError, match="reading a table"):
        read_sweep(tmp_path / "none.csv")


def test_an_agent_with_a_range_is_asked_within_it(tmp_path: Path) -> None:
    """Half of the usual targets would have no bin, and fail after an hour; and a plan that the
    table does not tell of could be anybody's."""
    write_policy(small(TrajectoryToGoal), toy_source(), tmp_path / "goal.safetensors")
    policy = Policy.load(tmp_path / "goal.safetensors")
    returns = toy_source().episodes.returns
    asked = targets_for(policy, 3)
    assert asked[0] == pytest.approx(returns.min()) and asked[2] == pytest.approx(returns.max())
    assert asked[1] == pytest.approx((asked[0] + asked[2]) / 2)
    origin = Origin.of(tmp_path / "goal.safetensors", policy, 0)
    file = tmp_path / "targets.csv"
    for beyond in (asked[0] - 1, asked[2] + 1):
        with pytest.raises(SeqrlError, match="Say --targets between them"):
            play_targets(policy, origin, [asked[1], beyond], episodes=2, file=file)
    assert not file.exists()
    sweep = play_targets(policy, origin, asked, episodes=2, file=file)
    assert sweep.targets == asked
    assert "plans 3 steps, 4 beams, for the most probable" in caption_of(sweep)
    assert "target" not in sweep.about["plays"]
