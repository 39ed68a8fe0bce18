"""The Markov model beside a checkpoint: what it is, and that it is trained once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.errors import DataError
from seqrl.policy import Policy
from seqrl.runs.markov import markov_agent, markov_of
from seqrl.runs.run import run_one
from seqrl.runs.source import Source
from tests.runs.making import EVALUATION, small, spec_of, toy_source


@pytest.fixture
def source() -> Source:
    return toy_source()


def agent(**given: Any) -> TrajectoryTransformer:
    made = small(TrajectoryTransformer)
    assert isinstance(made, TrajectoryTransformer)
    return replace(made, training=replace(made.training, updates=12, batch=4), **given)


def run(made: TrajectoryTransformer, source: Source, results: Path) -> Policy:
    """Train it with seed 3."""
    spec = spec_of(made, source, seed=3, evaluation=replace(EVALUATION, episodes=1))
    return Policy.load(run_one(spec, source, results=results, device="cpu")[1].checkpoint)


def test_it_is_an_ordinary_run_of_a_short_window(source: Source, tmp_path: Path) -> None:
    """With another seed, budget, network or other bins it would be another comparison."""
    policy = run(agent(), source, tmp_path / "a")
    found = markov_of(policy, tmp_path / "m.safetensors").policy
    short = found.agent
    assert isinstance(short, TrajectoryTransformer) and short.window_steps == 2
    assert replace(short, window_steps=4, search=agent().search) == agent()
    ordinary = run(markov_agent(agent()), source, tmp_path / "b")
    for name, weight in ordinary.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], weight), name
    for name, edges in ordinary.model.tokenizer.edges.items():
        assert (found.model.tokenizer.edges[name] == edges).all()
    assert found.about["seed"] == 3 and found.about["updates"] == 12


def test_it_is_trained_once(
    source: Source,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Days of training must not begin again with each figure; nor one of other settings be taken
    for it."""
    policy, file = run(agent(), source, tmp_path / "a"), tmp_path / "m.safetensors"
    first = markov_of(policy, file)
    assert {place.name for place in tmp_path.iterdir()} == {"a", "home", "m.safetensors"}
    with monkeypatch.context() as patch:
        patch.setenv("SEQRL_HOME", str(tmp_path / "empty"))  # no data, and none is needed
        assert markov_of(policy, file).sha256 == first.sha256
    other = run(agent(action_weight=2.0), source, tmp_path / "b")
    assert markov_of(other, file).sha256 != first.sha256 and "training it again" in caplog.text


def test_killed_it_goes_on(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits as without the kill, and not from the beginning."""
    policy = run(agent(), source, tmp_path / "a")
    whole = markov_of(policy, tmp_path / "whole.safetensors")
    monkeypatch.setattr("seqrl.training.trainer.SAVE_SECONDS", 0.0)
    heard: list[float] = []

    def progress(doing: str, done: float, total: float, unit: str, note: str = "") -> None:
        assert doing == "training the Markov model"
        heard.append(done)
        if heard == [1, 2, 3, 4, 5]:
            raise KeyboardInterrupt

    file = tmp_path / "m.safetensors"
    with pytest.raises(KeyboardInterrupt):
        markov_of(policy, file, progress=progress)
    assert not file.exists()
    assert markov_of(policy, file, progress=progress).sha256 == whole.sha256
    assert heard == [1, 2, 3, 4, 5, *range(6, 13)]


def test_other_data_than_the_checkpoints_is_refused(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model of other data beside it would be compared with it."""
    policy, file = run(agent(), source, tmp_path / "a"), tmp_path / "m.safetensors"
    tokenizer = policy.model.tokenizer
    other = replace(tokenizer, data=replace(tokenizer.data, fingerprint="0" * 64))
    policy.model.tokenizer = other
    with pytest.raises(DataError, match=r"fingerprint 00000000, and here .*--without-markov"):
        markov_of(policy, file)
    policy.model.tokenizer = tokenizer
    monkeypatch.setenv("SEQRL_HOME", str(tmp_path / "empty"))
    with pytest.raises(DataError, match=r"file/toy\+.* is not on this machine.*--without-markov"):
        markov_of(policy, file)
    assert not file.exists()
