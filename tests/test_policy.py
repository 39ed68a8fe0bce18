"""The door for notebooks: `Policy.load(checkpoint).act(observation, reward)`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.errors import SeqrlError
from seqrl.policy import Policy
from seqrl.training.checkpoint import read_checkpoint, write_checkpoint
from tests.runs.making import small, toy_source, write_policy


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    file = tmp_path / "dt.safetensors"
    write_policy(small(DecisionTransformer, target=12.5), toy_source(), file)
    return file


def test_an_episode_by_hand(checkpoint: Path) -> None:
    """A second episode must not remember the first."""
    import seqrl

    policy = seqrl.Policy.load(checkpoint)
    assert policy.agent.facts(policy.model.tokenizer.data)["target_return"] == 12.5
    first = [policy.act(np.zeros(3)), policy.act(np.ones(3), 1.0), policy.act(np.ones(3), 2.0)]
    assert all(action.shape == (2,) and action.dtype == np.float32 for action in first)
    policy.reset()
    again = [policy.act(np.zeros(3)), policy.act(np.ones(3), 1.0), policy.act(np.ones(3), 2.0)]
    np.testing.assert_array_equal(again, first)
    other = policy.asking(-3000.0)
    assert not np.array_equal(other.act(np.zeros(3)), first[0])


def test_misuse_is_told(checkpoint: Path) -> None:
    """A reward in the wrong place shifts everything the agent believes it was given."""
    policy = Policy.load(checkpoint)
    with pytest.raises(SeqrlError, match="before any action"):
        policy.act(np.zeros(3), 1.0)
    with pytest.raises(SeqrlError, match=r"shape \[4\]; file/toy.* shows \[3\]"):
        policy.act(np.zeros(4))
    policy.act(np.zeros(3))
    with pytest.raises(SeqrlError, match="is missing"):
        policy.act(np.zeros(3))
    for _ in range(11):
        policy.act(np.zeros(3), 0.0)
    with pytest.raises(SeqrlError, match="ends after 12 steps"):
        policy.act(np.zeros(3), 0.0)


def test_files_that_are_no_checkpoints(checkpoint: Path, tmp_path: Path) -> None:
    """Each with a sentence: a traceback from inside a library helps nobody."""
    whole = checkpoint.read_bytes()
    cases = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"hello, this is no checkpoint at all",
        "zip": b"PK\x03\x04" + bytes(100),
    }
    for name, content in cases.items():
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(SeqrlError, match="not a whole safetensors file"):
            Policy.load(file)
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(SeqrlError, match="not a checkpoint of seqrl"):
        Policy.load(tmp_path / "other.safetensors")
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(SeqrlError, match="reading a checkpoint"):
            Policy.load(missing)
    for device in ("gpu", "cpu:x", "", *(["cuda"] if not torch.cuda.is_available() else [])):
        with pytest.raises(SeqrlError, match=r"cuda or cuda:1|no GPU here"):
            Policy.load(tmp_path / "other.safetensors", device)


def test_a_checkpoint_that_says_something_else(checkpoint: Path, tmp_path: Path) -> None:
    """Weights of one network in another, or any class at all, must not be taken."""
    tensors, about = read_checkpoint(checkpoint)
    about.pop("format")
    wrong = tmp_path / "wrong.safetensors"
    changes: dict[str, dict[str, Any]] = {
        "is not a kind of Agent": {"agent": {"is": "subprocess:Popen"}},
        "no module 'nowhere'": {"agent": {"is": "nowhere:Agent"}},
        "another layout": {"layout": "TokenLayout(...)"},
        "something is missing": {"task": {}},
        "has no field 'colour'": {"agent": {**about["agent"], "colour": "red"}},
    }
    for said, change in changes.items():
        write_checkpoint(wrong, tensors, {**about, **change})
        with pytest.raises(SeqrlError, match=said):
            Policy.load(wrong)
    fewer = {name: tensor for name, tensor in tensors.items() if "norm" not in name}
    write_checkpoint(wrong, fewer, about)
    with pytest.raises(SeqrlError, match="something is missing or does not fit"):
        Policy.load(wrong)
