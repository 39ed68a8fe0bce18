"""Folders of published models: there and back, older forms, broken and hostile ones."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import DecisionTransformerModel as TheirModel

from seqrl.errors import DataError, SeqrlError
from seqrl.huggingface import DecisionTransformerConfig, DecisionTransformerModel
from tests.huggingface.making import inner_pair, inputs, pair

SMALL: dict[str, Any] = {"state_dim": 5, "act_dim": 3, "hidden_size": 8, "n_layer": 2, "n_head": 2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as the published class writes it."""
    theirs, _ = pair(0, **SMALL)
    theirs.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("case", range(6))
def test_theirs_and_ours_read_what_the_other_wrote(tmp_path: Path, case: int) -> None:
    """Not a bit of a weight may change, whichever way it went."""
    theirs, ours = pair(case)
    given = inputs(ours.config, 2, 4)
    theirs.save_pretrained(tmp_path / "theirs")
    ours.save_pretrained(tmp_path / "ours")
    have = DecisionTransformerModel.from_pretrained(tmp_path / "theirs")
    want = TheirModel.from_pretrained(tmp_path / "ours")
    assert not have.training
    for name, weight in ours.state_dict().items():
        assert torch.equal(have.state_dict()[name], weight), name
    for name, weight in theirs.state_dict().items():
        assert torch.equal(want.state_dict()[name], weight), name
    torch.testing.assert_close(
        have(**given).action_preds, want(**given).action_preds, atol=1e-5, rtol=1e-5
    )
    with safe_open(tmp_path / "ours" / "model.safetensors", framework="pt") as opened:
        assert opened.metadata() == {"format": "pt"}


def test_the_inner_model_has_its_own_folder(tmp_path: Path) -> None:
    """It is a published class of its own."""
    theirs, ours = inner_pair(3)
    ours.save_pretrained(tmp_path / "ours")
    again = type(theirs).from_pretrained(tmp_path / "ours")
    for name, weight in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name
    theirs.save_pretrained(tmp_path / "theirs")
    assert torch.equal(
        type(ours).from_pretrained(tmp_path / "theirs").wpe.weight, theirs.wpe.weight
    )


def test_the_configuration_of_a_folder_can_be_changed(folder: Path) -> None:
    """As the published method takes further arguments."""
    model = DecisionTransformerModel.from_pretrained(folder, max_length=7, attn_pdrop=0.5)
    assert (model.config.max_length, model.config.attn_pdrop) == (7, 0.5)
    with pytest.raises(SeqrlError, match="no field 'max_lenght'"):
        DecisionTransformerModel.from_pretrained(folder, max_lenght=7)


def test_reading_draws_no_random_numbers(folder: Path) -> None:
    """Loading a model must not change what is drawn after it."""
    before = torch.random.get_rng_state()
    DecisionTransformerModel.from_pretrained(folder)
    assert torch.equal(torch.random.get_rng_state(), before)


