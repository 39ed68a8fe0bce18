"""The published Trajectory Transformer: its outputs, its odd habits, and where ours is right."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqrl.errors import SeqrlError
from seqrl.huggingface import TrajectoryTransformerConfig, TrajectoryTransformerModel
from seqrl.huggingface.checkpoint import published_tensors
from tests.huggingface.published import (
    CALLS,
    CASES,
    KNOWN,
    close,
    leaves,
    model,
    under,
)

CASE = 6
"""Steps of eight tokens (5, 1, reward, value), two of them in a sequence, all weights different."""
STEP, SIZE, BINS = 8, 15, 6


def _tokens(rows: int = 3, size: int = SIZE, seed: int = 0) -> Tensor:
    """Draw tokens, the end token among them."""
    return torch.randint(BINS + 1, (rows, size), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("case", "call"), CALLS)
def test_equal_to_the_published_outputs(case: int, call: int) -> None:
    """A published checkpoint must mean here what it meant there, in every form of the answer."""
    asked = KNOWN["cases"][case]["calls"][call]
    output = model(case)(**under(f"{case}/{call}/given/"), **asked["options"])
    if asked["fields"] is not None:
        assert list(output) == asked["fields"]
        output = output.to_tuple()
    assert isinstance(output, tuple)
    have, want = leaves(output), under(f"{case}/{call}/output/")
    assert have.keys() == want.keys()
    for name in want:
        close(have[name], want[name])


@pytest.mark.parametrize("case", CASES)
def test_equal_gradients(case: int) -> None:
    """Training a published model on must go where it would have gone."""
    made = model(case).train()
    made(**under(f"{case}/0/given/"), return_dict=True).loss.backward()
    for parameter in made.parameters():
        assert parameter.grad is not None
        parameter.data = parameter.grad
    have, want = published_tensors(made, made.stored), under(f"{case}/gradients/")
    assert have.keys() == want.keys()
    for name in want:
        close(have[name], want[name])


@pytest.mark.parametrize("pieces", [[1] * SIZE, [4, 1, 7, 3], [SIZE - 1, 1], [STEP, SIZE - STEP]])
def test_a_sequence_in_pieces_equals_the_whole(pieces: list[int]) -> None:
    """The published class begins its count anew at every piece, and lets it look at values."""
    made, tokens, targets = model(CASE), _tokens(), _tokens(seed=1)
    wanted = dict.fromkeys(("output_attentions", "output_hidden_states", "return_dict"), True)
    whole = made(tokens, targets=targets, use_cache=True, **wanted)
    past, losses, start = None, [], 0
    for size in pieces:
        at = slice(start, start + size)
        part = made(
            tokens[:, at], targets=targets[:, at], past_key_values=past, use_cache=True, **wanted
        )
        close(part.logits, whole.logits[:, at])
        for have, want in zip(part.hidden_states, whole.hidden_states, strict=True):
            close(have, want[:, at])
        for have, want in zip(part.attentions, whole.attentions, strict=True):
            close(have, want[:, :, at, : start + size])
        losses.append(size * part.loss)
        past, start = part.past_key_values, start + size
    have_past, want_past = leaves(past), leaves(whole.past_key_values)
    assert have_past.keys() == want_past.keys()
    for name in want_past:
        close(have_past[name], want_past[name])
    close(torch.stack(losses).sum() / SIZE, whole.loss)


def test_a_past_is_read_without_a_new_one_being_asked_for() -> None:
    made, tokens = model(CASE), _tokens()
    past = made(tokens[:, :9], use_cache=True)[1]
    before = leaves(past)["0.0"].clone()
    (logits,) = made(tokens[:, 9:], past_key_values=past)
    close(logits, made(tokens)[0][:, 9:])
    assert leaves(past)["0.0"].equal(before), "a past can be continued in several ways"


def test_a_tuple_by_default_whatever_the_configuration_says() -> None:
    made = model(CASE, return_dict=True)
    assert len(made(_tokens())) == 1 and isinstance(made(_tokens()), tuple)
    assert list(made(_tokens(), return_dict=True)) == ["logits"]


def test_no_past_by_default_whatever_the_configuration_says() -> None:
    assert "past_key_values" not in model(CASE, use_cache=True)(_tokens(), return_dict=True)


def test_norms_add_1e_5_whatever_the_configuration_says() -> None:
    """Published files say 1e-12, and their models were trained with 1e-5."""
    made = model(CASE, layer_norm_eps=0.5)
    norms = [module for module in made.modules() if isinstance(module, nn.LayerNorm)]
    assert len(norms) == 2 * made.config.n_layer + 1
    assert {norm.eps for norm in norms} == {1e-5}


def test_the_last_hidden_state_stands_before_the_final_norm() -> None:
    made = model(CASE)
    output = made(_tokens(), output_hidden_states=True, return_dict=True)
    assert len(output.hidden_states) == made.config.n_layer + 1
    weight, bias = made.transformer.norm.weight, made.transformer.norm.bias
    normed = F.layer_norm(output.hidden_states[-1], weight.shape, weight, bias, 1e-5)
    heads = made.head[torch.arange(SIZE) % STEP]  # [S, V + 1, D]
    close(output.logits, torch.einsum("bsd,svd->bsv", normed, heads))


def test_each_dimension_has_a_table_and_all_share_the_end_token() -> None:
    made, tokens = model(CASE), _tokens()
    assert (tokens == BINS).any()
    embedded = made(tokens, output_hidden_states=True, return_dict=True).hidden_states[0]
    for row, place in torch.cartesian_prod(torch.arange(3), torch.arange(SIZE)).tolist():
        token = int(tokens[row, place])
        at = BINS * STEP if token == BINS else BINS * (place % STEP) + token
        close(embedded[row, place], made.tok_emb.weight[at] + made.pos_emb[0, place])


def test_nobody_looks_at_a_value_but_its_own_output_reads_it() -> None:
    """A value has seen the future: in attention it would give the plan away."""
    made, tokens = model(CASE), _tokens(1)
    output = made(tokens, output_attentions=True, return_dict=True)
    for shown in output.attentions:
        assert not shown[..., STEP - 1 :: STEP].any()
    tokens[0, STEP - 1] = (tokens[0, STEP - 1] + 1) % BINS
    changed = ((made(tokens)[0] - output.logits).abs() > 1e-5).any(-1)[0]
    assert changed.nonzero().flatten().tolist() == [STEP - 1]


def test_the_mask_acts_on_the_loss_alone() -> None:
    made, tokens, targets = model(CASE), _tokens(), _tokens(seed=1)
    mask = torch.zeros(tokens.shape)
    mask[0, 2] = 1
    loss, logits = made(tokens, targets=targets, attention_mask=mask)
    assert logits.equal(made(tokens)[0])
    assert loss > 0
    assert made(tokens, targets=targets, attention_mask=0 * mask)[0] == 0


def _by_hand(logits: Tensor, targets: Tensor, config: Any) -> float:
    """Add up what every token's loss counts, and divide by how many tokens there are."""
    weights = [1.0] * config.observation_dim + [config.action_weight] * config.action_dim
    weights += [config.reward_weight, config.value_weight]
    total = 0.0
    for row in range(len(targets)):
        for place in range(targets.shape[1]):
            scores = logits[row, place].detach().double()
            share = -(scores - scores.logsumexp(0))[targets[row, place]]
            total += float(share) * weights[(place + 1) % len(weights)]
    return total / targets.numel()


