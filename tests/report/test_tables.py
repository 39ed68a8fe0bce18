"""The table: a mean is of what its caption says, and of nothing else."""

import random
from dataclasses import replace
from typing import Any

import pytest

from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.errors import SeqrlError
from seqrl.report.belonging import KINDS, Kind, kinds_named
from seqrl.report.blocks import over_tasks, scores
from seqrl.report.captions import caption
from seqrl.report.formats import FORMATS, as_markdown, written
from seqrl.report.page import page
from seqrl.report.summary import summary_of
from seqrl.report.tables import ScoreTable, score_table
from seqrl.runs.record import RunRecord
from tests.runs.recorded import REFERENCE, TASK, recorded

OWN = "seqrl/halfcheetah-medium-v1"
MINE = "file/mine+1a2b3c4d"


def written_all(records: list[RunRecord]) -> list[str]:
    """Write them in every format."""
    summary = summary_of(records)
    return [written(summary, format_) for format_ in FORMATS]


def text_of(table: ScoreTable) -> str:
    """Write the table itself as plain lines."""
    block = scores(table)
    return "\n".join(" | ".join(line) for line in (block.head, *block.rows)) + "\n"


def test_mean_and_deviation_by_hand() -> None:
    """Episodes are averaged first, then seeds: all episodes in one bag give another spread."""
    table = score_table(
        [recorded([0, 40], seed=0), recorded([10, 90], seed=1), recorded([160, 0], seed=2)]
    )
    cell = table.cells["BC", TASK]
    assert (cell.n, cell.failed, cell.missing) == (3, 0, 0)
    assert cell.mean == pytest.approx((10 + 25 + 40) / 3)
    assert cell.deviation == pytest.approx(15.0), "n-1: the root of (225 + 0 + 225) / 2"
    assert table.data == {TASK: 25.0}
    assert text_of(table) == f"agent | {TASK}\nBC | 25.0 ± 15.0\ndata | 25.0\n"


def test_one_seed_has_no_deviation() -> None:
    """A zero would say that all seeds agree."""
    table = score_table([recorded([0, 40])])
    assert table.cells["BC", TASK].deviation is None
    assert "BC | 10.0\n" in text_of(table)


def test_failed_and_missing_are_seen() -> None:
    """A mean over the seeds that happened to survive looks like any other."""
    records = [
        recorded([40], seed=0),
        recorded(seed=1),
        recorded(seed=2),
        recorded([40], seed=0, name="B"),
        recorded(seed=0, name="C", task=OWN),
        recorded([20], seed=0, task=OWN),
    ]
    text = text_of(score_table(records))
    assert f"agent | {OWN} | {TASK}\n" in text
    assert "BC | 10.0, missing (2 of 3) | 20.0, failed (2 of 3)\n" in text
    assert "B | - | 20.0, missing (2 of 3)\n" in text
    assert "C | failed (1 of 3), missing (2 of 3) | -\n" in text
    cell = score_table(records).cells["B", OWN]
    assert (cell.mean, cell.n, cell.missing) == (None, 0, 3)


def test_what_was_asked_for_gives_order_and_gaps() -> None:
    """Where a sweep has not come to its last seed in any cell, records alone do not know it."""
    asked = [(a, t, seed) for t in (TASK, OWN) for a in ("Z", "BC") for seed in (0, 1)]
    table = score_table([recorded([40]), recorded([20], name="A", seed=7)], asked)
    assert table.agents == ("Z", "BC", "A") and table.tasks == (TASK, OWN)
    text = text_of(table)
    assert "BC | 20.0, missing (1 of 2) | -\nA | 10.0 | -\ndata | 25.0 | -\n" in text
    assert table.cells["Z", OWN].missing == 2


