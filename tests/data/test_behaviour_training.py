"""Training behaviour policies: all of it that needs no learner."""

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seqrl.data import behaviour_training
from seqrl.data.action_log import ActionLog, LoggedEnvironment
from seqrl.data.behaviour_training import measure, train, write_actor
from seqrl.data.policy import FOLDER, GRID, ActorPolicy
from seqrl.errors import DataError, MissingExtra, SeqrlError
from seqrl.tasks.d4rl import BODIES, ENTRIES
from seqrl.tasks.task import Task

HOPPER = ENTRIES["d4rl/hopper-medium-v2"].task


def parameters(seed: int, widths: tuple[int, int, int] = (11, 32, 3)) -> dict[str, Any]:
    """Random parameters of an actor, nested and named as flax does it."""
    generator = np.random.default_rng(seed)
    seen, hidden, action = widths
    shapes = [(seen, hidden), (hidden, hidden), (hidden, action), (hidden, action)]
    return {
        "params": {
            f"Dense_{i}": {
                "kernel": generator.normal(0, shape[0] ** -0.5, shape).astype(np.float32),
                "bias": generator.normal(0, 0.1, shape[1]).astype(np.float32),
            }
            for i, shape in enumerate(shapes)
        }
    }


def played(task: Task, pieces: list[int], seed: int = 3) -> list[ActionLog]:
    """What a random policy did, in pieces of a log, resetting as a vector environment does."""
    generator = np.random.default_rng(seed)
    environment = LoggedEnvironment(task)
    environment.reset(seed=seed)
    action = np.empty(task.action_width, np.float32)  # used for every action, as learners may
    logs = []
    for steps in pieces:
        for _ in range(steps):
            action[:] = generator.uniform(-1, 1, task.action_width)
            _, _, terminated, truncated, _ = environment.step(action)
            if terminated or truncated:
                environment.reset()
        logs.append(environment.take())
    return logs


# ---- refusing ------------------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the checks of a training run as if its packages were there."""
    monkeypatch.setattr(behaviour_training, "need_extra", lambda *_: None)


def test_a_missing_package_is_answered_with_its_pip_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("seqrl.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'seqrl\[behaviours\]'"):
        train("hopper", 10_000, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("installed")
def test_an_unknown_body_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SeqrlError, match=r"'kangaroo'.*halfcheetah, hopper"):
        train("kangaroo", 10_000, tmp_path)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("steps", [0, -10_000, 9_999, 25_000])
def test_steps_that_would_be_lost_are_refused(steps: int, tmp_path: Path) -> None:
    with pytest.raises(SeqrlError, match=r"every 10,000 training steps.*multiple of that"):
        train("hopper", steps, tmp_path)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_the_learner_cannot_take_is_refused(seed: int, tmp_path: Path) -> None:
    with pytest.raises(SeqrlError, match=r"between 0 and"):
        train("hopper", 10_000, tmp_path, seed=seed)


def test_a_used_folder_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    """Two trainings in one folder would give a data set that nobody ever played."""
    place = tmp_path / "hopper"
    place.mkdir()
    write_actor(place / "0020000.safetensors", parameters(0))
    before = (place / "0020000.safetensors").read_bytes()
    with pytest.raises(SeqrlError, match=r"its last actor is 0020000.*another folder"):
        behaviour_training._claim(place, {})
    assert [file.name for file in place.iterdir()] == ["0020000.safetensors"]
    assert (place / "0020000.safetensors").read_bytes() == before


# ---- a whole training, with a learner that learns nothing ----------------------------------------


class Learner:
    """Stands in for SAC: steps its environment as a vector environment does, at random."""

    def __init__(self, _policy: str, environment: LoggedEnvironment, seed: int, **_: Any) -> None:
        """Take what `sbx.SAC` takes."""
        self.environment, self.seed, self.num_timesteps = environment, seed, 0
        self.policy = SimpleNamespace(actor_state=SimpleNamespace(params=parameters(seed)))

    def learn(self, steps: int, callback: Callable[[dict[str, Any], dict[str, Any]], bool]) -> None:
        """Play; an interrupt comes at step 250."""
        generator = np.random.default_rng(self.seed)
        self.environment.reset(seed=self.seed)
        while self.num_timesteps < steps:
            if self.num_timesteps == 250:
                raise KeyboardInterrupt
            action = generator.uniform(-1, 1, 3).astype(np.float32)
            _, _, terminated, truncated, _ = self.environment.step(action)
            if terminated or truncated:
                self.environment.reset()
            self.num_timesteps += 1
            assert callback({}, {})


