"""The training loop against a plain one, killed and not, and when it goes wrong."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seqrl.episodes import Episodes
from seqrl.nets.network import Network
from seqrl.nets.token_model import TokenModel
from seqrl.seeds import seed_for
from seqrl.tokens.layout import TokenLayout
from seqrl.tokens.tokenizer import fit
from seqrl.tokens.windows import Windows
from seqrl.training import trainer as module
from seqrl.training.device import precision_on
from seqrl.training.settings import Training
from seqrl.training.trainer import NotFinite, Trainer
from tests.tokens.test_signals import made
from tests.tokens.test_tokenizer import BINS, VECTORS

SETTINGS = Training(
    updates=12,
    batch=8,
    learning_rate=1e-2,
    weight_decay=0.1,
    clip=0.5,
    decay="cosine",
    precision="float32",
)


def network(dropout: float = 0.1) -> Network:
    return Network(layers=2, heads=2, width=16, dropout=dropout, normalise_embeddings=True)


def trainer(
    folder: Path,
    *,
    settings: Training = SETTINGS,
    layout: TokenLayout = VECTORS,
    episodes: Episodes | None = None,
    dropout: float = 0.1,
    seed: int = 0,
    **more: Any,
) -> Trainer:
    episodes = made() if episodes is None else episodes
    tokenizer = fit(layout, episodes)
    model = TokenModel(tokenizer, network(dropout), torch.Generator().manual_seed(seed))
    windows = Windows(tokenizer, episodes)
    return Trainer(model, windows, settings, seed=seed, folder=folder, about={}, **more)


def weights(made: Trainer) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in made.model.state_dict().items()}


def equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("layout", [VECTORS, BINS], ids=["vectors", "bins"])
@pytest.mark.parametrize("decay_on", ["everything", "matrices"])
def test_it_is_the_plain_loop(tmp_path: Path, layout: TokenLayout, decay_on: Any) -> None:
    """A rate that is one update late, or a clip after the step, shows in no loss curve."""
    settings = replace(SETTINGS, decay_on=decay_on)
    ours = trainer(tmp_path, settings=settings, layout=layout, dropout=0.0)
    plain = trainer(tmp_path / "other", layout=layout, dropout=0.0)
    model, windows = plain.model, plain.windows
    tables = ("table", "positions", "end")
    kept = {
        name: decay_on == "everything"
        or (weight.ndim > 1 and not name.endswith(tables) and "norm" not in name)
        for name, weight in model.named_parameters()
    }
    optimizer = torch.optim.AdamW(
        [
            {"params": [weight], "weight_decay": 0.1 if kept[name] else 0.0}
            for name, weight in model.named_parameters()
        ],
        foreach=False,
    )
    ours.until(12)
    for update in range(12):
        generator = torch.Generator().manual_seed(seed_for(0, "windows", update))
        loss, _ = model.loss(windows.draw(8, generator))
        model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = sum(float(w.grad.square().sum()) for w in model.parameters() if w.grad is not None)
        shrink = min(1.0, 0.5 / (norm**0.5 + 1e-6))
        for group, weight in zip(optimizer.param_groups, model.parameters(), strict=True):
            assert weight.grad is not None
            weight.grad *= shrink
            group["lr"] = settings.rate(update)
        optimizer.step()
    for name, weight in ours.model.named_parameters():
        expected = dict(model.named_parameters())[name]
        torch.testing.assert_close(weight, expected, rtol=2e-4, atol=2e-5, msg=name)


@pytest.mark.parametrize("stops", [[1], [5], [11], [3, 4, 9]])
def test_a_training_cut_anywhere_ends_with_the_same_bits(tmp_path: Path, stops: list[int]) -> None:
    """Lost optimiser memory or a restarted dropout stream gives other weights, and no error."""
    whole = trainer(tmp_path / "whole")
    whole.until(12)
    for stop in stops:
        trainer(tmp_path / "cut").until(stop)
    last = trainer(tmp_path / "cut")
    assert last.update == stops[-1]
    torch.manual_seed(99)
    last.until(12)
    assert equal(weights(last), weights(whole))


def test_what_happens_between_updates_changes_nothing(tmp_path: Path) -> None:
    """More evaluations on the way must not give another training."""
    whole, other = trainer(tmp_path / "whole"), trainer(tmp_path / "other")
    whole.until(12)
    for update in range(1, 13):
        other.until(update)
        torch.manual_seed(update)
        torch.rand(7)
        other.model.eval()
    assert equal(weights(other), weights(whole))


def test_it_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    """Who uses the library from a notebook has chance of their own."""
    made = trainer(tmp_path)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    made.until(2)
    assert torch.equal(torch.rand(4), expected)


def test_seeds_differ(tmp_path: Path) -> None:
    """Seeds that share windows are not replications."""
    one, other = trainer(tmp_path / "1"), trainer(tmp_path / "2", seed=1)
    assert not torch.equal(
        one._batch(0).values["observation"], other._batch(0).values["observation"]
    )
    assert not torch.equal(one._batch(0).values["observation"], one._batch(1).values["observation"])


def _lines(made: Trainer) -> list[dict[str, float]]:
    return [json.loads(line) for line in made.metrics.read_text().splitlines()]


def test_metrics_are_means_and_survive_a_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A curve with doubled or missing stretches after a restart cannot be read."""
    monkeypatch.setattr(module, "METRICS_EVERY", 5)
    whole = trainer(tmp_path / "whole")
    losses = []
    for update in range(12):
        whole.until(update + 1)
        losses.append(whole._loss)
    heard: list[Mapping[str, float]] = []
    cut = trainer(tmp_path / "cut", told=heard.append)
    cut.until(7)
    again = trainer(tmp_path / "cut", told=heard.append)
    with again.metrics.open("a") as out:  # what a kill after update 10 would have left
        out.write(json.dumps({"update": 10}) + '\n{"upda')
    third = trainer(tmp_path / "cut", told=heard.append)
    third.until(12)
    found, expected = _lines(third), _lines(whole)
    assert [line["update"] for line in found] == [5, 10, 12] == [line["update"] for line in heard]
    for mine, theirs in zip(found, expected, strict=True):
        for name in ("loss", "error.action", "gradient_norm", "learning_rate"):
            assert mine[name] == theirs[name]
    assert found[1]["learning_rate"] == SETTINGS.rate(9)
    assert found[0]["loss"] == pytest.approx(np.mean([*losses[:4], _fifth(tmp_path)]), rel=1e-5)


