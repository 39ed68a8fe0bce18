"""Checkpoints of the Trajectory Transformer: the published ones, ours, its authors'; examples."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import seqrl.huggingface
from seqrl.errors import DataError, SeqrlError
from seqrl.huggingface import TrajectoryTransformerConfig, TrajectoryTransformerModel
from tests.huggingface.published import CASES, KNOWN, close, model, under, weights

CASE = 0


def _same(have: TrajectoryTransformerModel, case: int) -> None:
    """Hold a model against what the published one of that case computed."""
    assert not have.training
    close(have(**under(f"{case}/0/given/"))[1], under(f"{case}/0/output/")["1"])


def _folder(folder: Path, case: int = CASE) -> Path:
    """Write config.json as transformers 4.30.0 does."""
    plain = {"architectures": ["TrajectoryTransformerModel"], "torch_dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(KNOWN["cases"][case]["config"] | plain))
    return folder


@pytest.mark.parametrize("case", CASES)
def test_what_we_save_has_their_names_and_shapes(case: int, tmp_path: Path) -> None:
    model(case).save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    want = KNOWN["cases"][case]["tensors"]
    assert {name: list(tensor.shape) for name, tensor in saved.items()} == want
    for name, tensor in under(f"{case}/weights/").items():
        assert saved[name].equal(tensor)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["TrajectoryTransformerModel"]
    assert config.items() >= KNOWN["cases"][case]["config"].items()
    _same(TrajectoryTransformerModel.from_pretrained(tmp_path), case)


def test_the_masks_we_save_are_theirs(tmp_path: Path) -> None:
    """Their class takes the mask from the file, so a wrong one would change what it computes."""
    made = model(CASE)
    made.save_pretrained(tmp_path)
    mask = load_file(tmp_path / "model.safetensors")["blocks.0.attn.mask"]
    size, step = made.config.block_size, made.config.transition_dim
    for query in range(size):
        for key in range(size):
            seen = key <= query and key % step != step - 1
            assert mask[0, 0, query, key] == float(seen)


@pytest.mark.parametrize("pickled", [False, True])
def test_reads_what_they_save(pickled: bool, tmp_path: Path) -> None:
    """Their masks, which a file may hold or not, say nothing that the configuration does not."""
    folder = _folder(tmp_path)
    if pickled:
        torch.save(weights(CASE), folder / "pytorch_model.bin")
    else:
        save_file(weights(CASE), folder / "model.safetensors")
    _same(TrajectoryTransformerModel.from_pretrained(folder), CASE)


def test_reads_a_folder_without_masks(tmp_path: Path) -> None:
    save_file(under(f"{CASE}/weights/"), _folder(tmp_path) / "model.safetensors")
    _same(TrajectoryTransformerModel.from_pretrained(tmp_path), CASE)


def test_a_damaged_folder_is_refused_by_the_name_of_the_tensor(tmp_path: Path) -> None:
    tensors = under(f"{CASE}/weights/")
    tensors["head.weight"] = tensors["head.weight"][:, 1:].clone()
    del tensors["blocks.1.attn.key.bias"]
    save_file(tensors, _folder(tmp_path) / "model.safetensors")
    with pytest.raises(DataError, match=r"missing: blocks\.1\.attn\.key\.bias") as refused:
        TrajectoryTransformerModel.from_pretrained(tmp_path)
    assert "head.weight is [8, 6, 4] and must be [8, 7, 4]" in str(refused.value)


def _authors(case: int) -> dict[str, Tensor]:
    """Name the weights as the authors' own code does."""
    inner = {".l1.": ".mlp.0.", ".l2.": ".mlp.2."}
    named = {}
    for name, tensor in weights(case).items():
        for theirs, authors in inner.items():
            name = name.replace(theirs, authors)
        named[name] = tensor
    return named


def _asked(case: int) -> dict[str, Any]:
    config = KNOWN["cases"][case]["config"]
    return {name: config[name] for name in ("action_dim", "n_head")}