def test_without_reference_returns_it_says_so() -> None:
    """A return of 40 in a column of scores would pass for 40 percent."""
    table = score_table([recorded([40]), recorded([40, 50], task=OWN, reference=None)])
    assert table.in_returns == {OWN} and table.data == {TASK: 25.0, OWN: 50.0}
    text = text_of(table)
    assert f"agent | {OWN} (return) | {TASK}\n" in text
    assert "BC | 45.0 | 20.0\n" in text
    assert "they show returns" in scores(table).notes[-1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fingerprint": "f" * 16}, "one column: they differ in fingerprint"),
        ({"environment": "Hopper-v5"}, "differ in environment, Hopper-v4 and Hopper-v5"),
        ({"task_horizon": 500}, "one column: they differ in horizon, 1000 and 500"),
        ({"protocol": 1}, "differ in protocol"),
        ({"reference": {**REFERENCE, "maximum": 300.0}}, "reference.maximum, 200.0 and 300.0"),
        (
            {"facts": {"target_rule": "given"}},
            "one column: they differ in target_rule, best_in_data and given",
        ),
        ({"agent": BehaviourCloning(fraction=0.1)}, r"agent.fraction, 1.0 and 0.1"),
        ({"returns": [1, 2]}, "evaluation.episodes, 1 and 2"),
    ],
)
def test_what_differs_is_not_averaged(given: dict[str, Any], said: str) -> None:
    """Two kinds of numbers in one mean are neither."""
    usual: dict[str, Any] = {"returns": [1], "facts": {"target_rule": "best_in_data"}}
    records = [recorded(**usual), recorded(seed=1, **usual | given)]
    with pytest.raises(SeqrlError, match=said) as error:
        score_table(records)
    for record in records:
        assert f"seed {record.seed} (experiment quick, {record.hash[:8]})" in str(error.value)
    if "cell" in said:  # in another row it is fine
        score_table([records[0], replace(records[1], name="other")])


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"fingerprint": "f" * 16}, "fingerprint"),
        ({"environment": "Hopper-v5"}, "environment"),
        ({"reference": {**REFERENCE, "maximum": 300.0}}, "environment"),
        ({"protocol": 1}, "protocol"),
        ({"facts": {"target_rule": "given"}, "name": "DT-6000"}, "target"),
        ({"task": MINE}, "data"),
        ({"task": f"{TASK}+delayed"}, "data"),
    ],
)
def test_who_tells_may_put_together(given: dict[str, Any], kind: Kind) -> None:
    """A refusal without a way around it is answered by editing records; the caption tells on it."""
    usual: dict[str, Any] = {"returns": [1], "facts": {"target_rule": "best_in_data"}}
    records = [recorded(**usual), recorded(seed=1, **usual | given)]
    with pytest.raises(SeqrlError, match=f"--mixed {kind}") as refused:
        score_table(records)
    assert all(f"{record.hash[:8]})" in str(refused.value) for record in records)
    others = [other for other in KINDS if other != kind]
    with pytest.raises(SeqrlError, match=f"--mixed {kind}"):
        score_table(records, mixed=others)
    table = score_table(records, mixed=[kind])
    assert sum(cell.n for cell in table.cells.values()) == 2
    assert f"although records differ in {kind}." in caption(records)
    assert "although" not in caption(records[:1])


def test_two_families_have_no_mean() -> None:
    """Told so, two kinds of data stand beside each other: no number is of both."""
    records = [recorded([1], task=task, seed=s) for task in (TASK, MINE) for s in range(5)]
    table = score_table(records, mixed=["data"])
    assert len(table.tasks) == 2 and not table.can_be_summed_up
    assert over_tasks(table) is None and table.aggregates("BC") == {}


def test_what_can_be_told_is_known() -> None:
    """A misspelt word would quietly allow nothing."""
    assert kinds_named(["data", "target"]) == {"data", "target"}
    with pytest.raises(SeqrlError, match=r"differ in datas\. They can in data, fingerprint"):
        kinds_named(["datas"])


def test_a_failure_that_was_mended_is_none() -> None:
    """A run that failed, was mended in its code and done has two records, of two hashes."""
    failed = recorded(seed=1, agent=BehaviourCloning(fraction=0.5))
    table = score_table([recorded([40], seed=1), failed, recorded([40])])
    cell = table.cells["BC", TASK]
    assert (cell.n, cell.failed, cell.missing) == (2, 0, 0)


def test_a_column_is_one_whatever_the_agent() -> None:
    """Two agents in one column were to have met the same data."""
    with pytest.raises(SeqrlError, match="one column"):
        score_table([recorded([1]), recorded([1], name="DT", fingerprint="f" * 16)])


def test_data_that_differ_have_no_mean() -> None:
    """Put together all the same, they are two; the first one's mean is not that of both."""
    other = recorded([2], seed=1, fingerprint="f" * 16)
    other = replace(other, data={**other.data, "mean_score": 99.0})
    table = score_table([recorded([1]), other], mixed={"fingerprint"})
    assert table.data == {}
    assert "| data | - |" in as_markdown(summary_of([recorded([1]), other], mixed={"fingerprint"}))
    page(summary_of([recorded([1]), other], mixed={"fingerprint"}))