@pytest.mark.parametrize("size", [1, 3, STEP - 1, STEP, SIZE])
def test_the_loss_weighs_the_part_that_is_predicted(size: int) -> None:
    """Theirs works for the sizes 7 and 15 only, and not without a mask."""
    made, tokens, targets = model(CASE), _tokens(size=size), _tokens(size=size, seed=1)
    weights = (made.config.action_weight, made.config.reward_weight, made.config.value_weight)
    assert weights == (0.5, 2, 3)
    loss, logits = made(tokens, targets=targets)
    assert loss.item() == pytest.approx(_by_hand(logits, targets, made.config), rel=1e-5)


def test_the_loss_is_divided_by_all_tokens_counted_or_not() -> None:
    made, tokens, targets = model(CASE), _tokens(), _tokens(seed=1)
    halves = torch.zeros(2, *tokens.shape)
    halves[0, :, :7], halves[1, :, 7:] = 1, 1
    parts = [made(tokens, targets=targets, attention_mask=half)[0] for half in halves]
    close(parts[0] + parts[1], made(tokens, targets=targets)[0])
    left_out = targets.clone()
    left_out[:, 7:] = -100
    close(made(tokens, targets=left_out)[0], parts[0])


def test_each_share_of_dropout_has_its_place() -> None:
    """A published configuration names three shares, and drops them in three places."""
    off = dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), 0.0)
    for name in off:
        torch.manual_seed(0)
        made = model(CASE, **off | {name: 0.5}).train()
        shown = made(_tokens(), output_hidden_states=True, output_attentions=True, return_dict=True)
        weights = shown.attentions[0][:, :, -1, : STEP - 1]
        added = shown.hidden_states[1] - shown.hidden_states[0]
        found = {
            "embd_pdrop": bool((shown.hidden_states[0] == 0).any()),
            "attn_pdrop": bool((weights == 0).any()),
            "resid_pdrop": bool((added == 0).any()),
        }
        assert found == {place: place == name for place in off}


