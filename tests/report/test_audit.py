"""An audit finds what cannot be compared, and does not accuse what only says little."""

import random
from collections.abc import Iterable, Sequence

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

BESIDE = GOOD.replace("A,", "C,"), GOOD.replace("A,", "D,")
"""Others in its column."""


def judged(*rows: str) -> Sequence[Audited]:
    return audit("\n".join([HEAD, *rows]) + "\n", "t.csv").cells


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
        ("Hopper-v4", "gym Hopper-v4 with mujoco-py", "simulator"),
        ("last", "best of training", "checkpoint"),
        ("last", "peak of training", "checkpoint"),
        ("last", "early stopping on online return", "checkpoint"),
        (",last,,", ",last,,higher of the last two checkpoints", "checkpoint"),
        (",last,,", ",last,,then fine-tuned online for 200k steps", "online"),
        ("A,", "ODT (online finetuned),", "online"),
        (",last,,", ",last,highest of six,", "target"),
        (",last,,", ",last,,HIGHEST of six target returns is reported", "target"),
        (",last,,", ",last,,copied by the authors from other papers", "copied"),
        ("last", "not the last but the best", "checkpoint"),
        ("last", "selected with the environment return", "checkpoint"),
        (",last,,", ",last,,we report the maximum score during training", "checkpoint"),
        (",last,,", ",last,,max over last 5 evals", "checkpoint"),
        (",last,,", ",last,,we sweep the return-to-go and report the best", "target"),
        (",last,,", ',last,"tuned in {1800, 3600}",', "target"),
        (",last,,", ",last,,best of 3 seeds", "seeds"),
        (",last,,", ",last,,fine-tuned in the environment for 100k steps", "online"),
        (",last,,", ",last,,numbers taken from the CQL paper", "copied"),
        (",last,,", ",last,,as reported in [3]", "copied"),
        (",last,,", ",last,,numbers from the DT paper", "copied"),
        (",50,", ",1985,", "scale"),
        (",last,,", ",last,,delayed reward: all of it at the end", "reward"),
        (",last,,", ",last,,with sparse rewards", "reward"),
    ],
)
def test_what_differs(old: str, new: str, key: str) -> None:
    """Each by one word, in one cell of three; the other two stay as they are."""
    assert old in GOOD
    first, second, third = judged(*BESIDE, GOOD.replace(old, new))
    assert third.verdict == "differs" and keys(third, "differs") == [key]
    assert first.verdict == second.verdict == "comparable"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("hopper-medium-v2", "hopper-medium", "data"),
        ("Hopper-v4", "", "environment"),
        (",last,", ",,", "checkpoint"),
        (",last,", ",unclear,", "checkpoint"),
        (",5,", ",,", "seeds"),
    ],
)
def test_what_is_not_said_is_no_accusation(old: str, new: str, key: str) -> None:
    """Silence and difference are two things."""
    cell = judged(*BESIDE, GOOD.replace(old, new, 1))[2]
    assert cell.verdict == "not said" and keys(cell, "not said") == [key]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        (",5,", ",2,", "few seeds"),
        (",5,", ",1,", "few seeds"),
        (",last,,", ",last,,best hyperparameters per task", "tuned"),
        ("A,hopper-medium-v2,50,", "B,hopper-medium-v2,0.5,", "scale"),
        ("SD over seeds", "standard error over 15 rollouts", "error"),
        ("SD over seeds", "95% CI over seeds", "error"),
        ("SD over seeds", "", "error"),
        (",1,SD over seeds", ",,", "error"),
    ],
)
def test_what_is_to_be_remembered(old: str, new: str, key: str) -> None:
    """Means can be compared although their ± cannot."""
    cell = judged(BESIDE[0], GOOD.replace(old, new, 1))[1]
    assert cell.verdict == "comparable" and keys(cell, "remember") == [key]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (",last,,", ",last,best_in_data,"),
        (",last,,", ",last,max return in the dataset,"),
        (",last,,", ",last,the highest return in the data,"),
        (",last,,", ",last (not the best),,"),
        (",last,,", ",last,,at most max 1000 steps an episode"),
        (",last,,", ",last,,clones the best 10% of trajectories; best in bold"),
        (",last,,", ",last,,not copied: our own run"),
        (",last,,", ",last,,offline; no online steps"),
        (",last,,", ",last,,trained offline; evaluated online for 10 episodes"),
        (",last,,", ",last,,before online finetuning"),
        (",last,,", ",last,maximum dataset return,"),
        (",last,,", ",last,2x max of dataset,"),
        (",last,,", ",last,top percentile return,"),
        (",last,,", ",last,highest decile of returns,"),
        (",last,,", ",last,,dense rewards (no delayed rewards)"),
        (",last,,", ",last (no early stopping),,"),
        (",last,,", ",last rather than best,,"),
        (",last,,", ",best validation loss on held-out trajectories,,"),
        (",last,,", ",last,,the best checkpoint would give 70"),
        (",last,,", ",last,,the checkpoint was never chosen by evaluation return"),
        (",last,,", ",last,,Best evaluation of all agents in bold"),
        (",last,,", ",last,,hyperparameters copied from the official repository"),
        (",last,,", ",last,,our own runs and not numbers from the DT paper"),
        (",last,,", ",,,we report the final checkpoint"),
        ("Hopper-v4", "gymnasium/Hopper-v4"),
        ("Hopper-v4", "hopper-v4"),
        ("hopper-medium-v2", "hopper_medium_v2"),
        ("50,1,", "50 ± 1,,"),
        (",50,", ",0,"),
        ("over seeds", "across 5 random seeds"),
    ],
)
def test_what_is_no_difference(old: str, new: str) -> None:
    """Whoever accuses falsely is not believed where it matters."""
    assert old in GOOD
    cells = judged(*BESIDE, GOOD.replace(old, new))
    assert [cell.verdict for cell in cells] == ["comparable"] * 3
    assert not any(cell.reasons for cell in cells)


