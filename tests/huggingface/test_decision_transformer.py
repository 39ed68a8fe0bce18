"""The Decision Transformer against the published class."""

from typing import Any

import pytest
import torch

from seqrl.errors import SeqrlError
from seqrl.huggingface import DecisionTransformerConfig
from seqrl.huggingface.decision_transformer import DecisionTransformerModel, get_action
from tests.huggingface.making import MASKS, assert_equal_where_real, inputs, mask, pair


@pytest.mark.parametrize("case", range(100))
def test_equal_to_the_published_class(case: int) -> None:
    """A published checkpoint must mean here what it means there: every output, every mask."""
    theirs, ours = pair(case)
    rows, steps = 1 + case % 3, 1 + case % 7
    given = inputs(ours.config, rows, steps, case)
    for kind in MASKS:
        real = mask(kind, rows, steps, case)
        for attention, shown in (("eager", True), ("sdpa", False)):
            theirs.set_attn_implementation(attention)
            asked = {"output_hidden_states": shown, "output_attentions": shown}
            with torch.no_grad():
                want = theirs(**given, attention_mask=real, **asked)
                have = ours(**given, attention_mask=real, **asked)
            assert_equal_where_real(have, want, real)


@pytest.mark.parametrize("case", range(0, 100, 9))
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_equal_gradients_while_training(case: int, attention: str) -> None:
    """Training a checkpoint on must go the same way: every weight and every input."""
    # Upcast to float32, theirs fails where the rest is float64.
    theirs, ours = pair(case, reorder_and_upcast_attn=False)
    theirs.set_attn_implementation(attention)
    theirs.double().train()
    ours.double().train()
    rows, steps = 2, 1 + case % 7
    real = mask(MASKS[case % 5], rows, steps, case)
    names = ("states", "actions", "returns_to_go")
    leaves = []
    for model in (theirs, ours):
        given = inputs(ours.config, rows, steps, case)
        given |= {name: given[name].double().requires_grad_() for name in names}
        out = model(**given, attention_mask=real)
        seen = torch.ones(rows, steps) if real is None else real
        for position, name in enumerate(("state_preds", "action_preds", "return_preds")):
            ((out[name] - position) ** 2)[seen > 0].sum().backward(retain_graph=True)
        leaves.append([given[name].grad for name in names])
    for have, want in zip(leaves[1], leaves[0], strict=True):
        torch.testing.assert_close(have, want, atol=1e-9, rtol=1e-9)
    gradients = {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad
        for name, weight in theirs.named_parameters()
    }
    # Filled in like a checkpoint, theirs stand under our names.
    config = ours.config
    as_ours = DecisionTransformerModel.of_tensors(config, gradients, "gradients").state_dict()
    for name, weight in ours.named_parameters():
        have = torch.zeros_like(weight) if weight.grad is None else weight.grad
        torch.testing.assert_close(have.float(), as_ours[name], atol=1e-5, rtol=1e-5)
    assert any(g.abs().max() > 0.1 for g in gradients.values())


