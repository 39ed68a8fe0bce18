"""What every layout's model must obey, whoever declared it."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from seqrl.episodes import Episode, History
from seqrl.errors import SeqrlError
from seqrl.nets.network import Network
from seqrl.nets.token_model import TokenModel, VectorOut
from seqrl.nets.transformer import Cache, causal
from seqrl.tokens.layout import Bins, Part, TokenLayout, Vector
from seqrl.tokens.signals import ReturnToGo
from seqrl.tokens.tokenizer import Slot, fit
from seqrl.tokens.windows import TokenBatch, Windows, live
from tests.tokens.test_signals import made
from tests.tokens.test_tokenizer import BINS, BINS_TO_GOALS, VECTORS, VECTORS_TO_GOALS

MIXED = TokenLayout(
    Part("observation", Vector(standardise=True), loss=0.5),
    Part("action", Bins(count=5), loss=1.0),
    Part("value", Bins(count=5), loss=0.0, attended=False),
    steps=3,
    positions="token",
)
"""Vectors and bins in one block, a predicted first token, a hidden part that nobody predicts."""

LAYOUTS = pytest.mark.parametrize(
    "layout",
    [VECTORS, BINS, MIXED, VECTORS_TO_GOALS, BINS_TO_GOALS],
    ids=["vectors", "bins", "mixed", "vectors to goals", "bins to goals"],
)
TO_GOALS = pytest.mark.parametrize(
    "layout", [VECTORS_TO_GOALS, BINS_TO_GOALS], ids=["vectors", "bins"]
)


def network(**settings: object) -> Network:
    usual = {"layers": 2, "heads": 2, "width": 16, "dropout": 0.0, "normalise_embeddings": True}
    return Network(**{**usual, **settings})  # type: ignore[arg-type]


def model_of(layout: TokenLayout, seed: int = 0, **settings: object) -> TokenModel:
    generator = torch.Generator().manual_seed(seed)
    return TokenModel(fit(layout, made()), network(**settings), generator).double()


def windows_of(layout: TokenLayout) -> TokenBatch:
    """Every window of the made data, in float64."""
    episodes = made()
    batch = Windows(fit(layout, episodes), episodes).at(torch.arange(episodes.steps))
    return replace(batch, values=_double(batch.values))


def full(model: TokenModel, values: Mapping[str, Tensor], steps: Tensor) -> Tensor:
    """Return the output at every token, nothing left out [B, P + T S, D]."""
    out: Tensor = model.transformer(model.embed(values, steps), model.visible)
    return out


def slots_of(model: TokenModel) -> list[tuple[Slot, int | None]]:
    """Name every token of a window, in order, by its slot and step; a goal has no step."""
    goals = [(slot, None) for slot in model.tokenizer.prefix_slots]
    steps = range(model.tokenizer.layout.steps)
    return [*goals, *((slot, step) for step in steps for slot in model.tokenizer.slots)]


def _double(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n: v.double() if v.is_floating_point() else v for n, v in values.items()}


def _changed(batch: TokenBatch, slot: Slot, step: int | None) -> dict[str, Tensor]:
    """Change what stands at one slot in every window; `step` is None for a goal."""
    values = {key: value.clone() for key, value in batch.values.items()}
    of_step = values[slot.name] if step is None else values[slot.name][:, step]
    entry = of_step[:, slot.dimension or 0]
    entry.copy_(entry + 1.7 if entry.is_floating_point() else (entry + 1) % 5)
    return values


@LAYOUTS
def test_a_later_token_changes_no_earlier_output(layout: TokenLayout) -> None:
    """A model that sees the future scores well in training and fails in the environment."""
    model, batch = model_of(layout), windows_of(layout)
    before = full(model, batch.values, batch.steps)
    assert before.shape[1] == len(slots_of(model))
    for token, (slot, step) in enumerate(slots_of(model)):
        after = full(model, _changed(batch, slot, step), batch.steps)
        torch.testing.assert_close(after[:, :token], before[:, :token], rtol=0, atol=0)
        assert not torch.allclose(after[:, token], before[:, token]), "the token is not read"


@TO_GOALS
def test_a_changed_goal_changes_every_output_after_it(layout: TokenLayout) -> None:
    """A goal that some tokens cannot see is forgotten on the way."""
    model, batch = model_of(layout), windows_of(layout)
    before = full(model, batch.values, batch.steps)
    for token, slot in enumerate(model.tokenizer.prefix_slots):
        after = full(model, _changed(batch, slot, None), batch.steps)
        assert (after != before)[:, token:].any(-1).all()


@LAYOUTS
def test_hidden_parts_change_no_output_but_their_own(layout: TokenLayout) -> None:
    """A value has seen the future: whoever attends to it has seen it too."""
    model, batch = model_of(layout), windows_of(layout)
    before = full(model, batch.values, batch.steps)
    for token, (slot, step) in enumerate(slots_of(model)):
        if slot.part.attended:
            continue
        after = full(model, _changed(batch, slot, step), batch.steps)
        same = torch.arange(before.shape[1]) != token
        torch.testing.assert_close(after[:, same], before[:, same], rtol=0, atol=0)
        assert not torch.allclose(after[:, token], before[:, token])


@LAYOUTS
def test_token_by_token_with_a_cache_is_the_full_pass(layout: TokenLayout) -> None:
    """A known reimplementation drops the mask when it caches, and plans with other logits."""
    model, batch = model_of(layout), windows_of(layout)
    embedded = model.embed(batch.values, batch.steps)
    full = model.transformer(embedded, model.visible)
    rows, size, _ = embedded.shape
    cache = Cache.empty(model.network, rows, size, dtype=torch.float64)
    pieces = [
        model.transformer(embedded[:, token : token + 1], model.visible, cache)
        for token in range(size)
    ]
    torch.testing.assert_close(torch.cat(pieces, 1), full, rtol=0, atol=1e-12)


@LAYOUTS
def test_each_part_is_read_from_the_token_in_front_of_it(layout: TokenLayout) -> None:
    """One token off and a model learns to copy its input; the loss looks wonderful."""
    model, batch = model_of(layout), windows_of(layout)
    outputs = full(model, batch.values, batch.steps)
    found = model(batch.values, batch.steps)
    assert set(found) == {part.name for part in layout.parts if part.loss}
    for token, (slot, step) in enumerate(slots_of(model)):
        if slot.part.loss:
            read = found[slot.name][:, step, slot.dimension or 0]
            expected = outputs[:, token - 1] if token else torch.zeros_like(read)
            torch.testing.assert_close(read, expected, rtol=0, atol=1e-12)


@LAYOUTS
def test_the_loss_is_the_slow_obvious_sum(layout: TokenLayout) -> None:
    """Loops over windows, steps and dimensions, with the authors' two ways to average."""
    model, batch = model_of(layout), windows_of(layout)
    loss, _ = model.loss(batch)
    flat = full(model, batch.values, batch.steps).detach()
    total, goals = 0.0, len(model.tokenizer.prefix_slots)
    for part in layout.parts:
        if not part.loss:
            continue
        errors, place, values = [], model.places[part.name], batch.values[part.name]
        head = model.head(part.name)
        for window in range(len(flat)):
            for step in range(layout.steps):
                for i, slot in enumerate(range(place.start, place.stop)):
                    token = goals + step * model.tokens_a_step + slot
                    # TT's authors: the mask is the one of the token that is read from.
                    from_before = slot == 0 and step and layout.loss_over == "all positions"
                    if token == 0 or not batch.has_loss[window, step - bool(from_before)]:
                        continue
                    seen, true = flat[window, token - 1], values[window, step]
                    if isinstance(head, VectorOut):
                        guess = head.map.weight.detach() @ seen + head.map.bias.detach()
                        guess = guess.tanh() if head.squash else guess
                        errors.append(float(((guess - true) ** 2).mean()))
                    else:
                        scores = head.weight[i].detach() @ seen
                        errors.append(float(scores.logsumexp(0) - scores[true[i]]))
        positions = len(flat) * (flat.shape[1] - 1)
        over = len(errors) if layout.loss_over == "real steps" else positions
        total += part.loss * sum(errors) / over
    assert float(loss.detach()) == pytest.approx(total, rel=1e-9 if layout is VECTORS else 1e-6)


