"""Published checkpoints in, ours out: the same actions on both sides, or a refusal with its why."""

import json
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import DecisionTransformerConfig, DecisionTransformerModel

from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.errors import SeqrlError
from seqrl.evaluation import environment_seed
from seqrl.policy import Policy
from seqrl.runs.exchange import export, imported
from seqrl.runs.statistics import Statistics, given, measured
from seqrl.tasks.environment import Environments
from tests import toy
from tests.conftest import Ended
from tests.playing import SMALL, trained
from tests.runs.making import small, toy_source, write_policy

Run = Callable[..., Ended]


@pytest.fixture
def checkpoint(seqrl: Run, tmp_path: Path) -> Path:
    return Path(trained(seqrl, tmp_path, "DT", *SMALL, updates=20)["file"])


@torch.no_grad()
def looped(model: Any, policy: Policy, seed: int) -> float:
    """Play one episode as the documents of the published class say: the whole past, the last
    `context_steps` of it, filled before; the return of it."""
    task, said = policy.task, model.config.seqrl
    mean, std = torch.tensor(said["observation_mean"]), torch.tensor(said["observation_std"])
    scale, wanted = said["return_scale"], said["facts"]["target_return"]
    world = Environments(task, 1)
    states = torch.tensor(np.array(world.start([seed])), dtype=torch.float32)
    actions = torch.zeros(0, task.action_width)
    returns_to_go, total, over = torch.tensor([[wanted / scale]]), 0.0, False
    while not over:
        actions = torch.cat([actions, torch.zeros(1, task.action_width)])
        size = said["context_steps"]
        inputs: dict[str, Tensor] = {
            "states": (states - mean) / std,
            "actions": actions,
            "returns_to_go": returns_to_go,
            "timesteps": torch.arange(len(states)),
            "attention_mask": torch.ones(len(states), dtype=torch.long),
        }
        last = {name: values[-size:] for name, values in inputs.items()}
        filled = {
            name: torch.cat([v.new_zeros(size - len(v), *v.shape[1:]), v])[None]
            for name, v in last.items()
        }
        actions[-1] = model(**filled, rewards=None, return_dict=True).action_preds[0, -1]
        outcome = world.step(actions[-1:].numpy())
        total += float(outcome.rewards[0])
        over = bool(outcome.terminated[0] or outcome.timed_out[0])
        states = torch.cat([states, torch.tensor(outcome.observations, dtype=torch.float32)])
        still = torch.tensor([[(wanted - total) / scale]])
        returns_to_go = torch.cat([returns_to_go, still])
    return total


def test_transformers_plays_what_we_export(seqrl: Run, checkpoint: Path, tmp_path: Path) -> None:
    """A model that is published with our score must have it."""
    folder = tmp_path / "published"
    ended = seqrl("export-hf", checkpoint, folder)
    assert ended.status == 0 and str(folder) in ended.out, ended.err
    theirs = DecisionTransformerModel.from_pretrained(folder)
    theirs.train(False)
    policy = Policy.load(checkpoint)
    played = json.loads(seqrl("play", checkpoint, "--episodes", 4, "--json").out)["episodes"]
    for number, episode in enumerate(played):
        seed = environment_seed(0, policy.task, number)
        assert looped(theirs, policy, seed) == pytest.approx(episode["return"], abs=1e-3)
    for unused in (theirs.predict_state, theirs.predict_return, theirs.encoder.wpe):
        assert all(not weight.any() for weight in unused.parameters())
    other = seqrl("play", checkpoint, "--episodes", 4, "--target", 900, "--json").out
    assert json.loads(other)["return"] != pytest.approx(np.mean([e["return"] for e in played]))