def test_other_scales_are_other_columns() -> None:
    """Reward at an episode's end, or another normalisation, makes another task, not another version
    of the data; and a score of 267.5 may be one where it is not of D4RL's bodies."""
    cells = judged(GOOD, GOOD.replace("-v2", "-v2|delayed"))
    assert [cell.column for cell in cells] == ["hopper-medium", "hopper-medium+delayed"]
    assert {cell.verdict for cell in cells} == {"comparable"}
    told = GOOD.replace("-v2", "-v2|delayed").replace(",last,,", ",last,,delayed reward")
    assert {cell.verdict for cell in judged(GOOD, told)} == {"comparable"}, "it says so itself"
    maze = GOOD.replace("hopper-medium", "antmaze-large").replace(",last,,", ",last,,sparse reward")
    assert judged(maze)[0].verdict == "comparable", "of a maze it is everybody's"
    breakout = GOOD.replace("hopper-medium-v2,50", "breakout-mixed-v1,267.5")
    assert judged(breakout, GOOD)[0].verdict == "comparable"
    assert judged(breakout, breakout.replace("v1", "v1|raw"))[1].column == "breakout-mixed+raw"


def test_where_no_half_is_larger_nobody_is_usual() -> None:
    """Of two cells, the order of rows must not say which one is wrong."""
    rows = [GOOD, GOOD.replace("-v2", "-v0")]
    for cells in (judged(*rows), judged(*reversed(rows))):
        assert [keys(cell, "differs") for cell in cells] == [["data"]] * 2
        assert "here are also" in cells[0].reasons[0].said


@pytest.mark.parametrize(
    ("column", "value", "other"), [("fingerprint", "ab", "cd"), ("protocol", "1", "2")]
)
def test_what_only_our_tables_say(column: str, value: str, other: str) -> None:
    """Known of both, it must be one; known of one, it says nothing."""
    rows = [f"{GOOD},{value}", f"{GOOD},{value}", f"{GOOD},{other}", f"{GOOD},"]
    cells = audit("\n".join([f"{HEAD},{column}", *rows]), "t.csv").cells
    assert [keys(cell, "differs") for cell in cells] == [[], [], [column], []]


def test_returns_are_no_scores() -> None:
    """A column that says so of one cell only has two scales."""
    row = GOOD.replace(",50,", ",1985,")
    cells = audit(f"{HEAD},unit\n{GOOD},\n{GOOD},score\n{row},return\n", "t.csv").cells
    assert [keys(cell, "differs") for cell in cells] == [[], [], ["unit"]]


def test_a_few_shares_among_scores_are_scores() -> None:
    """Zero in a maze is zero; a source that prints shares prints nothing else."""
    low, high = "X,antmaze-large-v2,0.4,", "X,hopper-medium-v2,60,"
    rest = GOOD.split(",50,")[1]
    others = [GOOD.replace("hopper-medium", "antmaze-large")] * 2
    assert judged(*others, low + rest, high + rest)[2].verdict == "comparable"
    assert keys(judged(*others, low + rest)[2], "remember") == ["scale"], "one may be a bad score"
    both = judged(*others, low + rest, GOOD, GOOD, high.replace("60", "0.6") + rest)
    assert [keys(cell, "differs") for cell in both if cell.said["agent"] == "X"] == [["scale"]] * 2
    assert judged(*others, low.replace("0.4", "0.0") + rest)[2].verdict == "comparable"


