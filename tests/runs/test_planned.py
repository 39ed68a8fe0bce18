"""Plans kept while playing: those that were made, when they were made, beside what was seen."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.episodes import Array, History
from seqrl.errors import SeqrlError
from seqrl.evaluation import play
from seqrl.planning import live
from seqrl.policy import Policy
from seqrl.runs.imagined import Imagined, write_imagined
from seqrl.runs.origin import Origin
from seqrl.runs.planned import Planned, decoded
from tests.report.making import imagined_of
from tests.runs.making import small, toy_source, write_policy

SEED, NUMBERS = 1, [4, 0, 2]


def policy_of(folder: Path, **given: Any) -> tuple[Policy, Origin]:
    file = folder / "policy.safetensors"
    write_policy(small(TrajectoryTransformer, **given), toy_source(), file)
    policy = Policy.load(file)
    return policy, Origin.of(file, policy, SEED)


def middle(policy: Policy, name: str, dimension: int, token: int) -> float:
    edges = policy.model.tokenizer.edges[name][dimension]
    return float((edges[token] + edges[token + 1]) / 2)


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("number", [4, 2])
def test_plans_are_those_that_were_made(
    every: int, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another row's plan, or one of a step later, looks as good."""
    policy, origin = policy_of(tmp_path, replan_every=every)
    made: dict[int, Array] = {}
    saw: list[Array] = []
    kept = Planned(policy, number)
    plan = live.planned

    def planned(model: Any, how: Any, history: History) -> Array:
        found = plan(model, how, history)
        rows = {tuple(seen): row for row, seen in enumerate(history.observations[:, 0].tolist())}
        if tuple(first) in rows:
            made[history.step] = found[rows[tuple(first)]]
        return found

    def stepped(numbers: Array, history: History) -> None:
        kept.look(numbers, history)
        if number in numbers:
            saw[:] = history.observations[list(numbers).index(number)]

    def begun(numbers: Array, history: History) -> None:
        saw[:] = history.observations[0]

    play(policy.agent, policy.model, policy.task, seed=SEED, numbers=[number], stepped=begun)
    first, alone = saw[0].tolist(), np.array(saw)
    monkeypatch.setattr(live, "planned", planned)
    played = play(
        policy.agent, policy.model, policy.task, seed=SEED, numbers=NUMBERS, stepped=stepped
    )
    one = next(episode for episode in played if episode.number == number)
    imagined = kept.imagined(origin, one)
    np.testing.assert_array_equal(imagined.simulated, alone)
    assert len(imagined.simulated) == one.length + 1
    assert sorted(made) == list(range(0, one.length, every))
    chosen = sorted({i * len(made) // min(6, len(made)) for i in range(min(6, len(made)))})
    assert [plan.step for plan in imagined.plans] == [every * i for i in chosen]
    for kept_plan in imagined.plans:
        tokens = made[kept_plan.step]
        alive = next((i for i in range(3) if (tokens[i, :3] == 20).any()), 3)
        assert kept_plan.bodies is None and kept_plan.ends == (alive < 3)
        assert kept_plan.imagined.shape == (alive, 3)
        for step, row in enumerate(kept_plan.imagined):
            for dimension, value in enumerate(row):
                token = int(tokens[step, dimension])
                assert value == pytest.approx(
                    middle(policy, "observation", dimension, token), abs=1e-5
                )
    assert f"episode {number} (environment seed {one.seed})" in imagined.caption
    assert "plans 3 steps, 4 beams" in imagined.caption
    assert f"followed for {every} step" in imagined.caption, "others acted in what then came"


def test_an_imagined_end_ends_the_plan(tmp_path: Path) -> None:
    """The class of the end is no bin: its centre would be a number out of nothing."""
    policy, _ = policy_of(tmp_path)
    plan = np.zeros((3, 7), np.int64)
    for step, rows in ((0, 0), (2, 2)):
        ended = plan.copy()
        ended[step:, 1] = 20
        assert len(decoded(policy.model.tokenizer, ended)) == rows
    acts = plan.copy()
    acts[:, 4] = 20
    assert len(decoded(policy.model.tokenizer, acts)) == 3, "an action ends nothing"


def test_who_makes_no_plans(tmp_path: Path) -> None:
    """Told before anything is played."""
    file = tmp_path / "policy.safetensors"
    write_policy(small(DecisionTransformer), toy_source(), file)
    with pytest.raises(SeqrlError, match="DecisionTransformer makes no plans"):
        Planned(Policy.load(file), 0)


def test_the_table(tmp_path: Path) -> None:
    """A row for each number; empty where the episode was over."""
    imagined: Imagined = imagined_of([0, 4], horizon=3, length=5, bodies=False)
    write_imagined(tmp_path / "a.csv", imagined)
    with (tmp_path / "a.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert len(rows) == 2 * 3 * 3
    last = rows[-1]
    assert (last["planned_at"], last["step"], last["dimension"]) == ("4", "6", "observation[2]")
    assert last["simulated"] == "" and float(last["imagined"]) == pytest.approx(20.2)
    for row in rows[:-3]:
        column = int(row["dimension"][-2])
        assert float(row["simulated"]) == 3 * int(row["step"]) + column
    assert last["data"] == "seqrl/hopper-medium-v1" and last["checkpoint_sha256"]