def test_tuples_are_three_predictions() -> None:
    """Whoever unpacks a tuple, as the documents do, gets neither more nor less."""
    theirs, ours = pair(3)
    given = inputs(ours.config, 2, 4)
    want = theirs(**given, return_dict=False, output_hidden_states=True)
    have = ours(**given, return_dict=False, output_hidden_states=True)
    assert isinstance(have, tuple) and len(have) == len(want) == 3
    for a, b in zip(have, want, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    ours.config.return_dict = False
    assert isinstance(ours(**given), tuple)


def test_the_configuration_says_what_is_shown() -> None:
    """Flags of a configuration count where a call says nothing."""
    theirs, ours = pair(5, output_hidden_states=True, output_attentions=True)
    theirs.set_attn_implementation("eager")
    given = inputs(ours.config, 2, 3)
    assert_equal_where_real(ours(**given), theirs(**given), None)
    assert list(ours(**given, output_attentions=False, output_hidden_states=False)) == [
        "state_preds",
        "action_preds",
        "return_preds",
        "last_hidden_state",
    ]


def test_outputs_are_found_by_name_and_by_place() -> None:
    """Code for the published outputs counts on all these ways."""
    theirs, ours = pair(1)
    given = inputs(ours.config, 1, 2)
    have, want = ours(**given), theirs(**given)
    assert list(have) == list(want.keys()) and len(have) == len(want)
    assert dict(**have).keys() == dict(**want).keys()
    assert have[1] is have.action_preds is have["action_preds"] is have.to_tuple()[1]
    assert len(have[:2]) == 2 and "attentions" not in have and have.attentions is None
    with pytest.raises(KeyError):
        have["attentions"]


def test_float_and_boolean_masks_are_the_same() -> None:
    """The tutorial's masks are floats."""
    _, ours = pair(2)
    given = inputs(ours.config, 3, 5)
    real = mask("before", 3, 5, 0)
    assert real is not None
    outs = [ours(**given, attention_mask=m).action_preds for m in (real, real.float(), real > 0)]
    assert torch.equal(outs[0], outs[1]) and torch.equal(outs[0], outs[2])


def tutorial_action(model: Any, given: dict[str, torch.Tensor], size: int) -> torch.Tensor:
    """What the tutorial's function does, on theirs: the last steps, filled before, masked."""
    steps = min(size, given["states"].shape[1])
    real = torch.zeros(1, size, dtype=torch.long)
    real[:, size - steps :] = 1
    filled = {}
    for name, tensor in given.items():
        filled[name] = tensor.new_zeros(1, size, *tensor.shape[2:])
        filled[name][:, size - steps :] = tensor[:, -steps:]
    action: torch.Tensor = model(**filled, attention_mask=real).action_preds[0, -1]
    return action


@pytest.mark.parametrize(("steps", "size"), [(1, 5), (4, 5), (5, 5), (9, 5), (3, 1)])
def test_get_action_is_the_tutorial_s(steps: int, size: int) -> None:
    """Published agents are played by this function: it looks back on so many steps, no more."""
    theirs, ours = pair(7, max_ep_len=40)
    ours.config.max_length = size
    given = inputs(ours.config, 1, steps)
    want = tutorial_action(theirs, given, size)
    flat = {name: tensor[0].double() for name, tensor in given.items()}  # as environments give it
    torch.testing.assert_close(ours.get_action(**flat), want, atol=1e-5, rtol=1e-5)
    assert torch.equal(get_action(ours, **flat), ours.get_action(**flat))


def test_get_action_without_a_limit_looks_at_everything() -> None:
    """As the authors' own code does without max_length."""
    theirs, ours = pair(7, max_ep_len=40)
    ours.config.max_length = None
    given = inputs(ours.config, 1, 30)
    have = ours.get_action(**given)
    want = theirs(**given).action_preds[0, -1]
    torch.testing.assert_close(have, want, atol=1e-5, rtol=1e-5)


class TrainableDT(DecisionTransformerModel):
    """As the tutorial inherits from the class: the forward pass returns a loss."""

    def forward(self, **given: Any) -> Any:  # type: ignore[override]
        real = given["attention_mask"] > 0
        missed = super().forward(**given)[1] - given["actions"]
        return {"loss": (missed[real] ** 2).mean()}


def test_the_tutorial_s_subclass_trains_and_plays() -> None:
    """Its forward pass is another one; playing must not go through it."""
    torch.manual_seed(0)
    model = TrainableDT(DecisionTransformerConfig(state_dim=3, act_dim=2, hidden_size=16))
    given = inputs(model.config, 4, 6)
    given["attention_mask"] = torch.ones(4, 6)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = model(**given)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    episode = {name: given[name][0] for name in inputs(model.config, 1, 1)}
    assert model.get_action(**episode).shape == (2,)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"states": None}, "states must be given"),
        ({"returns_to_go": None, "timesteps": None}, "returns_to_go and timesteps must be given"),
        ({"states": torch.zeros(2, 3, 99)}, "states is of shape"),
        ({"actions": torch.zeros(2, 2, 3)}, "actions is of shape"),
        ({"returns_to_go": torch.zeros(2, 3, 2)}, "returns_to_go is of shape"),
        ({"timesteps": torch.zeros(3, dtype=torch.long)}, "timesteps is of shape"),
        ({"timesteps": torch.full((2, 3), 40)}, "timesteps holds 40; the model has a table from"),
        ({"timesteps": torch.full((2, 3), -1)}, "timesteps holds -1"),
        ({"attention_mask": torch.ones(2, 1, 9, 9)}, "attention_mask is of shape"),
        ({"attention_mask": torch.ones(2, 4)}, "attention_mask is of shape"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], said: str) -> None:
    """An error from within a matrix product helps nobody."""
    _, ours = pair(4, act_dim=3, max_ep_len=40)
    with pytest.raises(SeqrlError, match=said):
        ours(**inputs(ours.config, 2, 3) | changes)