@pytest.mark.parametrize("case", [n for n in CASES if n != len(CASES) - 1])
def test_reads_the_authors_files(case: int, tmp_path: Path) -> None:
    """Their state dicts say no sizes, but show all but two of them."""
    torch.save(_authors(case), tmp_path / "state_30.pt")
    made = TrajectoryTransformerModel.from_authors(
        tmp_path / "state_30.pt", **_asked(case), action_weight=2.5
    )
    _same(made, case)
    assert made.config.action_weight == 2.5
    for name in ("n_layer", "n_embd", "vocab_size", "block_size", "observation_dim"):
        assert getattr(made.config, name) == KNOWN["cases"][case]["config"][name]


class Trap:
    """An object whose pickle would write a file when it is opened."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        """Name what opening it would call."""
        return Path.write_text, (self.file, "run")


def test_nothing_in_an_authors_file_is_run(tmp_path: Path) -> None:
    caught = tmp_path / "caught"
    torch.save(_authors(CASE) | {"more": Trap(caught)}, tmp_path / "state_30.pt")
    with pytest.raises(DataError, match="nothing in it was run"):
        TrajectoryTransformerModel.from_authors(tmp_path / "state_30.pt", **_asked(CASE))
    assert not caught.exists()


def test_an_authors_file_that_is_none_is_refused(tmp_path: Path) -> None:
    file, tensors = tmp_path / "state_30.pt", _authors(CASE)
    torch.save({n: t for n, t in tensors.items() if n != "head.weight"}, file)
    with pytest.raises(DataError, match=r"has no tensor head\.weight that shows"):
        TrajectoryTransformerModel.from_authors(file, **_asked(CASE))
    torch.save({n: t for n, t in tensors.items() if n != "blocks.0.mlp.2.bias"}, file)
    with pytest.raises(DataError, match=r"missing: blocks\.0\.mlp\.2\.bias"):
        TrajectoryTransformerModel.from_authors(file, **_asked(CASE))
    torch.save(tensors, file)
    with pytest.raises(SeqrlError, match=r"action_dim is 6; .* has 8 tokens, .* from 1 to 5"):
        TrajectoryTransformerModel.from_authors(file, action_dim=6, n_head=1)


CONFIG_EXAMPLE = """
# Initializing a TrajectoryTransformer configuration
configuration = TrajectoryTransformerConfig()
# Initializing a model (with random weights) from it
model = TrajectoryTransformerModel(configuration)
# Accessing the model configuration
configuration = model.config
"""

MODEL_EXAMPLE = """
model = TrajectoryTransformerModel.from_pretrained(
    "CarlCochet/trajectory-transformer-halfcheetah-medium-v2"
)
model.to(device)
model.eval()

observations_dim, action_dim, batch_size = 17, 6, 256
seq_length = observations_dim + action_dim + 1

trajectories = torch.LongTensor([np.random.permutation(self.seq_length) for _ in range(batch_size)]).to(
    device
)
targets = torch.LongTensor([np.random.permutation(self.seq_length) for _ in range(batch_size)]).to(device)

outputs = model(
    trajectories,
    targets=targets,
    use_cache=True,
    output_attentions=True,
    output_hidden_states=True,
    return_dict=True,
)
"""  # noqa: E501


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy.ndarrays")
def test_the_documented_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As documented but for the imports; what the text leaves undefined (`device`, `np`, `self`) is
    put there, and a local folder has the hub's name. Theirs breaks: it gives no mask."""
    names: dict[str, Any] = {
        name: getattr(seqrl.huggingface, name)
        for name in ("TrajectoryTransformerConfig", "TrajectoryTransformerModel")
    }
    exec(CONFIG_EXAMPLE, names)
    assert names["configuration"] == TrajectoryTransformerConfig()

    monkeypatch.chdir(tmp_path)
    names["model"].save_pretrained("CarlCochet/trajectory-transformer-halfcheetah-medium-v2")
    names |= {"torch": torch, "np": np, "device": "cpu", "self": SimpleNamespace(seq_length=24)}
    exec(MODEL_EXAMPLE, names)
    outputs = names["outputs"]
    assert outputs.loss.shape == ()
    assert outputs.logits.shape == (256, 24, 101)
    assert [len(outputs[name]) for name in ("past_key_values", "hidden_states", "attentions")] == [
        4,
        5,
        4,
    ]