def _old(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add what files of older releases hold besides the weights."""
    old = dict(tensors)
    for layer in range(2):
        old[f"encoder.h.{layer}.attn.bias"] = torch.ones(1, 1, 40, 40, dtype=torch.uint8)
        old[f"encoder.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return old


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("form", ["safetensors", "pickled", "shards"])
def test_older_and_other_forms_are_read(folder: Path, form: str, dtype: torch.dtype) -> None:
    """Most published Decision Transformers are pickled, with masks; some are halves."""
    tensors = load_file(folder / "model.safetensors")
    stored = _old({name: tensor.to(dtype) for name, tensor in tensors.items()})
    (folder / "model.safetensors").unlink()
    if form == "safetensors":
        save_file(stored, folder / "model.safetensors")
    elif form == "pickled":
        torch.save(stored, folder / "pytorch_model.bin")
    else:
        names = sorted(stored)
        for number, piece in enumerate((names[::2], names[1::2])):
            save_file({n: stored[n] for n in piece}, folder / f"part-{number}.safetensors")
        index = {n: f"part-{number % 2}.safetensors" for number, n in enumerate(names)}
        content = json.dumps({"weight_map": index})
        (folder / "model.safetensors.index.json").write_text(content)
    model = DecisionTransformerModel.from_pretrained(folder)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    want = tensors["embed_state.weight"].to(dtype).float()
    assert torch.equal(model.embed_state.weight, want)
    want = tensors["encoder.h.1.mlp.c_fc.weight"].to(dtype).float()
    assert torch.equal(model.state_dict()["encoder.transformer.blocks.1.inner_in.weight"], want.T)


def test_a_half_file_s_type_is_not_claimed_for_what_we_write(folder: Path, tmp_path: Path) -> None:
    """Theirs reads the type from config.json: full weights would be cut to halves."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"torch_dtype": "float16"}))
    DecisionTransformerModel.from_pretrained(folder).save_pretrained(tmp_path / "new")
    written = json.loads((tmp_path / "new" / "config.json").read_text())
    assert written["dtype"] == "float32" and "torch_dtype" not in written
    assert written["architectures"] == ["DecisionTransformerModel"]
    assert TheirModel.from_pretrained(tmp_path / "new").dtype == torch.float32


def _changed(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)


def _drop(tensors: dict[str, Tensor]) -> None:
    del tensors["encoder.h.1.attn.c_attn.weight"], tensors["predict_state.bias"]


def _add(tensors: dict[str, Tensor]) -> None:
    tensors["encoder.h.2.ln_1.bias"] = torch.zeros(8)


def _turn(tensors: dict[str, Tensor]) -> None:
    tensors["encoder.h.0.mlp.c_fc.weight"] = tensors["encoder.h.0.mlp.c_fc.weight"].T


def _resize(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 2**24}))


def _cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-40])


def _index(folder: Path, content: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(content)


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (
            lambda f: _changed(f, _drop),
            r"missing: encoder.h.1.attn.c_attn.weight \[8, 24\], predict_state.bias \[5\]",
        ),
        (lambda f: _changed(f, _add), r"unexpected: encoder.h.2.ln_1.bias \[8\]"),
        (lambda f: _changed(f, _turn), r"c_fc.weight is \[\d+, 8\] and must be \[8, \d+\]"),
        (_resize, r"embed_ln.bias is \[8\] and must be \[16777216\]"),
        (_cut, "model.safetensors is not a whole safetensors file"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "not a whole safetensors file"),
        (lambda f: (f / "model.safetensors").unlink(), "has no weights: neither"),
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: _index(f, "{}"), "weight_map must be an object of file names"),
        (lambda f: _index(f, '{"weight_map": {"a": 3}}'), "weight_map must be"),
        (lambda f: _index(f, '{"weight_map": {"a": "../x.safetensors"}}'), "names '../x.safe"),
        (lambda f: _index(f, '{"weight_map": {"a": "x.bin"}}'), "names 'x.bin'"),
        (lambda f: _index(f, '{"weight_map": {"a": "x.safetensors"}}'), "has no x.safetensors"),
    ],
    ids=range(13),
)
def test_what_is_broken_is_named(folder: Path, break_it: Callable[[Path], Any], said: str) -> None:
    """A model that is half another would play, badly, and nobody would know why."""
    break_it(folder)
    with pytest.raises(DataError, match=said):
        DecisionTransformerModel.from_pretrained(folder)


def test_sizes_are_compared_before_memory_is_taken(folder: Path) -> None:
    """config.json may claim anything; a matrix of this one would need a petabyte."""
    _resize(folder)
    with pytest.raises(DataError, match="must be") as caught:
        DecisionTransformerModel.from_pretrained(folder)
    assert "embed_state.weight is [8, 5] and must be [16777216, 5]" in str(caught.value)
    assert "16777216, 50331648" in str(caught.value)