def test_known_sources_are_looked_up() -> None:
    """Of a cell of CORL's best table it is known that it is the best; of a copy, nothing is."""
    text = "source_key,agent,task,mean,notes\n" + "".join(
        f"{source},DT,hopper-medium-v2,65,{notes}\n"
        for source, notes in (("CORL_last", ""), ("CORL_best", ""), ("CORL_last", "copied by X"))
    )
    last, best, copied = audit(text, "t.csv").cells
    assert last.verdict == "comparable" and last.said["seeds"] == "4"
    assert keys(best, "differs") == ["checkpoint"]
    assert keys(copied, "differs") == ["copied"] and copied.said["seeds"] == ""


def test_ours_can_be_compared() -> None:
    """What `seqrl table` writes says everything that the audit asks for."""
    text = written(summary_of(made({"BC": {TASK: [1, 2, 3]}, "DT": {TASK: [4, 5, 6]}})), "csv")
    assert [cell.verdict for cell in audit(text, "t.csv").cells] == ["comparable"] * 2


def test_everything_published_is_judged() -> None:
    """No cell is lost, none ends it."""
    text = SCORES.read_text()
    cells = audit(text, "published.csv").cells
    assert len(cells) == len(text.splitlines()) - 1
    assert {cell.verdict for cell in cells} == {"comparable", "differs", "not said"}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (",50,", ",251,", {"scale"}),
        (",50,", ",249,", set()),
        (",5,", ",3,", set()),
        (",5,", ",2,", {"few seeds"}),
        ("A,hopper-medium-v2,50,", "B,hopper-medium-v2,1.4,", {"scale"}),
        ("A,hopper-medium-v2,50,", "B,hopper-medium-v2,1.6,", set()),
    ],
)
def test_where_the_lines_are(old: str, new: str, found: set[str]) -> None:
    """A little to this side, a little to that."""
    cell = judged(*BESIDE, GOOD.replace(old, new, 1))[2]
    assert {reason.key for reason in cell.reasons} == found


def test_of_several_environments_the_one_of_the_task_counts() -> None:
    """As a paper names them once for all its tables; what is none of the task's says nothing."""
    several = GOOD.replace("Hopper-v4", '"HalfCheetah-v2, Hopper-v4 and Walker2d-v3"')
    others = GOOD.replace("Hopper-v4", '"HalfCheetah-v2, Walker2d-v3"')
    assert [cell.verdict for cell in judged(GOOD, several, others)] == ["comparable"] * 3
    older = GOOD.replace("Hopper-v4", '"HalfCheetah-v2, Hopper-v2"')
    assert keys(judged(GOOD, GOOD, older)[2], "differs") == ["environment"]


def test_two_rules_of_our_own_targets() -> None:
    """What `seqrl table` refuses is no better in a file."""
    rows = [f"{GOOD.replace(',last,,', f',last,{rule},')},2" for rule in ("best_in_data", "given")]
    cells = audit("\n".join([f"{HEAD},protocol", *rows]), "t.csv").cells
    assert [keys(cell, "differs") for cell in cells] == [["target rule"]] * 2


def test_a_column_of_returns_is_one() -> None:
    """Where all are returns, none is on another scale than the others."""
    rows = [GOOD.replace(",50,", f",{mean},") for mean in (2167, 2100, 1900)]
    assert [cell.verdict for cell in judged(*rows)] == ["comparable"] * 3


def test_spreadsheets_write_it_otherwise() -> None:
    """Capital letters, semicolons, tabulators."""
    for between in ";\t":
        text = "\n".join([HEAD.title().replace(",", between), GOOD.replace(",", between)])
        (cell,) = audit(text.replace("Error_Kind", "error_kind"), "t.csv").cells
        assert cell.mean == 50 and cell.verdict == "comparable"