@pytest.mark.parametrize(
    "layout", [VECTORS, MIXED, VECTORS_TO_GOALS], ids=["vectors", "mixed", "vectors to goals"]
)
def test_what_fills_a_window_changes_no_loss(layout: TokenLayout) -> None:
    """Filling that leaks into the loss makes short episodes look easy."""
    model, batch = model_of(layout), windows_of(layout)
    assert not batch.is_real.all()
    loss, _ = model.loss(batch)
    noise = {}
    for name, value in batch.values.items():
        other = torch.randn_like(value) if value.is_floating_point() else (value + 2) % 5
        keep = torch.tensor(True) if name in layout.goals else batch.is_real[..., None]
        noise[name] = torch.where(keep, value, other)
    again, _ = model.loss(replace(batch, values=noise))
    torch.testing.assert_close(loss, again, rtol=0, atol=0)


def test_end_tokens_are_predicted_and_share_one_embedding() -> None:
    """TT learns where episodes end; every dimension's end is the same token."""
    model, batch = model_of(BINS), windows_of(BINS)
    loss, _ = model.loss(batch)
    model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    assert model.end is not None and model.end.grad is not None
    assert float(model.end.grad.abs().sum()) > 0
    ended = torch.full_like(batch.values["observation"][:1, :1], 7)
    tokens = model.inputs["observation"](ended, model.end)
    torch.testing.assert_close(tokens, model.end.expand_as(tokens))
    read = model(batch.values, batch.steps)["observation"]
    assert model.head("observation")(read).shape[-1] == 8