class Bomb:
    """Pickled: a command that is run when the file is read carelessly."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave a trace."""
        return (os.system, ("touch exploded",))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"embed_ln.weight": Bomb()}, "nothing in it was run"),
        (Bomb(), "nothing in it was run"),
        ([1, 2], "holds a list, and must hold a state dict"),
        ({"a": {"b": torch.ones(1)}}, "'a' is a dict"),
        ({"a": 3}, "'a' is a int"),
        ({3: torch.ones(1)}, "3 is a Tensor"),
        ({"embed_ln.weight": torch.eye(3).to_sparse()}, "embed_ln.weight is torch.sparse_coo"),
        ({"embed_ln.weight": torch.ones(2) * 1j}, "must be dense and real"),
    ],
    ids=range(8),
)
def test_nothing_in_a_pickled_file_is_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, content: Any, said: str
) -> None:
    """Such a file is a program; only its tensors are read."""
    monkeypatch.chdir(folder)
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / "pytorch_model.bin")
    with pytest.raises(DataError, match=said) as caught:
        DecisionTransformerModel.from_pretrained(folder)
    assert "pytorch_model.bin" in str(caught.value)
    assert "weights_only" not in str(caught.value), "no advice to run it after all"
    assert not (folder / "exploded").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x80\x02}q\x00.", b"\x80"])
def test_a_pickled_file_may_be_anything(folder: Path, content: bytes) -> None:
    """Whatever the reader trips over, the file is named."""
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(DataError, match=r"pytorch_model\.bin"):
        DecisionTransformerModel.from_pretrained(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_link_may_not_lead_out(folder: Path, tmp_path: Path, name: str) -> None:
    """A folder from elsewhere must not make us read another file of this machine."""
    (folder / name).rename(tmp_path / "outside")
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="leads out of its folder") as caught:
        DecisionTransformerModel.from_pretrained(folder)
    assert str(folder / name) in str(caught.value)
    (folder / name).unlink()
    (folder / "inside").mkdir()
    (tmp_path / "outside").rename(folder / "inside" / "content")
    (folder / name).symlink_to(Path("inside") / "content")
    DecisionTransformerModel.from_pretrained(folder)
    linked = tmp_path / "linked"
    linked.symlink_to(folder)  # the folder itself is the caller's own choice
    DecisionTransformerModel.from_pretrained(linked)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_what_is_no_file_is_refused(folder: Path, name: str) -> None:
    """Reading a pipe would wait for ever."""
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(DataError, match="is not a file"):
        DecisionTransformerModel.from_pretrained(folder)


def test_writing_leaves_the_old_or_the_new(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk must not leave half a file under the name."""
    model = DecisionTransformerModel.from_pretrained(folder)
    before = (folder / "model.safetensors").read_bytes()

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="No room left while writing a published model"):
        model.save_pretrained(folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_a_kill_between_two_files_leaves_no_mixture(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New weights under an old configuration may fit, and be of another model."""
    model = DecisionTransformerModel.from_pretrained(folder)
    rename = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if target.name == "config.json":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        model.save_pretrained(folder)
    with pytest.raises(SeqrlError, match=r"config\.json"):
        DecisionTransformerModel.from_pretrained(folder)


def test_weights_are_real_numbers(folder: Path) -> None:
    """What torch would turn into numbers on the way is not what was trained."""
    tensors = load_file(folder / "model.safetensors")
    for kind in (torch.complex64, torch.int64, torch.bool):
        save_file(
            {**tensors, "embed_ln.bias": tensors["embed_ln.bias"].to(kind)},
            folder / "model.safetensors",
        )
        with pytest.raises(DataError, match=rf"no real numbers: embed_ln\.bias of {kind}"):
            DecisionTransformerModel.from_pretrained(folder)


def test_a_file_is_not_a_folder(folder: Path) -> None:
    """The likeliest slip: naming the weights themselves."""
    with pytest.raises(DataError, match="is a file, and a folder is needed"):
        DecisionTransformerConfig.from_pretrained(folder / "model.safetensors")


def test_another_configuration_makes_no_model() -> None:
    """A dict, or the published configuration, has other checks or none."""
    with pytest.raises(SeqrlError, match="is made of a DecisionTransformerConfig, not of a dict"):
        DecisionTransformerModel({"n_layer": 2})
