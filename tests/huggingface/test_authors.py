"""State dicts of the Decision Transformer authors' own code."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from seqrl.errors import DataError, SeqrlError
from seqrl.huggingface.decision_transformer import DecisionTransformerModel
from tests.huggingface.making import assert_equal_where_real, inputs, mask, pair


def _as_the_authors(tensors: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Name tensors as that code does: another name for the stack, no token positions, masks."""
    theirs = {re.sub("^encoder", "transformer", name): t for name, t in tensors.items()}
    del theirs["transformer.wpe.weight"]
    for layer in range(layers):
        around = f"transformer.h.{layer}.attn"
        theirs[f"{around}.bias"] = torch.ones(1, 1, 1024, 1024, dtype=torch.uint8).tril()
        theirs[f"{around}.masked_bias"] = torch.tensor(-1e4)
    return theirs


def test_a_state_dict_is_the_model_without_positions(tmp_path: Path) -> None:
    """All sizes are read off the tensors; the heads are not to be seen, and are told."""
    changes = {"n_head": 2, "n_layer": 3, "activation_function": "relu", "n_inner": 24}
    fixed = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False}
    near = {"action_tanh": True, "layer_norm_epsilon": 1e-5, "max_ep_len": 33}
    theirs, _ = pair(8, **changes, **fixed, **near)
    theirs.encoder.wpe.weight.data.zero_()
    torch.save(_as_the_authors(theirs.state_dict(), 3), tmp_path / "model.pt")
    ours = DecisionTransformerModel.from_authors(tmp_path / "model.pt", n_head=2)
    assert not ours.training and ours.config.n_inner == 24 and ours.config.max_ep_len == 33
    given, real = inputs(ours.config, 2, 5), mask("before", 2, 5, 0)
    assert_equal_where_real(
        ours(**given, attention_mask=real), theirs(**given, attention_mask=real), real
    )
    ours.save_pretrained(tmp_path / "published")
    again = type(theirs).from_pretrained(tmp_path / "published")
    assert torch.equal(again.embed_ln.weight, theirs.embed_ln.weight)


def test_what_does_not_fit_is_named_as_in_the_file(tmp_path: Path) -> None:
    """Whoever has the file knows its names, not ours."""
    theirs, _ = pair(8, n_layer=2)
    tensors = _as_the_authors(theirs.state_dict(), 2)
    file = tmp_path / "model.pt"
    torch.save({"epoch": 3}, file)
    with pytest.raises(DataError, match="'epoch' is a int"):
        DecisionTransformerModel.from_authors(file)
    torch.save({n: t for n, t in tensors.items() if "c_fc" not in n}, file)
    with pytest.raises(DataError, match=r"has no matrix transformer\.h\.0\.mlp\.c_fc\.weight"):
        DecisionTransformerModel.from_authors(file)
    del tensors["transformer.h.1.ln_1.bias"]
    torch.save(tensors, file)
    with pytest.raises(DataError, match=r"missing: transformer\.h\.1\.ln_1\.bias"):
        DecisionTransformerModel.from_authors(file)
    with pytest.raises(SeqrlError, match="no field 'heads'"):
        DecisionTransformerModel.from_authors(file, heads=2)
    with pytest.raises(DataError, match=r"nothing\.pt"):
        DecisionTransformerModel.from_authors(tmp_path / "nothing.pt")