def test_filling_after_equals_filling_before_with_positions_of_the_episode() -> None:
    """DT's authors fill in front and mask it; ours fills behind and masks nothing."""
    model, batch = model_of(VECTORS), windows_of(VECTORS)
    size = VECTORS.steps
    ours = full(model, batch.values, batch.steps).view(-1, size, 3, 16)
    for window in range(len(ours)):
        real = int(batch.is_real[window].sum())
        values = {
            name: torch.cat([v[window, real:] + 9.9, v[window, :real]])[None]
            for name, v in batch.values.items()
        }
        steps = torch.cat([torch.zeros(size - real, dtype=torch.int64), batch.steps[window, :real]])
        filling = torch.arange(size * 3) < (size - real) * 3
        visible = causal(size * 3, filling) | torch.eye(size * 3, dtype=torch.bool)
        theirs = model.transformer(model.embed(values, steps[None]), visible)
        theirs = theirs.view(1, size, 3, -1)[0, size - real :]
        torch.testing.assert_close(theirs, ours[window, :real], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("layout", "plain"),
    [(VECTORS_TO_GOALS, VECTORS), (BINS_TO_GOALS, BINS)],
    ids=["vectors", "bins"],
)
def test_a_goal_has_no_position_and_takes_none(layout: TokenLayout, plain: TokenLayout) -> None:
    """The goal of an episode is one thing, at whatever step the window starts."""
    model, batch, without = model_of(layout), windows_of(layout), model_of(plain)
    with torch.no_grad():
        model.positions.normal_()
    weights = model.state_dict()
    without.load_state_dict({name: weights[name] for name in without.state_dict()})
    tokens = model.embed(batch.values, batch.steps)
    goals, block = tokens[:, : model.prefix_tokens], tokens[:, model.prefix_tokens :]
    torch.testing.assert_close(block, without.embed(batch.values, batch.steps), rtol=0, atol=0)
    starts = made().starts
    for first, end in pairwise(starts):
        expected = goals[first].expand_as(goals[first:end])
        torch.testing.assert_close(goals[first:end], expected, rtol=0, atol=0)
    assert not torch.allclose(goals[starts[0]], goals[starts[1]])


@TO_GOALS
def test_a_goal_has_an_embedding_of_its_own(layout: TokenLayout) -> None:
    """Where to go and where one is are two things, though one signal tells both."""
    model, batch = model_of(layout), windows_of(layout)
    before = model.embed(batch.values, batch.steps)
    for name in layout.goals:
        with torch.no_grad():
            for weight in model.inputs[name].parameters():
                weight.neg_()
    after = model.embed(batch.values, batch.steps)
    changed = (after != before).any(-1)
    assert changed[:, : model.prefix_tokens].all() and not changed[:, model.prefix_tokens :].any()