def test_reference_returns_put_together_are_told() -> None:
    """Two scales in one column: the caption must show both."""
    wide = {"minimum": 0.0, "maximum": 400.0, "source": "a test"}
    both = [recorded([1]), recorded([2], seed=1, reference=wide, task_horizon=500)]
    said = caption(both)
    assert "1000 steps, with reference returns 0.0 and 200.0" in said
    assert "500 steps, with reference returns 0.0 and 400.0" in said
    none = [recorded([1]), recorded([2], seed=1, reference=None)]
    assert score_table(none, mixed={"environment"}).in_returns == {TASK}


@pytest.mark.parametrize(("package", "own"), [("mujoco", "3.3.0"), ("gymnasium", "1.2.0")])
def test_other_simulators_make_no_column(package: str, own: str) -> None:
    """Versions play alike, nearly: what is in one column must have met the same."""
    older = recorded([2], seed=1, name="DT")
    older = replace(older, versions={**older.versions, package: "1.0.1"})
    with pytest.raises(SeqrlError, match=rf"{package}, {own} and 1.0.1.*--mixed environment"):
        score_table([recorded([1]), older])
    both = [recorded([1], seed=1), older]
    table = score_table(both, mixed={"environment"})
    assert table.paired("BC", "DT", TASK).n == 0, "they did not begin alike"
    said = caption(both)
    for version in (own, "1.0.1"):
        assert f"100,000 updates, {package} {version})" in said


def test_a_copied_seed_is_no_seed() -> None:
    """One training's record under another seed would make a mean of one run with itself."""
    one = recorded([1])
    with pytest.raises(SeqrlError, match="have one checkpoint"):
        score_table([one, replace(recorded([2], seed=1), checkpoint=one.checkpoint)])


def test_a_copied_run_under_another_seed_is_no_seed() -> None:
    """Whoever makes its seeds, hash and checkpoint anew forgets that no two runs get the same; but
    where most episodes get nothing, or the same, two seeds may."""
    for returns in ([1.5, 2.5, 3.5], [0.0, 0.0, 1.0], [1.5, 2.5], [8.0, 9.0, 10.0]):
        both = [recorded(returns), recorded(returns, seed=1)]
        if returns == [1.5, 2.5, 3.5]:
            with pytest.raises(SeqrlError, match=r"seed 0 .*seed 1 .* same returns in all 3"):
                score_table(both)
        else:
            assert score_table(both).cells["BC", TASK].n == 2
    score_table([recorded([1.5, 2.5, 3.5]), recorded([1.5, 2.5, 3.5], name="the same again")])


@pytest.mark.parametrize("name", ["episodes", "steps", "best_return", "mean_return"])
def test_one_content_is_told_in_one_way(name: str) -> None:
    """Of equal fingerprints one of two numbers is wrong; other machines sum to other last bits."""
    one, other = recorded([1]), recorded([2], seed=1)
    good = replace(other, data={**other.data, name: other.data[name] * (1 + 1e-12)})
    assert score_table([one, good]).data == {TASK: 25.0}
    bad = replace(other, data={**other.data, name: other.data[name] * 2})
    with pytest.raises(SeqrlError, match=rf"of them the {name.replace('_', ' ')} "):
        score_table([one, bad])


def test_kinds_of_one_agent_are_told_by_their_seeds() -> None:
    """Where runs of one agent on one task differ in what is said of them."""
    other = replace(recorded([2], seed=1), changed=["times=1"])
    said = caption([recorded([1]), other, recorded([3], seed=2)])
    assert f"BC on {TASK}, seed 0, 2 (Behaviour" in said
    assert f"BC on {TASK}, seed 1 (BehaviourCloning, times=1" in said
    mine = replace(recorded([2], name="DT"), experiment="mine")
    said = caption([recorded([1]), mine])
    assert "experiment quick)" in said and "experiment mine)" in said
    assert "\nSeeds 0; episodes of each" in said