def test_the_card_plays_it(
    seqrl: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What people copy from a card must run, and be of the numbers above it."""
    export(checkpoint, tmp_path)
    card = (tmp_path / "README.md").read_text()
    for said in ("file/small+", "Hopper-v4", "20 updates", "protocol 1", "3 episodes", "Score "):
        assert said in card, said
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"print": lambda total: None}
    policy = Policy.load(checkpoint)
    with warnings.catch_warnings():  # that v4 is old
        warnings.simplefilter("ignore", DeprecationWarning)
        exec(code, names)
        world = gymnasium.make(policy.task.environment)
    seen, _ = world.reset(seed=0)
    total, heard, over = 0.0, None, False
    while not over:
        seen, reward, terminated, truncated, _ = world.step(policy.act(seen, heard))
        heard, over = float(reward), terminated or truncated
        total += heard
    assert names["total"] == pytest.approx(total, abs=1e-3)
    loose = tmp_path / "loose.safetensors"
    loose.write_bytes(checkpoint.read_bytes())
    export(loose, tmp_path)
    assert "No record of an evaluation" in (tmp_path / "README.md").read_text()


def test_what_we_exported_comes_back(seqrl: Run, checkpoint: Path, tmp_path: Path) -> None:
    """Out and in again must be the same policy, with the statistics it was trained with."""
    folder, back = tmp_path / "published", tmp_path / "back.safetensors"
    export(checkpoint, folder)
    task = Policy.load(checkpoint).task.name
    ended = seqrl("import-hf", folder, "--task", task, "--out", back)
    assert ended.status == 0, ended.err
    chosen = ("--episodes", 3, "--json")
    was, now = (json.loads(seqrl("play", f, *chosen).out) for f in (checkpoint, back))
    assert now["episodes"] == was["episodes"] and now["fingerprint"] == was["fingerprint"]
    assert now["imported"].startswith("published, observations standardised as written")
    assert "imported from published" in seqrl("play", back, "--episodes", 1).out
    table = seqrl("targets", back, "--targets", "0,100", "--episodes", 1, "--json")
    assert table.status == 0, table.err
    wrong = seqrl("import-hf", folder, "--task", "hopper-medium", "--out", back)
    assert wrong.status == 2 and f"was trained on {task}, not on hopper-medium" in wrong.err


def theirs_of(**fields: Any) -> Any:
    """A published model with random weights, the constant position among them."""
    config = DecisionTransformerConfig(
        **{"state_dim": 3, "act_dim": 2, "hidden_size": 16, "n_head": 2, "max_ep_len": 40} | fields
    )
    model = DecisionTransformerModel(config)
    model.train(False)
    with torch.no_grad():
        for index, weight in enumerate(model.parameters()):
            weight.normal_(std=0.3, generator=torch.Generator().manual_seed(index))
    return model


def save(theirs: Any, folder: Path) -> None:
    """Write it, with the `max_length` that older releases wrote and today's refuses to."""
    theirs.save_pretrained(folder)
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "max_length": 5}))


def toy_statistics() -> Statistics:
    source = toy_source()
    found = measured(source.task.name)
    mean, deviation = np.array([0.3, -0.1, 0.2]), np.array([0.7, 1.1, 0.4])
    return replace(
        found, mean=mean.astype(np.float32), deviation=deviation.astype(np.float32), source="a test"
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"activation_function": "gelu", "n_layer": 1, "n_inner": 7},
        {"scale_attn_weights": False},
        {"scale_attn_by_inverse_layer_idx": True, "activation_function": "silu"},
    ],
    ids=str,
)
def test_a_published_model_acts_the_same_here(fields: dict[str, Any], tmp_path: Path) -> None:
    """The constant vector behind their embedding norm is easily forgotten."""
    theirs, statistics = theirs_of(**fields), toy_statistics()
    save(theirs, tmp_path)
    from seqrl.huggingface import DecisionTransformerModel as Ours

    agent, model = imported(Ours.from_pretrained(tmp_path), statistics, ["return_scale=10"])
    assert agent.context_steps == 5 and agent.target == "best_in_data"
    policy = Policy(agent, model, statistics.task, {})
    config = theirs.config
    config.seqrl = {**statistics.plain(), "return_scale": 10.0, "context_steps": 5}
    config.seqrl["facts"] = {"target_return": statistics.data.best_return}
    returns = []
    for seed in (1, 2, 3):
        world = Environments(statistics.task, 1)
        seen, reward, total, over = world.start([seed])[0], None, 0.0, False
        while not over:
            outcome = world.step(policy.act(seen, reward)[None])
            seen, reward = outcome.observations[0], float(outcome.rewards[0])
            over = bool(outcome.terminated[0] or outcome.timed_out[0])
            total += reward
        policy.reset()
        assert looped(theirs, policy, seed) == pytest.approx(total, abs=1e-4)
        returns.append(total)
    assert len(set(returns)) == 3