def test_squashed_actions_stay_within_the_bounds_of_the_task() -> None:
    """Humanoid's actions end at 0.4: a network that says 1 would be clipped in silence."""
    episodes = replace(
        made(),
        action_low=np.array([-0.4, -2.0], np.float32),
        action_high=np.array([0.4, 1.0], np.float32),
    )
    generator = torch.Generator().manual_seed(0)
    model = TokenModel(fit(VECTORS, episodes), network(), generator)
    head = model.head("action")
    assert isinstance(head, VectorOut)
    for sign in (-1.0, 1.0):
        with torch.no_grad():
            head.map.bias.fill_(50.0 * sign)
        said = head(torch.randn(2, 3, 1, 16))
        edge = episodes.action_high if sign > 0 else episodes.action_low
        torch.testing.assert_close(said, torch.tensor(edge).expand_as(said))


@LAYOUTS
@pytest.mark.parametrize("init", ["mingpt", "dt", "gpt2"])
def test_one_seed_one_set_of_weights(layout: TokenLayout, init: str) -> None:
    """Weights from the global generator depend on what ran before."""
    torch.manual_seed(1)
    one = model_of(layout, seed=5, init=init).state_dict()
    torch.manual_seed(2)
    same = model_of(layout, seed=5, init=init).state_dict()
    other = model_of(layout, seed=6, init=init).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@LAYOUTS
def test_it_learns(layout: TokenLayout) -> None:
    """All parts together: a few steps on a few windows must bring the loss down."""
    episodes = made()
    tokenizer = fit(layout, episodes)
    model = TokenModel(tokenizer, network(width=32), torch.Generator().manual_seed(0))
    windows, generator = Windows(tokenizer, episodes), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(150):
        loss, errors = model.loss(windows.draw(16, generator))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
    assert set(errors) == {part.name for part in layout.parts if part.loss}


def _played(episode: Episode, steps: int, rows: int) -> History:
    """Play an episode of the data so far, in all rows."""
    history = History(
        np.repeat(episode.observations[:1], rows, axis=0),
        action_width=2,
        horizon=6,
        generators=[np.random.default_rng(row) for row in range(rows)],
    )
    for step in range(steps):
        history.add(
            np.repeat(episode.actions[step : step + 1], rows, axis=0),
            np.repeat(episode.rewards[step : step + 1], rows),
            np.repeat(episode.observations[step + 1 : step + 2], rows, axis=0),
        )
    return history


@pytest.mark.parametrize("layout", [VECTORS, VECTORS_TO_GOALS], ids=["vectors", "to goals"])
def test_what_is_read_while_playing_is_what_was_trained(layout: TokenLayout) -> None:
    """A live window built otherwise than the training's asks the network something it never saw."""
    episodes = made()
    tokenizer = fit(layout, episodes)
    model = TokenModel(tokenizer, network(), torch.Generator().manual_seed(0)).eval()
    windows, number = Windows(tokenizer, episodes), 2
    episode, start = episodes[number], int(episodes.starts[number])
    to_go = ReturnToGo().offline(episodes)[start : start + len(episode), 0]
    ends = {
        "goal_observation": np.repeat(episode.observations[-1:], 3, axis=0),
        "goal_episode_return": np.full((3, 1), episode.return_),
    }
    goals = {name: ends[name] for name in layout.goals}
    for step in range(len(episode)):
        first = max(0, step + 1 - layout.steps)
        batch = windows.at(torch.tensor([start + first]))
        read = model(batch.values, batch.steps)["action"]
        expected = model.head("action")(read)[0, step - first].detach().numpy()
        history = _played(episode, step, rows=3)
        wanted = np.repeat(to_go[None, : step + 1], 3, axis=0)
        np.testing.assert_allclose(wanted, to_go[0] - history.reward_before, atol=1e-5)
        found = model.read(history, "action", return_to_go=wanted, **goals)
        np.testing.assert_allclose(found, np.repeat(expected[None], 3, axis=0), atol=1e-5)


