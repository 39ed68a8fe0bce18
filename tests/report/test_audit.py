"""An audit finds what cannot be compared, and does not accuse what only says little."""

from collections.abc import Iterable

import pytest

from seqrl.errors import DataError
from seqrl.report.audit import Audited, audit
from seqrl.report.formats import written
from seqrl.report.published import SCORES
from seqrl.report.summary import summary_of
from tests.report.test_blocks import made
from tests.runs.recorded import TASK

HEAD = "agent,task,mean,error,error_kind,n_seeds,environment,checkpoint,target,notes"
GOOD = "A,hopper-medium-v2,50,1,SD over seeds,5,Hopper-v4,last,,"


def judged(*rows: str) -> list[Audited]:
    return audit("\n".join([HEAD, *rows]) + "\n", "t.csv")


def keys(cell: Audited, weight: str) -> Iterable[str]:
    return sorted(reason.key for reason in cell.reasons if reason.weight == weight)


def test_what_says_all_and_agrees_is_comparable() -> None:
    """An audit that always finds something is not read twice."""
    cells = judged(GOOD, GOOD.replace("A,", "B,"))
    assert [cell.verdict for cell in cells] == ["comparable"] * 2
    assert not any(cell.reasons for cell in cells)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("hopper-medium-v2", "hopper-medium-v0", "data"),
        ("hopper-medium-v2", "seqrl/hopper-medium-v1", "data"),
        ("Hopper-v4", "Hopper-v5", "environment"),
        ("last", "best of training", "checkpoint"),
        (",last,,", ",last,highest of six,", "target"),
        (",last,,", ",last,,HIGHEST of six target returns is reported", "target"),
        (",last,,", ",last,,copied by the authors from other papers", "copied"),
        (",50,", ",0.5,", "scale"),
        (",50,", ",1985,", "scale"),
    ],
)
def test_what_differs(old: str, new: str, key: str) -> None:
    """Each by one word, in one cell of three; the other two stay as they are."""
    assert old in GOOD
    first, second, third = judged(GOOD, GOOD, GOOD.replace(old, new))
    assert third.verdict == "differs" and keys(third, "differs") == [key]
    assert first.verdict == second.verdict == "comparable"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("hopper-medium-v2", "hopper-medium", "data"),
        ("Hopper-v4", "", "environment"),
        (",last,", ",,", "checkpoint"),
        (",5,", ",,", "seeds"),
    ],
)
def test_what_is_not_said_is_no_accusation(old: str, new: str, key: str) -> None:
    """Silence and difference are two things."""
    cell = judged(GOOD, GOOD, GOOD.replace(old, new, 1))[2]
    assert cell.verdict == "not said" and keys(cell, "not said") == [key]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        (",5,", ",2,", "few seeds"),
        ("SD over seeds", "standard error over 15 rollouts", "error"),
        ("SD over seeds", "", "error"),
        (",1,SD over seeds", ",,", "error"),
    ],
)
def test_what_is_to_be_remembered(old: str, new: str, key: str) -> None:
    """Means can be compared although their ± cannot."""
    cell = judged(GOOD, GOOD.replace(old, new, 1))[1]
    assert cell.verdict == "comparable" and keys(cell, "remember") == [key]


def test_a_target_by_a_rule_of_the_data_is_not_chosen() -> None:
    """best_in_data has the word in it."""
    (cell,) = judged(GOOD.replace(",last,,", ",last,best_in_data,"))
    assert cell.verdict == "comparable"


def test_delayed_reward_is_another_column() -> None:
    """It is another task, not another version of the data."""
    cells = judged(GOOD, GOOD.replace("-v2", "-v2|delayed"))
    assert [cell.column for cell in cells] == ["hopper-medium", "hopper-medium+delayed"]
    assert {cell.verdict for cell in cells} == {"comparable"}


def test_known_sources_are_looked_up() -> None:
    """Of a cell of CORL's best table it is known that it is the best; of a copy, nothing is."""
    text = "source_key,agent,task,mean,notes\n" + "".join(
        f"{source},DT,hopper-medium-v2,65,{notes}\n"
        for source, notes in (("CORL_last", ""), ("CORL_best", ""), ("CORL_last", "copied by X"))
    )
    last, best, copied = audit(text, "t.csv")
    assert last.verdict == "comparable" and last.said["seeds"] == "4"
    assert keys(best, "differs") == ["checkpoint"]
    assert keys(copied, "differs") == ["copied"] and copied.said["seeds"] == ""


def test_ours_can_be_compared() -> None:
    """What `seqrl table` writes says everything that the audit asks for."""
    text = written(summary_of(made({"BC": {TASK: [1, 2, 3]}, "DT": {TASK: [4, 5, 6]}})), "csv")
    assert [cell.verdict for cell in audit(text, "t.csv")] == ["comparable"] * 2


def test_everything_published_is_judged() -> None:
    """No cell is lost, none ends it."""
    text = SCORES.read_text()
    cells = audit(text, "published.csv")
    assert len(cells) == len(text.splitlines()) - 1
    assert {cell.verdict for cell in cells} == {"comparable", "differs", "not said"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column agent, task, mean"),
        ("agent,task\nA,b\n", "no column mean"),
        (HEAD + "\n", "no cell with a number"),
        (f"{HEAD}\nA,hopper-v2,many,,,,,,,\n", "line 2: could not convert string to float: 'many'"),
        (f"{HEAD}\nA,hopper-v2,nan,,,,,,,\n", "line 2: nan .* no finite number"),
        (f"{HEAD}\n,hopper-v2,3,,,,,,,\n", "line 2: there is no agent"),
        (f'{HEAD}\n"A,hopper-v2\n', "this is no CSV"),
        ("\x00\x01", "no CSV|no column"),
    ],
)
def test_what_is_no_table(text: str, said: str) -> None:
    """A sentence with the line, not a traceback."""
    with pytest.raises(DataError, match=said):
        audit(text, "t.csv")