def test_each_share_drops_in_its_own_place() -> None:
    """Three shares are documented; one for all would train another model."""
    given = inputs(DecisionTransformerConfig(), 2, 5)
    asked = {"output_hidden_states": True, "output_attentions": True}
    none: dict[str, Any] = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    causal = torch.ones(15, 15).tril() > 0
    seen = {}
    for name in none:
        torch.manual_seed(0)
        model = DecisionTransformerModel(DecisionTransformerConfig(**none | {name: 0.5}))
        assert model.training
        trained, played = model(**given, **asked), model.eval()(**given, **asked)
        assert not torch.equal(trained.last_hidden_state, played.last_hidden_state)
        embedded = (trained.hidden_states[0] == 0).float().mean().item()
        attended = (trained.attentions[0][..., causal] == 0).float().mean().item()
        seen[name] = (embedded, attended)
        assert (played.attentions[0][..., causal] > 0).all()
    assert seen["resid_pdrop"] == (0, 0)
    assert seen["embd_pdrop"] == (pytest.approx(0.5, abs=0.05), 0)
    assert seen["attn_pdrop"] == (0, pytest.approx(0.5, abs=0.1))


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.0])
def test_starts_as_the_published_class_does(spread: float) -> None:
    """The spread of every weight at the start; theirs are named, ours are told."""
    changes = {"initializer_range": spread, "n_layer": 2, "hidden_size": 96, "n_head": 1}
    fresh = {"state_dim": 40, "act_dim": 40, "vocab_size": 40, "max_ep_len": 40, "n_inner": None}
    theirs, ours = pair(0, **changes, **fresh)
    torch.manual_seed(0)
    theirs = type(theirs)(theirs.config)
    ours = DecisionTransformerModel(ours.config)
    as_ours = DecisionTransformerModel.of_tensors(ours.config, theirs.state_dict(), "theirs")
    for (name, have), want in zip(
        ours.state_dict().items(), as_ours.state_dict().values(), strict=True
    ):
        if have.ndim == 1:
            assert torch.equal(have, want), name
        else:
            assert have.std().item() == pytest.approx(want.std().item(), rel=0.25), name


def test_upcast_attention_compares_in_float32() -> None:
    """In half precision, large scores lose their last digits, and with them who wins."""
    shape: dict[str, Any] = {"n_layer": 1, "n_head": 2, "hidden_size": 64}
    theirs, ours = pair(6, **shape, reorder_and_upcast_attn=True)
    _, without = pair(6, **shape, reorder_and_upcast_attn=False)
    theirs.set_attn_implementation("eager")
    given = inputs(ours.config, 2, 6)
    half = {n: t.bfloat16() if t.is_floating_point() else t for n, t in given.items()}
    shown = []
    for model in (theirs, ours, without):
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "c_attn" in name or "attention.qkv" in name:
                    weight.mul_(10)
        shown.append(model.bfloat16()(**half, output_attentions=True).attentions[0])
    assert (shown[1] - shown[0]).abs().max() < 0.01
    assert (shown[2] - shown[0]).abs().max() > 0.1


def test_get_action_refuses_what_is_not_one_episode() -> None:
    """Filled each for itself, inputs of unlike lengths would be steps that never were together."""
    _, ours = pair(0, state_dim=3, act_dim=2)
    episode: dict[str, Any] = {
        "states": torch.zeros(5, 3),
        "actions": torch.zeros(5, 2),
        "rewards": None,
        "returns_to_go": torch.zeros(5, 1),
        "timesteps": torch.arange(5),
    }
    assert ours.get_action(**episode).shape == (2,)
    for name, wrong in {
        "actions": torch.zeros(4, 2),
        "returns_to_go": torch.zeros(6, 1),
        "timesteps": torch.zeros(0),
    }.items():
        with pytest.raises(SeqrlError, match="all must have as many"):
            ours.get_action(**{**episode, name: wrong})


def test_what_is_no_tensor_is_named() -> None:
    """A newcomer hands in arrays; torch's own words for it are of no help."""
    _, ours = pair(0, state_dim=3, act_dim=2)
    given = inputs(ours.config, 1, 2)
    cases: dict[str, dict[str, Any]] = {
        "states is a ndarray": {"states": given["states"].numpy()},
        "timesteps is a list": {"timesteps": [[0, 1]]},
        "timesteps is of torch.float32": {"timesteps": given["timesteps"].float()},
    }
    for name, wrong in cases.items():
        with pytest.raises(SeqrlError, match=name):
            ours(**{**given, **wrong})


def test_outputs_can_be_made_of_a_mapping_of_outputs() -> None:
    """Libraries that convert outputs, to float32 for instance, build them anew like this."""
    _, ours = pair(0)
    out = ours(**inputs(ours.config, 1, 2), output_hidden_states=True)
    again = type(out)({name: value for name, value in out.items()})
    assert list(again) == list(out) and again.action_preds is out.action_preds
    assert again.attentions is None and (ours.device.type, ours.dtype) == ("cpu", torch.float32)
    assert ours.num_parameters() == sum(weight.numel() for weight in ours.parameters())