def test_the_action_that_is_asked_for_is_not_looked_at() -> None:
    """At the present step there is no action yet: whatever stands in its place must not matter."""
    episodes = made()
    tokenizer = fit(VECTORS, episodes)
    model = TokenModel(tokenizer, network(), torch.Generator().manual_seed(0)).eval()
    (batch,) = live(tokenizer, _played(episodes[2], 2, rows=1), {"return_to_go": np.ones((1, 3))})
    before = model.predict(batch, "action")
    for place in (-1, -2):
        actions = batch.values["action"].clone()
        actions[:, place] += 7.0
        again = model.predict(replace(batch, values={**batch.values, "action": actions}), "action")
        assert torch.equal(again, before) == (place == -1)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_row_is_read_the_same_whoever_plays_beside_it(threads: int) -> None:
    """An episode's return must not depend on who else is played, nor on its place among them."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        _read_in_all_company()
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def _read_in_all_company() -> None:
    episodes = made((6, 6, 6, 6) * 9)
    wide = Network(layers=3, heads=1, width=128, activation="relu", normalise_embeddings=True)
    model = TokenModel(fit(VECTORS, episodes), wide, torch.Generator().manual_seed(0)).eval()
    for step in range(5):
        history = History(
            episodes.observations.reshape(36, 6, -1)[:, 0],
            action_width=2,
            horizon=6,
            generators=[np.random.default_rng(0)] * 36,
        )
        for played in range(step):
            take = {n: c.reshape(36, 6, -1) for n, c in episodes.columns.items()}
            history.add(
                take["actions"][:, played],
                take["rewards"][:, played, 0],
                take["observations"][:, played + 1],
            )
        together = model.read(history, "action", return_to_go=-history.reward_before)
        assert together.shape == (36, 2)
        for kept in ([35], [3, 1, 2], list(range(7, 30)), [0, 20, 35]):
            few = deepcopy(history)
            few.keep(np.array(kept))
            alone = model.read(few, "action", return_to_go=-few.reward_before)
            np.testing.assert_array_equal(alone, together[kept])


def test_a_signal_that_nobody_gives_is_asked_for() -> None:
    """A return of zero in its place would play, badly, and nobody would know why."""
    episodes = made()
    model = TokenModel(fit(VECTORS, episodes), network(), torch.Generator().manual_seed(0))
    with pytest.raises(SeqrlError, match="'return_to_go' is not known by itself"):
        model.read(_played(episodes[2], 1, rows=1), "action")


def test_an_action_can_be_read_from_nothing_but_a_goal() -> None:
    """The first token of the first step is predicted too where a goal stands in front of it."""
    episodes = made()
    layout = TokenLayout(
        Part("action", Vector(), loss=1.0), steps=1, prefix=(Part("observation", Vector()),)
    )
    model = TokenModel(fit(layout, episodes), network(), torch.Generator().manual_seed(0)).eval()
    batch = Windows(model.tokenizer, episodes).at(torch.tensor([0]))
    expected = model.head("action")(model(batch.values, batch.steps)["action"])[:, 0]
    found = model.read(
        _played(episodes[2], 0, rows=1), "action", goal_observation=episodes[0].observations[-1:]
    )
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-6)


def test_a_goal_is_given_once_a_row() -> None:
    """A goal of zeros, or one spread over rows by accident, would be pursued in silence."""
    episodes = made()
    tokenizer = fit(VECTORS_TO_GOALS, episodes)
    model = TokenModel(tokenizer, network(), torch.Generator().manual_seed(0))
    history = _played(episodes[2], 1, rows=2)
    given = {"return_to_go": np.ones((2, 2)), "goal_episode_return": np.ones((2, 1))}
    with pytest.raises(SeqrlError, match="'goal_observation' is not known by itself"):
        model.read(history, "action", **given)
    for shape in ((3,), (1, 3), (2, 1), (2, 2, 3)):
        with pytest.raises(SeqrlError, match=r"expected is \[2, 3\]: one goal a row"):
            model.read(history, "action", **given, goal_observation=np.ones(shape))
    assert model.read(history, "action", **given, goal_observation=np.ones((2, 3))).shape == (2, 2)
