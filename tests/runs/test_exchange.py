"""Published checkpoints in, ours out: the same actions on both sides, or a refusal with its why."""

import json
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from seqrl.tokens.tokenizer import DataFacts
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
    scale, wanted = said["return_scale"], said["target_return"]
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
        seed = environment_seed(0, policy.task.name, number)
        assert looped(theirs, policy, seed) == pytest.approx(episode["return"], abs=1e-3)
    for unused in (theirs.predict_state, theirs.predict_return, theirs.encoder.wpe):
        assert all(not weight.any() for weight in unused.parameters())
    other = seqrl("play", checkpoint, "--episodes", 4, "--target", 900, "--json").out
    assert json.loads(other)["return"] != pytest.approx(np.mean([e["return"] for e in played]))


def assert_card_plays(
    folder: Path, checkpoint: Path, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run the code on a card, and the policy itself on the same episode: they get the same."""
    card = (folder / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"print": lambda total: None}
    exec(code, names)
    policy, world = Policy.load(checkpoint), gymnasium.make(environment)
    seen, _ = world.reset(seed=0)
    total, heard, over = 0.0, None, False
    while not over:
        seen, reward, terminated, truncated, _ = world.step(policy.act(seen, heard))
        heard, over = float(reward), terminated or truncated
        total += heard
    assert names["total"] == pytest.approx(total, abs=1e-3)


def test_the_card_plays_it(
    seqrl: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What people copy from a card must run, and be of the numbers above it."""
    folder = tmp_path / "published"
    export(checkpoint, folder)
    card = (folder / "README.md").read_text()
    for said in ("file/small+", "Hopper-v4", "20 updates", "protocol", "3 episodes", "Score "):
        assert said in card, said
    with warnings.catch_warnings():  # that v4 is old
        warnings.simplefilter("ignore", DeprecationWarning)
        assert_card_plays(folder, checkpoint, "Hopper-v4", monkeypatch)
    loose = tmp_path / "loose.safetensors"
    loose.write_bytes(checkpoint.read_bytes())
    export(loose, tmp_path / "loose")
    assert "No record of an evaluation" in (tmp_path / "loose" / "README.md").read_text()
    # A record of other weights under the same name says nothing of these.
    record = checkpoint.with_suffix(".json")
    plain = json.loads(record.read_text())
    plain["checkpoint"]["sha256"] = "0" * 64
    record.write_text(json.dumps(plain))
    export(checkpoint, tmp_path / "other")
    assert "No record of an evaluation" in (tmp_path / "other" / "README.md").read_text()


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
    for other in ("hopper-medium", f"{task}+delayed", f"{task}@v5"):
        wrong = seqrl("import-hf", folder, "--task", other, "--out", back)
        assert wrong.status == 2 and f"was trained on {task}, and --task {other} is" in wrong.err
    given = ("--mean", "1,2", "--std", "1,2")
    wrong = seqrl("import-hf", folder, "--task", task, *given, "--out", back)
    assert wrong.status == 2 and "says its statistics itself" in wrong.err
    wrong = seqrl("import-hf", folder, "--task", task, "--out", tmp_path)
    assert wrong.status == 2 and "ends in .safetensors" in wrong.err


def test_how_it_is_played_comes_back_too(seqrl: Run, tmp_path: Path) -> None:
    """Target, context and scale: what is not in the published files would be guessed."""
    chosen = ("target=123", "return_scale=50")
    ours = Path(trained(seqrl, tmp_path, "DT", *SMALL, *chosen)["file"])
    folder, back = tmp_path / "published", tmp_path / "back.safetensors"
    export(ours, folder)
    theirs = DecisionTransformerModel.from_pretrained(folder)
    theirs.save_pretrained(folder)  # drops max_length
    assert "max_length" not in json.loads((folder / "config.json").read_text())
    task = Policy.load(ours).task.name
    assert seqrl("import-hf", folder, "--task", task, "--out", back).status == 0
    was, now = Policy.load(ours).agent, Policy.load(back).agent
    assert isinstance(was, DecisionTransformer) and isinstance(now, DecisionTransformer)
    for name in ("target", "context_steps", "return_scale", "network"):
        assert getattr(now, name) == getattr(was, name), name
    other = tmp_path / "other.safetensors"
    command = ("import-hf", folder, "--task", task, "--out", other)
    assert seqrl(*command, "--set", "target=7", "--set", "context_steps=2").status == 0
    agent = Policy.load(other).agent
    assert isinstance(agent, DecisionTransformer)
    assert (agent.target, agent.context_steps, agent.return_scale) == (7, 2, 50)
    export(other, tmp_path / "again")
    card = (tmp_path / "again" / "README.md").read_text()
    assert "Imported by seqrl from published" in card and "were not kept" in card


HOSTILE: dict[str, Any] = {
    "a class": {"data": {"is": "tests.runs.payload:X"}},
    "a class of all": {"is": "tests.runs.payload:X"},
    "no mean": {"observation_mean": 1.0},
    "a mean of texts": {"observation_mean": ["1"] * 11},
    "huge": {"return_scale": 10**400},
    "a text": {"context_steps": "5"},
    "another name": {"task": 3},
    "no facts": {"data": None},
    "facts of another type": {"data": {"best_return": "x"}},
    "another horizon": {"data": {"horizon": 5}},
    "an unknown rule": {"target": "the_best"},
    "an environment": {"environment": "tests.runs.payload:Hopper-v4"},
    "few means": {"observation_mean": [1.0]},
    "no deviation": {"observation_std": [0.0] * 11},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_folder_that_says_something_else(
    case: str, seqrl: Run, checkpoint: Path, tmp_path: Path
) -> None:
    """A folder may come from anywhere: what it says is checked, and none of it is run."""
    folder = tmp_path / "published"
    export(checkpoint, folder)
    file = folder / "config.json"
    config = json.loads(file.read_text())
    for name, value in HOSTILE[case].items():
        inner = config["seqrl"].get(name)
        both = isinstance(inner, dict) and isinstance(value, dict)
        config["seqrl"][name] = {**inner, **value} if both else value
    file.write_text(json.dumps(config))
    task = Policy.load(checkpoint).task.name
    ended = seqrl("import-hf", folder, "--task", task, "--out", tmp_path / "out.safetensors")
    assert ended.status == 2 and ended.err.startswith("seqrl: "), ended.err
    assert not (tmp_path / "out.safetensors").exists() and "payload" not in sys.modules


def test_nothing_else_is_overwritten(seqrl: Run, checkpoint: Path, tmp_path: Path) -> None:
    """`export-hf C .` in a project would take the place of its README."""
    folder = tmp_path / "other"
    folder.mkdir()
    assert seqrl("export-hf", checkpoint, folder).status == 0, "an empty folder is free"
    weights = (folder / "model.safetensors").read_bytes()
    assert seqrl("export-hf", checkpoint, folder).status == 0, "an earlier export is replaced"
    assert (folder / "model.safetensors").read_bytes() == weights, "and by the same bits"
    assert sorted(file.name for file in folder.iterdir()) == [
        "README.md", "config.json", "model.safetensors",
    ]  # fmt: skip
    (folder / "notes.txt").write_text("precious")
    ended = seqrl("export-hf", checkpoint, folder)
    assert ended.status == 2 and "stays as it is" in ended.err
    theirs = tmp_path / "theirs"
    theirs_of().save_pretrained(theirs)
    assert seqrl("export-hf", checkpoint, theirs).status == 2
    file = tmp_path / "file"
    file.write_text("x")
    assert "name a folder" in seqrl("export-hf", checkpoint, file).err
    assert not list(tmp_path.glob(".*published*")) and not list(tmp_path.glob(".*other*"))


def test_an_export_is_whole_or_not_there(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of one model beside the statistics of another would be played."""
    folder = tmp_path / "published"
    export(checkpoint, folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def fails(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("seqrl.runs.model_card.model_card", fails)
    with pytest.raises(KeyboardInterrupt):
        export(checkpoint, folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert not list(tmp_path.glob(".*.published"))


def test_the_card_of_rewards_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever hears of no reward before the end must not count it."""
    source, agent = toy_source("+delayed"), small(DecisionTransformer)
    assert isinstance(agent, DecisionTransformer)
    file = tmp_path / "policy.safetensors"
    write_policy(replace(agent, return_scale=1.0), source, file)
    export(file, tmp_path / "out")
    assert_card_plays(tmp_path / "out", file, "Toy-v0", monkeypatch)


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
    config.seqrl = {
        "observation_mean": statistics.mean.tolist(),
        "observation_std": statistics.deviation.tolist(),
        "return_scale": 10.0,
        "context_steps": 5,
        "target_return": statistics.data.best_return,
    }
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
    for change in ("network.layers=1", "training.updates=3", "help"):
        with pytest.raises(SeqrlError, match="the rest is as its files have it"):
            imported(published, statistics, [change])
    wide = replace(statistics.task, action_high=(2.0, 2.0))
    with pytest.raises(SeqrlError, match="not bounded by -1 and 1"):
        imported(published, replace(statistics, task=wide), [])


@dataclass(frozen=True, kw_only=True)
class Mute(DecisionTransformer):
    """Says nothing of its target."""

    def facts(self, data: DataFacts) -> dict[str, Any]:
        """Say nothing."""
        return {}


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    """Only the published layout, and only networks that the published class can hold."""
    source = toy_source()
    file = tmp_path / "policy.safetensors"
    write_policy(small(BehaviourCloning), source, file)
    with pytest.raises(SeqrlError, match="BehaviourCloning cannot be exported"):
        export(file, tmp_path / "out")
    write_policy(small(Mute), source, file)
    with pytest.raises(SeqrlError, match="what to ask it for"):
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
    np.save(tmp_path / "complex.npy", np.full(11, 1j))
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for std, said in {
        values.replace("0.5", "0"): "1e-06 or more; number 1 is 0",
        values.replace("0.5", "1e-40"): "1e-06 or more",
        values.replace("0.5", "NaN", 1): "must be finite; number 1 is nan",
        values.replace("0.5", "true"): "reading --std",
        "1,2,3": "There are 3 deviations",
        "a,b": "reading --std",
        "": "reading --std",
        str(tmp_path): "reading --std",
        str(tmp_path / "objects.npy"): "say numbers",
        str(tmp_path / "complex.npy"): "say numbers",
        str(tmp_path / "empty.npy"): "say numbers",
        str(tmp_path / "deep.json"): "say numbers",
        str(tmp_path / "none.npy"): "reading --std",
        "x" * 5000: "reading --std",
    }.items():
        ended = seqrl(*command, "hopper-medium", "--mean", values, "--std", std)
        assert ended.status == 2 and said in ended.err, (std, ended.err)
    for task in ("hopper-medium-expert", "seqrl/hopper-medium-v1"):
        with pytest.raises(SeqrlError, match="Nothing is published of the content"):
            given(task, values, values)
    with pytest.raises(SeqrlError, match=r"'hopper-mediun'.*Did you mean"):
        given("hopper-mediun", values, values)
    long = ",".join(["-0.123456789012345678"] * 17)
    assert given("walker2d-medium", long, long.replace("-", "")).mean.shape == (17,)
    newer = given("hopper-medium+delayed@v5", values, values)
    assert newer.task.environment == "Hopper-v5" and newer.task.rewards_at_end
    assert newer.data.name == newer.task.name == "d4rl/hopper-medium-v2+delayed@v5"


def test_data_that_is_here_is_measured() -> None:
    """Whoever has the data has the statistics."""
    found = measured(toy_source().task.name)
    seen = np.concatenate([episode["observations"] for episode in toy.episodes()])
    assert found.mean == pytest.approx(seen.mean(0), abs=1e-5)
    assert found.deviation == pytest.approx(seen.std(0), abs=1e-5)
    assert found.task.environment == toy.ENVIRONMENT and found.data.fingerprint