def _fifth(folder: Path) -> float:
    made = trainer(folder / "fifth")
    made.until(4)
    made._step()
    return float(made._since[-1]["loss"])


def test_held_out_error_is_measured_without_dropout_and_without_a_trace(tmp_path: Path) -> None:
    """An error measured with dropout is too large; one that draws chance changes the training."""
    episodes = made((9, 8, 7, 6))
    tokenizer = fit(VECTORS, episodes)
    held_out = Windows(tokenizer, episodes, chosen=np.array([3]))
    looked = trainer(tmp_path / "looked", episodes=episodes, held_out=held_out)
    plain = trainer(tmp_path / "plain", episodes=episodes)
    looked.until(12)
    plain.until(12)
    assert equal(weights(looked), weights(plain))
    said = _lines(looked)[-1]["held_out.action"]
    looked.model.eval()
    _, errors = looked.model.loss(Windows(tokenizer, episodes).at(torch.arange(24, 30)))
    assert said == pytest.approx(float(errors["action"]), rel=1e-5)
    assert "held_out.action" not in _lines(plain)[-1]


def _wild(value: float) -> Episodes:
    episodes = made((9, 8, 7, 6))
    rewards = episodes.rewards.copy()
    rewards[9] = value
    return replace(episodes, columns={**episodes.columns, "rewards": rewards})


def test_a_signal_out_of_range_is_named(tmp_path: Path) -> None:
    """ "Loss is nan" without a cause costs a day."""
    wild = trainer(tmp_path, episodes=_wild(3e37), settings=replace(SETTINGS, updates=100))
    with pytest.raises(NotFinite) as refusal:
        wild.until(100)
    said = str(refusal.value)
    assert "return_to_go is far out of range" in said and "return_to_go up to 3e+34" in said
    assert "in update " in said and all(torch.isfinite(w).all() for w in weights(wild).values())


def test_a_training_that_runs_away_leaves_its_last_good_state(tmp_path: Path) -> None:
    """What was good an hour ago must not be overwritten by what is broken now."""
    settings = replace(SETTINGS, clip=None, updates=400)
    calm = trainer(tmp_path, settings=settings)
    calm.until(3)
    before = weights(calm)
    wild = trainer(tmp_path, settings=replace(settings, learning_rate=1e30))
    assert wild.update == 3
    with pytest.raises(NotFinite, match=r"lower training\.learning_rate") as refusal:
        wild.until(400)
    assert "state.safetensors holds the last good state" in str(refusal.value)
    after = trainer(tmp_path, settings=settings)
    assert after.update == 3 and equal(weights(after), before)


def test_bfloat16_is_taken_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulated half precision takes forty times as long, and nobody would know why."""
    cpu = torch.device("cpu")
    for has in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has: has)
        assert precision_on("auto", cpu) == ("bfloat16" if has else "float32")
    assert precision_on("bfloat16", cpu) == "bfloat16"


def test_half_precision_trains_nearly_the_same(tmp_path: Path) -> None:
    """Autocast that reaches the loss or the weights would lose small updates."""
    full = trainer(tmp_path / "full", dropout=0.0)
    half = trainer(tmp_path / "half", dropout=0.0, settings=replace(SETTINGS, precision="bfloat16"))
    full.until(12)
    half.until(12)
    assert half.precision == "bfloat16"
    assert all(weight.dtype == torch.float32 for weight in half.model.parameters())
    assert half._loss == pytest.approx(full._loss, rel=0.05)
    assert half._loss != full._loss