@pytest.mark.parametrize("lost", ["none", "all"])
def test_n_is_of_means(lost: str) -> None:
    """Cells without a mean have no n."""
    good = [recorded([1], seed=s) for s in range(3)] if lost == "none" else []
    note = scores(score_table([*good, recorded(seed=0, name="DT")])).notes[0]
    assert ("n = 3 seeds in each mean" in note) == (lost == "none") and "parenth" not in note


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"checkpoint_rule": "best"}, "checkpoint_rule, last and best"),
        ({"identity": {"code": {"x": "1"}}}, "code"),
        ({"identity": {"training_precision": "bfloat16"}}, "training_precision, float32 and bf"),
        ({"task": {"environment_settings": {"healthy": False}}}, "environment_settings"),
    ],
)
def test_what_makes_other_runs(given: dict[str, Any], said: str) -> None:
    """Not told apart by the agent's settings, yet not runs of one kind."""
    record = recorded([2], seed=1)
    merged: dict[str, Any] = {
        name: {**getattr(record, name), **value} if isinstance(value, dict) else value
        for name, value in given.items()
    }
    with pytest.raises(SeqrlError, match=said):
        score_table([recorded([1]), replace(record, **merged)])


def test_returns_are_not_summed_up_with_scores() -> None:
    """One task without reference returns is enough."""
    other = "seqrl/walker2d-medium-v1"
    table = score_table([recorded([1]), recorded([1], task=other, reference=None)])
    assert not table.can_be_summed_up


def test_a_seed_counts_once() -> None:
    """The same seed under two versions of torch would make three seeds of two."""
    with pytest.raises(SeqrlError, match=r"count twice.*identity\.versions\.torch 2\.8"):
        score_table([recorded([1]), recorded([1], torch="2.9.0")])
    with pytest.raises(SeqrlError, match="differ in experiment paper and quick"):
        score_table([recorded([1]), recorded([1], experiment="paper")])


def several() -> list[RunRecord]:
    records = []
    for seed in (0, 1, 10):
        rule = {"target_rule": "best_in_data"}
        for task, target in ((TASK, 100.0), (OWN, 70.0)):
            records.append(
                recorded(
                    [seed, 3 * seed + 1, 0.1], seed=seed, name="DT", task=task,
                    agent=DecisionTransformer(), facts={**rule, "target_return": target},
                )
            )  # fmt: skip
        for task, steps in ((TASK, "5 steps"), (OWN, "15 steps")):
            records.append(
                recorded(
                    [seed / 7, 9, 2], seed=seed, name="TT", task=task,
                    agent=TrajectoryTransformer(),
                    facts={"window_rule": "published", "plans": steps},
                )
            )  # fmt: skip
    return records


def test_equal_records_give_equal_bytes() -> None:
    """A table that changes with the order of a folder cannot be checked by anybody."""
    records = several()
    expected = written_all(records)
    for number in range(5):
        other = [
            replace(record, written=f"2027-01-0{number + 1}T00:00:00+00:00", machine={})
            for record in records
        ]
        random.Random(number).shuffle(other)
        assert written_all(other) == expected


def test_the_caption_answers_a_reviewer() -> None:
    """A table without its data, rules and versions is a rumour."""
    said = caption(several())
    for words in (
        f"{OWN} (embedded, not D4RL's; fingerprint 01234567) played in Hopper-v4; {TASK} (embed",
        "DT (DecisionTransformer, 100,000 updates, target rule best_in_data)",
        f"TT on {OWN} (TrajectoryTransformer, 195,000 updates, plans 15 steps, window",
        "Experiment quick; seeds 0, 1, 10; episodes of each: 3; last checkpoint; trained in "
        "float32; played in float32.",
        "Protocol 2; seqrl 0.1.0, torch 2.8.0, gymnasium 1.2.0, mujoco 3.3.0.",
    ):
        assert words in said, words
    given = {"target_rule": "given", "target_return": 1800.0}
    other = recorded([1], name="DT", facts=given, torch="2.9.0", changed=["target=1800"])
    said = caption([recorded([1], seed=1), recorded(seed=2, name="BC"), other])
    assert "target=1800, 100,000 updates, target return 1,800.0, target rule given" in said
    assert "target rule given, torch 2.9.0)" in said and "seeds 0, 1, 2" in said
    assert "updates, torch 2.8.0)" in said, "each agent with its own"


def test_nothing_makes_no_table() -> None:
    """An empty table looks like a result."""
    with pytest.raises(SeqrlError, match="no records"):
        score_table([])