def test_a_reason_quotes_what_says_it() -> None:
    """Not the field beside it."""
    said = GOOD.replace(",last,,", ",last,,2 GPUs; the best checkpoint is reported")
    (cell,) = judged(said)
    assert "chosen by the score (the best checkpoint is reported)" in cell.reasons[0].said


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_the_middle_of_the_others(count: int) -> None:
    """Returns among scores are told by what stands in the middle of the others, in plain words."""
    generator = random.Random(count)
    for _ in range(50):
        means = [generator.choice([40.0, 60.0, 240.0, 260.0, 900.0]) for _ in range(count)]
        rows = [
            f"A{n}," + GOOD.split(",", 1)[1].replace("50", f"{m}", 1) for n, m in enumerate(means)
        ]
        for n, cell in enumerate(sorted(judged(*rows), key=lambda cell: cell.line)):
            others = sorted(means[:n] + means[n + 1 :])
            looks = means[n] > 250 > others[len(others) // 2]
            assert ("scale" in keys(cell, "differs")) == looks, means


def test_what_two_columns_say_alike_is_said_once() -> None:
    """And a minus is one however it is printed."""
    text = "agent,task,mean,error,sd,n,n_seeds\nA,hopper-medium-v2,\N{MINUS SIGN}5.5,1,1,,5\n"
    (cell,) = audit(text, "t.csv").cells
    assert (cell.mean, cell.said["error"], cell.said["seeds"]) == (-5.5, "1", "5")


def test_tabs_may_have_commas_between_them() -> None:
    """And a line may end with a separator too many."""
    text = "agent\ttask\tmean\tnotes\tseen (a, b)\nA\thopper-medium-v2\t3\t\t\t\n"
    (cell,) = audit(text, "t.csv").cells
    assert cell.mean == 3


def test_capital_letters_make_no_other_task() -> None:
    """Two versions of one set are seen to differ, whoever wrote them."""
    cells = judged(GOOD, GOOD, GOOD.replace("hopper-medium-v2", "Hopper-Medium-v2"))
    assert [cell.verdict for cell in cells] == ["comparable"] * 3
    cells = judged(GOOD, GOOD, GOOD.replace("hopper-medium-v2", "Hopper-Medium-v0"))
    assert keys(cells[-1], "differs") == ["data"]


def test_one_agent_twice() -> None:
    """Two numbers of one agent in one column: the reader has to know of both."""
    first, second, other = judged(GOOD, GOOD.replace(",50,", ",60,"), GOOD.replace("A,", "B,"))
    assert "line 3 is of the same agent, 60" in first.reasons[0].said
    assert "line 2 is of the same agent, 50" in second.reasons[0].said
    assert not other.reasons


def test_lines_without_a_number_are_counted() -> None:
    """Of a run that failed nothing can be said, and that can be."""
    found = audit("\n".join([HEAD, GOOD, GOOD.replace(",50,", ",,"), GOOD]), "t.csv")
    assert [cell.line for cell in found.cells] == [2, 4] and found.without_number == [3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column agent, task, mean"),
        ("agent,task\nA,b\n", "no column mean"),
        (HEAD + "\n", "no cell with a number"),
        (f"{HEAD}\nA,hopper-v2,many,,,,,,,\n", "line 2: many is no number"),
        (f"{HEAD}\nA,hopper-v2,nan,,,,,,,\n", "line 2: nan is no number"),
        (f"{HEAD}\nA,hopper-v2,1_000,,,,,,,\n", "line 2: 1_000 is no number"),
        (f"{HEAD}\nA,hopper-v2,67%,,,,,,,\n", "line 2: 67% is no number"),
        (f"{HEAD}\nA,hopper-v2,{'9' * 400},,,,,,,\n", "line 2: 9+ is no number"),
        (f"{HEAD}\nA,hopper-v2,67,-1,,,,,,\n", "line 2: ± -1 is below zero"),
        (f'{HEAD}\n{GOOD}\n{GOOD}\n"A"x,b,1\n', "line 4: this is no CSV"),
        ("agent,task,mean,error,sd\nA,b-v2,5,1,9\n", "line 2: it has error 1 and sd 9: which"),
        ("agent,task,mean,n,n_seeds\nA,b-v2,5,2,5\n", "it has n_seeds 5 and n 2: which one counts"),
        (f"{HEAD}\n,hopper-v2,3,,,,,,,\n", "line 2: there is no agent"),
        (f"{HEAD}\n{GOOD},,7\n", "line 2 has more fields than"),
        ("agent,task,mean,Mean \nA,b,1,2\n", "two columns called mean"),
        (f'{HEAD}\n"A,hopper-v2\n', "this is no CSV"),
        ("\x00\x01", "no CSV|no column"),
    ],
)
def test_what_is_no_table(text: str, said: str) -> None:
    """A sentence with the line, not a traceback."""
    with pytest.raises(DataError, match=said):
        audit(text, "t.csv")