def test_starts_as_published() -> None:
    """The spread of every tensor at the start, theirs beside ours."""
    torch.manual_seed(0)
    config = TrajectoryTransformerConfig(**KNOWN["start"]["config"])
    tensors = published_tensors(made := TrajectoryTransformerModel(config), made.stored)
    assert tensors.keys() == KNOWN["start"]["spread"].keys()
    for name, spread in KNOWN["start"]["spread"].items():
        assert tensors[name].std().item() == pytest.approx(spread["std"], rel=0.05), name
        loose = 0.01 if name == "head.weight" else 0.3  # a uniform one has an edge
        assert tensors[name].abs().max().item() == pytest.approx(spread["largest"], rel=loose), name


def _too_long(made: TrajectoryTransformerModel, tokens: Tensor) -> None:
    past = made(tokens, use_cache=True)[1]
    made(tokens[:, :1], past_key_values=past)


def _other_rows(made: TrajectoryTransformerModel, tokens: Tensor) -> None:
    past = made(tokens[:, :3], use_cache=True)[1]
    made(tokens[:2, 3:], past_key_values=past)


Call = Callable[[TrajectoryTransformerModel, Tensor], Any]
REFUSED: dict[str, tuple[Call, str]] = {
    "one row without rows": (lambda m, x: m(x[0]), r"trajectories is of shape \[15\]"),
    "embedded": (lambda m, x: m(torch.zeros(3, 15, 10)), r"trajectories is of shape \[3, 15, 10\]"),
    "nothing": (lambda m, x: m(x[:, :0]), r"trajectories is of shape \[3, 0\]"),
    "no whole numbers": (lambda m, x: m(x.float()), "trajectories is of torch.float32"),
    "too long": (lambda m, x: m(x.repeat(1, 2)), "30 tokens, and .* room for 15"),
    "too long with its past": (_too_long, "1 tokens after 15 of the past"),
    "token of another table": (lambda m, x: m(x + 1), "holds 7; tokens go from 0 to 5, with 6"),
    "token below 0": (lambda m, x: m(x - 1), "trajectories holds -1"),
    "fewer targets": (lambda m, x: m(x, targets=x[:, 1:]), r"targets is of shape \[3, 14\]"),
    "target that is no token": (lambda m, x: m(x, targets=x + 1), "targets holds 7"),
    "target below 0": (lambda m, x: m(x, targets=x - 7), "and -100 for what is not counted"),
    "targets that are shares": (lambda m, x: m(x, targets=x.float()), "targets is of torch.float"),
    "turned mask": (
        lambda m, x: m(x, targets=x, attention_mask=x.T),
        r"attention_mask is of shape \[15, 3\]",
    ),
    "past of other rows": (_other_rows, r"must hold two of \(2, 2, tokens, 5\)"),
    "past of nothing": (lambda m, x: m(x, past_key_values=()), r"of the shapes \[\]"),
    "past of another kind": (lambda m, x: m(x, past_key_values={}), "past_key_values holds a dict"),
    "past of one tensor": (lambda m, x: m(x, past_key_values=(x,)), "past_key_values holds a Tens"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refuses_with_a_sentence(what: str) -> None:
    """Most of this the published class computes something from, or breaks far from the cause."""
    call, said = REFUSED[what]
    with pytest.raises(SeqrlError, match=said):
        call(model(CASE), _tokens())


def test_defaults_are_the_published_ones() -> None:
    defaults = {n: v for n, v in KNOWN["defaults"].items() if n != "transformers_version"}
    have = TrajectoryTransformerConfig().to_dict()
    assert {name: have[name] for name in defaults} == defaults
    assert set(have) - set(defaults) == {"return_dict", "output_attentions", "output_hidden_states"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("n_head", 3), ("kaiming_initializer_range", 0), ("initializer_range", -1.0)],
)
def test_refuses_a_configuration_that_no_model_has(field: str, value: float) -> None:
    with pytest.raises(SeqrlError, match=f"{field} is {value}"):
        TrajectoryTransformerConfig(**{field: value})


def test_the_heads_start_within_their_bound() -> None:
    """The published bound, from the documented coefficient."""
    made = TrajectoryTransformerModel(TrajectoryTransformerConfig(kaiming_initializer_range=2))
    bound = math.sqrt(6 / ((1 + 5 / 4) * 128))
    assert 0.999 * bound < made.head.abs().max().item() <= bound
