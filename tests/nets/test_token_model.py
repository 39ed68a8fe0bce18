"""What every layout's model must obey, whoever declared it."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace

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
from seqrl.tokens.tokenizer import fit
from seqrl.tokens.windows import TokenBatch, Windows, live
from tests.tokens.test_signals import made
from tests.tokens.test_tokenizer import BINS, VECTORS

MIXED = TokenLayout(
    Part("observation", Vector(standardise=True), loss=0.5),
    Part("action", Bins(count=5), loss=1.0),
    Part("value", Bins(count=5), loss=0.0, attended=False),
    steps=3,
    positions="token",
)
"""Vectors and bins in one block, a predicted first token, a hidden part that nobody predicts."""

LAYOUTS = pytest.mark.parametrize(
    "layout", [VECTORS, BINS, MIXED], ids=["vectors", "bins", "mixed"]
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
    """Return the output at every token, nothing left out [B, T, S, D]."""
    out: Tensor = model.transformer(model.embed(values, steps), model.visible)
    return out.view(*steps.shape, model.tokens_a_step, -1)


def _double(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n: v.double() if v.is_floating_point() else v for n, v in values.items()}


def _changed(batch: TokenBatch, name: str, step: int, dimension: int) -> dict[str, Tensor]:
    """Change one entry of one signal at one step of every window."""
    values = {key: value.clone() for key, value in batch.values.items()}
    entry = values[name][:, step, dimension]
    values[name][:, step, dimension] = entry + 1.7 if entry.is_floating_point() else (entry + 1) % 5
    return values


@LAYOUTS
def test_a_later_token_changes_no_earlier_output(layout: TokenLayout) -> None:
    """A model that sees the future scores well in training and fails in the environment."""
    model, batch = model_of(layout), windows_of(layout)
    before = full(model, batch.values, batch.steps).flatten(1, 2)
    for step in range(layout.steps):
        for slot_number, slot in enumerate(model.tokenizer.slots):
            values = _changed(batch, slot.part.name, step, slot.dimension or 0)
            after = full(model, values, batch.steps).flatten(1, 2)
            token = step * model.tokens_a_step + slot_number
            torch.testing.assert_close(after[:, :token], before[:, :token], rtol=0, atol=0)
            assert not torch.allclose(after[:, token], before[:, token]), "the token is not read"


@LAYOUTS
def test_hidden_parts_change_no_output_but_their_own(layout: TokenLayout) -> None:
    """A value has seen the future: whoever attends to it has seen it too."""
    model, batch = model_of(layout), windows_of(layout)
    before = full(model, batch.values, batch.steps)
    for number, slot in enumerate(model.tokenizer.slots):
        if slot.part.attended:
            continue
        values = _changed(batch, slot.part.name, 0, slot.dimension or 0)
        after = full(model, values, batch.steps)
        same = torch.ones(layout.steps, model.tokens_a_step, dtype=torch.bool)
        same[0, number] = False
        torch.testing.assert_close(after[:, same], before[:, same], rtol=0, atol=0)
        assert not torch.allclose(after[:, 0, number], before[:, 0, number])


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
    flat = full(model, batch.values, batch.steps).flatten(1, 2)
    found = model(batch.values, batch.steps)
    assert set(found) == {part.name for part in layout.parts if part.loss}
    for name, read in found.items():
        place = model.places[name]
        for step in range(layout.steps):
            for i, slot in enumerate(range(place.start, place.stop)):
                token = step * model.tokens_a_step + slot
                expected = flat[:, token - 1] if token else torch.zeros_like(flat[:, 0])
                torch.testing.assert_close(read[:, step, i], expected, rtol=0, atol=1e-12)


@LAYOUTS
def test_the_loss_is_the_slow_obvious_sum(layout: TokenLayout) -> None:
    """Loops over windows, steps and dimensions, with the authors' two ways to average."""
    model, batch = model_of(layout), windows_of(layout)
    loss, _ = model.loss(batch)
    flat = full(model, batch.values, batch.steps).flatten(1, 2).detach()
    total = 0.0
    for part in layout.parts:
        if not part.loss:
            continue
        errors, place, values = [], model.places[part.name], batch.values[part.name]
        head = model.head(part.name)
        for window in range(len(flat)):
            for step in range(layout.steps):
                if not batch.has_loss[window, step]:
                    continue
                for i, slot in enumerate(range(place.start, place.stop)):
                    token = step * model.tokens_a_step + slot
                    if token == 0:
                        continue
                    seen, true = flat[window, token - 1], values[window, step]
                    if isinstance(head, VectorOut):
                        guess = head.map.weight.detach() @ seen + head.map.bias.detach()
                        guess = guess.tanh() if head.squash else guess
                        errors.append(float(((guess - true) ** 2).mean()))
                    else:
                        scores = head.weight[i].detach() @ seen
                        errors.append(float(scores.logsumexp(0) - scores[true[i]]))
        positions = len(flat) * (layout.steps * model.tokens_a_step - 1)
        over = len(errors) if layout.loss_over == "real steps" else positions
        total += part.loss * sum(errors) / over
    assert float(loss.detach()) == pytest.approx(total, rel=1e-9 if layout is VECTORS else 1e-6)


@pytest.mark.parametrize("layout", [VECTORS, MIXED], ids=["vectors", "mixed"])
def test_what_fills_a_window_changes_no_loss(layout: TokenLayout) -> None:
    """Filling that leaks into the loss makes short episodes look easy."""
    model, batch = model_of(layout), windows_of(layout)
    assert not batch.is_real.all()
    loss, _ = model.loss(batch)
    noise = {}
    for name, value in batch.values.items():
        other = torch.randn_like(value) if value.is_floating_point() else (value + 2) % 5
        noise[name] = torch.where(batch.is_real[..., None], value, other)
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
    ours = full(model, batch.values, batch.steps)
    size = VECTORS.steps
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


def test_what_is_read_while_playing_is_what_was_trained() -> None:
    """A live window built otherwise than the training's asks the network something it never saw."""
    episodes = made()
    tokenizer = fit(VECTORS, episodes)
    model = TokenModel(tokenizer, network(), torch.Generator().manual_seed(0)).eval()
    windows, number = Windows(tokenizer, episodes), 2
    episode, start = episodes[number], int(episodes.starts[number])
    to_go = ReturnToGo().offline(episodes)[start : start + len(episode), 0]
    for step in range(len(episode)):
        first = max(0, step + 1 - VECTORS.steps)
        batch = windows.at(torch.tensor([start + first]))
        read = model(batch.values, batch.steps)["action"]
        expected = model.head("action")(read)[0, step - first].detach().numpy()
        history = _played(episode, step, rows=3)
        wanted = np.repeat(to_go[None, : step + 1], 3, axis=0)
        np.testing.assert_allclose(wanted, to_go[0] - history.reward_before, atol=1e-5)
        found = model.read(history, "action", return_to_go=wanted)
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


def test_a_row_is_read_the_same_whoever_plays_beside_it() -> None:
    """An episode's return must not depend on who else is played, nor on its place among them."""
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
