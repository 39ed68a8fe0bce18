"""Configurations: documented names and defaults, what files may hold, what they may not."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import DecisionTransformerConfig as TheirConfig

from seqrl.errors import SeqrlError
from seqrl.huggingface import DecisionTransformerConfig


def test_documented_fields_have_the_documented_defaults() -> None:
    """A default that differs makes another model of the same code."""
    ours, theirs = DecisionTransformerConfig().to_dict(), TheirConfig().to_dict()
    assert ours.pop("max_length") == 20  # theirs has it no more
    assert ours == {name: theirs[name] for name in ours}
    assert len(ours) == 27
    documented = set(TheirConfig.__annotations__)
    assert documented <= set(ours), documented - set(ours)


def test_second_names_are_the_same_fields() -> None:
    """They are documented; whoever sets one must not set something else."""
    config = DecisionTransformerConfig(num_hidden_layers=5)
    assert config.n_layer == config.num_hidden_layers == 5
    config.num_attention_heads = 4
    assert config.n_head == 4 and "num_attention_heads" not in config.to_dict()
    with pytest.raises(SeqrlError, match="n_layer is given twice"):
        DecisionTransformerConfig(n_layer=1, num_hidden_layers=1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n_layers": 3}, r"no field 'n_layers'. Near are: n_layer"),
        ({"zzz": 3}, r"no field 'zzz'. It has: "),
        ({"n_layer": 0}, "n_layer is 0; it must be a whole number from 1 to 1,000"),
        ({"n_layer": 10**9}, "n_layer is 1000000000"),
        ({"n_layer": True}, "n_layer is True; it must be a whole number"),
        ({"hidden_size": 10**30}, "hidden_size is 1000000"),
        ({"hidden_size": "128"}, "hidden_size is '128'; it must be a whole number"),
        ({"n_head": 3}, "n_head is 3; it must be a divisor of hidden_size, 128"),
        ({"activation_function": "swish"}, "'swish'; it must be one of relu, gelu, gelu_new"),
        ({"attn_pdrop": 1.0}, "attn_pdrop is 1.0; it must be a share from 0 to below 1"),
        ({"resid_pdrop": float("nan")}, "resid_pdrop is nan"),
        ({"layer_norm_epsilon": 0.0}, "layer_norm_epsilon is 0.0; it must be above 0"),
        ({"initializer_range": -1.0}, "initializer_range is -1.0"),
        ({"add_cross_attention": True}, "add_cross_attention is True"),
        ({"model_type": "gpt2"}, "no field 'model_type'"),
        ({"eos_token_id": "x"}, "eos_token_id is 'x'"),
    ],
)
def test_what_no_model_can_be_made_of_is_refused(given: dict[str, Any], said: str) -> None:
    """By a sentence that names the field."""
    with pytest.raises(SeqrlError, match=said):
        DecisionTransformerConfig(**given)


def test_setting_checks_names_and_types_too() -> None:
    """A misspelt setting would be lost in silence."""
    config = DecisionTransformerConfig()
    config.max_length = 7
    with pytest.raises(SeqrlError, match="no field 'n_layers'"):
        config.n_layers = 3
    with pytest.raises(SeqrlError, match="max_length is 'long'"):
        config.max_length = "long"


def test_a_file_s_own_keys_are_kept(tmp_path: Path) -> None:
    """A published folder that goes through here must lose nothing; old ones have many keys."""
    own = {"n_ctx": 1024, "architectures": ["X"], "notes": {"deep": [1, 2.5, None]}}
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "decision_transformer", "num_hidden_layers": 2, **own})
    )
    config = DecisionTransformerConfig.from_pretrained(tmp_path, n_head=4)
    assert (config.n_layer, config.n_head, config.n_ctx) == (2, 4, 1024)
    config.n_ctx = 5
    config.save_pretrained(tmp_path / "new")
    again = json.loads((tmp_path / "new" / "config.json").read_text())
    assert {name: again[name] for name in own} == own | {"n_ctx": 5}
    assert DecisionTransformerConfig.from_pretrained(tmp_path / "new") == config
    with pytest.raises(SeqrlError, match="no field 'n_headd'"):
        DecisionTransformerConfig.from_pretrained(tmp_path, n_headd=4)


def test_both_sides_read_what_the_other_writes(tmp_path: Path) -> None:
    """Every field, also those at their defaults, which theirs leaves out."""
    changes: dict[str, Any] = {"state_dim": 3, "n_layer": 2, "eos_token_id": [1, 2]}
    changes |= {"vocab_size": 9, "bos_token_id": None, "action_tanh": False, "embd_pdrop": 0.25}
    TheirConfig(**changes).save_pretrained(tmp_path)
    ours = DecisionTransformerConfig.from_pretrained(tmp_path)
    assert ours.eos_token_id == (1, 2)
    ours.save_pretrained(tmp_path / "ours")
    theirs = TheirConfig.from_pretrained(tmp_path / "ours").to_dict()
    assert {n: v for n, v in ours.to_dict().items() if n in theirs} == {
        n: v for n, v in theirs.items() if n in ours.to_dict()
    }


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        (b"\xff\xfe\xfa", "is not JSON"),
        (DEEP, "is not JSON"),
        ('{"n_layer": ' + "9" * 10_000 + "}", "is not JSON"),
        ("[1]", "holds a list, and must hold an object"),
        ("null", "holds a NoneType, and must hold an object"),
        ('{"n_layer": NaN}', "n_layer is not a finite number"),
        ('{"a": [0, {"b": Infinity}]}', r"a\.1\.b is not a finite number"),
        ('{"resid_pdrop": 1e999}', "resid_pdrop is not a finite number"),
        ('{"n_layer": [3]}', r"n_layer is \[3\]; it must be a whole number"),
        ('{"n_layer": null}', "n_layer is None"),
        ('{"n_layer": 1000000000}', "n_layer is 1000000000"),
        ('{"hidden_size": -4}', "hidden_size is -4"),
        ('{"return_dict": "no"}', "return_dict is 'no'"),
        ('{"model_type": "gpt2"}', "model_type is 'gpt2'"),
        ('{"model_type": ["x"]}', "model_type is"),
        ('{"add_cross_attention": true}', "add_cross_attention is True"),
    ],
    ids=range(18),
)
def test_hostile_files_are_named_with_the_key(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    """The file comes from anyone; the sentence says where to look."""
    file = tmp_path / "config.json"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SeqrlError, match=said) as caught:
        DecisionTransformerConfig.from_pretrained(tmp_path)
    assert str(caught.value).count(str(file)) == 1
    assert len(str(caught.value)) < 1000


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """It would fill the memory."""
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(SeqrlError, match="at most"):
        DecisionTransformerConfig.from_pretrained(tmp_path)