@pytest.fixture
def learner(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training run with `Learner`."""
    monkeypatch.setitem(sys.modules, "sbx", SimpleNamespace(SAC=Learner))
    monkeypatch.setattr(behaviour_training, "version", lambda package: "0")


@pytest.mark.usefixtures("learner")
def test_a_training_leaves_actors_actions_and_a_log(tmp_path: Path) -> None:
    told = []
    place = train(
        "hopper", 200, tmp_path, seed=5, keep_every=100, progress=lambda *now: told.append(now)
    )

    assert place == tmp_path / "hopper"
    names = ["0000100.safetensors", "0000200.safetensors"]
    assert sorted(file.name for file in place.glob("*.safetensors")) == names
    log = ActionLog.read(place / "actions" / name for name in names)
    assert log.seed == 5 and len(log.actions) == 200
    lines = [json.loads(line) for line in (place / "log.jsonl").read_text().splitlines()]
    assert [line["steps"] for line in lines] == [100, 200]
    assert lines[-1]["episodes"] == (log.terminated | log.timed_out).sum()
    about = json.loads((place / "training.json").read_text())
    assert about["environment"] == "Hopper-v4" and about["recipe"]["train_freq"] == 8
    assert told[-1] == ("training hopper", 200, 200, "steps")
    ActorPolicy.load(place / names[-1])

    with pytest.raises(SeqrlError, match="already holds"):
        train("hopper", 200, tmp_path, keep_every=100)


@pytest.mark.usefixtures("learner")
def test_a_stopped_training_leaves_all_up_to_its_last_actor(tmp_path: Path) -> None:
    """Actions that no kept actor follows, or an actor without its actions, would break a replay."""
    with pytest.raises(KeyboardInterrupt):
        train("hopper", 300, tmp_path, keep_every=100)
    files = sorted((tmp_path / "hopper" / "actions").iterdir())
    assert [file.name for file in files] == ["0000100.safetensors", "0000200.safetensors"]
    log = ActionLog.read(files)
    assert LoggedEnvironment(HOPPER).repeat(log).same_as(log)


@pytest.mark.usefixtures("learner")
def test_a_simulator_that_does_not_repeat_itself_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that cannot be taken again must not be found out a day later."""
    monkeypatch.setattr(ActionLog, "same_as", lambda self, other: False)
    with pytest.raises(DataError, match="does not repeat itself"):
        train("hopper", 200, tmp_path, keep_every=100)
    assert not list((tmp_path / "hopper").glob("*.safetensors"))


# ---- actors --------------------------------------------------------------------------------------


def test_a_kept_actor_acts_as_its_network_does(tmp_path: Path) -> None:
    """Two layers swapped, or a kernel transposed, would still load."""
    network = parameters(1)
    file = tmp_path / "0000008.safetensors"
    write_actor(file, network)
    generator = np.random.default_rng(2)
    seen = generator.normal(size=(50, 11)).astype(np.float32)
    noise = generator.standard_normal((50, 3))

    x = seen.astype(np.float64)
    for layer in ("Dense_0", "Dense_1"):
        x = np.maximum(x @ network["params"][layer]["kernel"] + network["params"][layer]["bias"], 0)
    mean, log_deviation = (
        x @ network["params"][layer]["kernel"] + network["params"][layer]["bias"]
        for layer in ("Dense_2", "Dense_3")
    )
    expected = np.tanh(mean + np.exp(np.clip(log_deviation, -20, 2)) * noise)

    actions, _ = ActorPolicy.load(file).act(seen, noise)
    np.testing.assert_allclose(actions, expected, rtol=0, atol=GRID)
    assert list(tmp_path.iterdir()) == [file]  # nothing half-made beside it


def test_an_actor_of_another_shape_is_refused(tmp_path: Path) -> None:
    """A later sbx that names its layers otherwise must not give actors that load and play badly."""
    network = parameters(1)
    network["params"]["Dense_4"] = network["params"].pop("Dense_3")
    with pytest.raises(DataError, match=r"pip install 'sbx-rl==0\.28"):
        write_actor(tmp_path / "0000008.safetensors", network)
    assert not list(tmp_path.iterdir())


# ---- the action log ------------------------------------------------------------------------------


@pytest.mark.parametrize("body", BODIES)
def test_a_log_taken_again_gives_every_reward_to_the_bit(body: str, tmp_path: Path) -> None:
    task = ENTRIES[f"d4rl/{body}-medium-v2"].task
    pieces = played(task, [700, 700, 700])
    files = [tmp_path / f"{i}.safetensors" for i in range(len(pieces))]
    for piece, file in zip(pieces, files, strict=True):
        piece.write(file)
    log = ActionLog.read(files)
    assert len(log.rewards) == 2100 and log.actions.dtype == np.float32
    assert log.resets[-1] >= 2  # more than one episode, or resetting was not tested

    again = LoggedEnvironment(task).repeat(log)

    assert again.same_as(log)
    ends = np.flatnonzero(log.terminated | log.timed_out)
    assert np.array_equal(np.diff(log.resets).nonzero()[0], ends[ends < 2099])


def test_pieces_can_be_followed_one_by_one() -> None:
    """A training checks its log at every kept actor, in the middle of episodes."""
    fresh = LoggedEnvironment(HOPPER)
    for piece in played(HOPPER, [90, 11, 200]):
        assert fresh.repeat(piece).same_as(piece)


def test_another_initial_state_is_noticed() -> None:
    """Or the proof that a log can be taken again would prove nothing."""
    (log,) = played(HOPPER, [200], seed=3)
    other = LoggedEnvironment(HOPPER)
    other.reset(seed=4)
    assert not np.array_equal(other.repeat(log).rewards, log.rewards)


def test_the_log_counts_returns_of_finished_episodes() -> None:
    environment = LoggedEnvironment(HOPPER)
    (log,) = played(HOPPER, [300])
    environment.repeat(log)
    ends = np.flatnonzero(log.terminated | log.timed_out) + 1
    expected = [piece.sum() for piece in np.split(log.rewards, ends)[:-1]]
    np.testing.assert_allclose(environment.returns, expected)


def test_pieces_of_two_trainings_do_not_make_a_log(tmp_path: Path) -> None:
    for seed in (1, 2):
        played(HOPPER, [20], seed=seed)[0].write(tmp_path / f"{seed}.safetensors")
    with pytest.raises(DataError, match="not the pieces of one training's action log"):
        ActionLog.read(sorted(tmp_path.iterdir()))


def test_a_damaged_piece_is_named(tmp_path: Path) -> None:
    file = tmp_path / "0010000.safetensors"
    file.write_bytes(b"not a log")
    with pytest.raises(DataError, match=r"0010000\.safetensors is not a piece"):
        ActionLog.read([file])


# ---- measuring -----------------------------------------------------------------------------------


def test_measuring_a_shipped_actor_leaves_its_returns(tmp_path: Path) -> None:
    place = tmp_path / "hopper"
    place.mkdir()
    shutil.copy(FOLDER / "hopper" / "0030000.safetensors", place)
    (measured,) = measure(place, 3)

    assert (measured.steps, measured.episodes) == (30_000, 3)
    assert measured.return_min <= measured.return_mean <= measured.return_max
    assert measured.score_mean == HOPPER.score(measured.return_mean)
    assert 100 < measured.return_mean < 1000  # it hops, and is no expert
    with (place / "returns.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["steps"] == "30000" and float(row["return_mean"]) == round(measured.return_mean, 2)
    assert measure(place, 3) == [measured]


@pytest.mark.parametrize("name", ["hopper", "elsewhere"])
def test_a_folder_without_actors_of_a_body_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SeqrlError, match="not a folder of kept actors"):
        measure(tmp_path / name)


# ---- the command ---------------------------------------------------------------------------------


def test_the_command_shows_what_it_measured(tmp_path: Path, seqrl: Callable[..., Any]) -> None:
    place = tmp_path / "hopper"
    place.mkdir()
    shutil.copy(FOLDER / "hopper" / "0030000.safetensors", place)
    ended = seqrl("behaviours", "measure", place, "--episodes", 2)
    assert ended.status == 0 and "30,000" in ended.out and str(place / "returns.csv") in ended.out


def test_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seqrl: Callable[..., Any]
) -> None:
    monkeypatch.setattr("seqrl.errors.find_spec", lambda name: None)
    ended = seqrl("behaviours", "train", "hopper", "--out", tmp_path / "out")
    assert ended.status == 2 and "pip install 'seqrl[behaviours]'" in ended.err