def test_what_cannot_be_played_is_named(tmp_path: Path) -> None:
    """Another network under a published name would be worse than none."""
    from seqrl.huggingface import DecisionTransformerModel as Ours

    statistics = toy_statistics()
    cases: dict[str, dict[str, Any]] = {
        "state_dim is 4, and must be 3": {"state_dim": 4},
        "act_dim is 1, and must be 2": {"act_dim": 1},
        "action_tanh is False": {"action_tanh": False},
        "layer_norm_epsilon is 0.001": {"layer_norm_epsilon": 1e-3},
        "attn_pdrop is 0.3": {"attn_pdrop": 0.3},
        "reorder_and_upcast_attn is True": {"reorder_and_upcast_attn": True},
        "max_ep_len is 7": {"max_ep_len": 7},
    }
    for number, (said, fields) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        save(theirs_of(**fields), folder)
        with pytest.raises(SeqrlError, match=said):
            imported(Ours.from_pretrained(folder), statistics, [])
    save(theirs_of(), tmp_path)
    published = Ours.from_pretrained(tmp_path)
    with pytest.raises(SeqrlError, match="--set cannot change it"):
        imported(published, statistics, ["network.layers=1"])
    wide = replace(statistics.task, action_high=(2.0, 2.0))
    with pytest.raises(SeqrlError, match="not bounded by -1 and 1"):
        imported(published, replace(statistics, task=wide), [])


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    """Only the published layout, and only networks that the published class can hold."""
    source = toy_source()
    file = tmp_path / "policy.safetensors"
    write_policy(small(BehaviourCloning), source, file)
    with pytest.raises(SeqrlError, match="BehaviourCloning cannot be exported"):
        export(file, tmp_path / "out")
    agent = small(DecisionTransformer)
    assert isinstance(agent, DecisionTransformer)
    for said, network in {
        "normalise_embeddings is False": replace(agent.network, normalise_embeddings=False),
        "norm_eps is 0.001": replace(agent.network, norm_eps=1e-3),
    }.items():
        write_policy(replace(agent, network=network), source, file)
        with pytest.raises(SeqrlError, match=said):
            export(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_statistics_come_from_the_right_data_or_from_nowhere(seqrl: Run, tmp_path: Path) -> None:
    """Means of other data give other actions, and nobody would see it."""
    save(theirs_of(state_dim=11, act_dim=3, max_ep_len=1000), tmp_path / "hopper")
    command = ("import-hf", tmp_path / "hopper", "--out", tmp_path / "out.safetensors", "--task")
    for task in ("hopper-medium", "seqrl/hopper-medium-v1"):
        ended = seqrl(*command, task)
        assert ended.status == 2 and "no published checkpoint was trained on that" in ended.err
        assert "--mean and --std" in ended.err
    values = ",".join(["0.5"] * 11)
    assert "both --mean and --std" in seqrl(*command, "hopper-medium", "--mean", values).err
    np.save(tmp_path / "std.npy", np.full(11, 2.0))
    (tmp_path / "mean.json").write_text(json.dumps([0.25] * 11))
    ended = seqrl(
        *command, "hopper-medium", "--mean", tmp_path / "mean.json", "--std", tmp_path / "std.npy",
        "--json",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    assert found["observation_mean"] == [0.25] * 11 and found["observation_std"] == [2.0] * 11
    assert found["data"]["name"] == "d4rl/hopper-medium-v2" and found["data"]["fingerprint"] == ""
    assert found["data"]["best_return"] == 3222.4
    played = seqrl("play", tmp_path / "out.safetensors", "--episodes", 1)
    assert "content not seen here" in played.out and "given by --mean and --std" in played.out

    np.save(tmp_path / "objects.npy", np.array([{}], object))
    for std, said in {
        values.replace("0.5", "0"): "above zero",
        "1,2,3": "there are 3 deviations",
        "a,b": "say numbers",
        str(tmp_path / "objects.npy"): "say numbers",
        str(tmp_path / "none.npy"): "reading statistics",
    }.items():
        ended = seqrl(*command, "hopper-medium", "--mean", values, "--std", std)
        assert ended.status == 2 and said in ended.err, (std, ended.err)
    with pytest.raises(SeqrlError, match="Nothing is published of the content"):
        given("hopper-medium-expert", values, values)


def test_data_that_is_here_is_measured() -> None:
    """Whoever has the data has the statistics."""
    found = measured(toy_source().task.name)
    seen = np.concatenate([episode["observations"] for episode in toy.episodes()])
    assert found.mean == pytest.approx(seen.mean(0), abs=1e-5)
    assert found.deviation == pytest.approx(seen.std(0), abs=1e-5)
    assert found.task.environment == toy.ENVIRONMENT and found.data.fingerprint
