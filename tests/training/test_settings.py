"""Learning rates against closed forms; settings that are refused."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from matplotlib.figure import Figure

from seqrl.errors import SeqrlError
from seqrl.plain import changed_by_text, fields_of
from seqrl.runs.description import training_in_words
from seqrl.runs.experiment import experiment_named
from seqrl.training.settings import Training


def test_the_decision_transformers_schedule() -> None:
    """Its authors: linear over 10,000 of 100,000 updates, min((update + 1) / 10000, 1)."""
    training = Training(updates=100_000, learning_rate=1e-4)
    for update in (0, 1, 4_999, 9_998, 9_999, 10_000, 99_999):
        expected = 1e-4 * min((update + 1) / 10_000, 1.0)
        assert training.rate(update) == pytest.approx(expected, rel=1e-12)


def test_the_trajectory_transformers_schedule() -> None:
    """Its authors: half a cosine after the warm-up, never below a tenth."""
    training = Training(updates=1000, warmup=0.05, decay="tt", learning_rate=6e-4)
    for update in (50, 300, 700, 900, 999):
        progress = (update - 50) / (1000 - 50)
        expected = 6e-4 * max(0.1, 0.5 * (1 + math.cos(math.pi * progress)))
        assert training.rate(update) == pytest.approx(expected, rel=1e-12)
    assert training.rate(24) == pytest.approx(6e-4 * 25 / 50)
    assert training.rate(999) == pytest.approx(6e-5)


def test_the_trajectory_transformers_schedule_as_its_authors_code_counts_it(tmp_path: Path) -> None:
    """Nothing holds their cosine at its end: it rises again after epoch 20, and a training of 50
    epochs ends in the middle of a fall. Counted here token by token, as they do."""
    batch, windows, tokens = 256, 25_600, 249
    settings = experiment_named("paper").agent("TT", "d4rl/hopper-medium-v2").training
    settings = replace(settings, updates=5_000, batch=batch)
    theirs, counted, rate = [], 0, settings.learning_rate
    warmup, final = windows * tokens, 20 * windows * tokens
    for _ in range(settings.updates):
        theirs.append(rate)
        counted += batch * tokens
        if counted < warmup:
            share = counted / warmup
        else:
            turned = math.pi * (counted - warmup) / (final - warmup)
            share = max(0.1, 0.5 + 0.5 * math.cos(turned))
        rate = settings.learning_rate * share
    epoch = windows / batch
    ours = [settings.rate(update, epoch) for update in range(settings.updates)]
    assert ours == pytest.approx(theirs, rel=1e-9)
    full, after = settings.learning_rate, {number: ours[number * 100] for number in (1, 20, 39)}
    assert ours[0] == full and ours[1] == pytest.approx(full / epoch)
    assert after[1] == pytest.approx(full) and after[20] == pytest.approx(0.1 * full)
    assert after[39] == pytest.approx(full), "up again"
    assert 0.1 * full < ours[-1] < 0.5 * full and ours[-1] < ours[-50], "it ends while it falls"
    once = replace(settings, decay="tt")
    down = [once.rate(update, epoch) for update in range(settings.updates)]
    assert down[100:] == sorted(down[100:], reverse=True)
    assert down[-1] == pytest.approx(0.1 * full)
    _plot(tmp_path / "rates.png", ours, down, epoch)


def _plot(file: Path, ours: list[float], down: list[float], epoch: float) -> None:
    """Draw both, for whoever wants to see them: pytest says where with --basetemp."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    epochs = [update / epoch for update in range(len(ours))]
    axes.plot(epochs, ours, label="tt_code: as the authors' code counts (paper)")
    axes.plot(epochs, down, label="tt: once (default)")
    axes.set(xlabel="epoch", ylabel="learning rate")
    axes.legend()
    figure.savefig(file)
    assert file.stat().st_size > 10_000


def test_a_warm_up_can_last_an_epoch() -> None:
    """The authors' warm-up is one pass over the data, however long the training is."""
    training = Training(updates=1000, warmup="epoch", learning_rate=1.0)
    assert training.rate(9, epoch=40.0) == pytest.approx(10 / 40)
    assert training.rate(39, epoch=40.0) == training.rate(999, epoch=40.0) == 1.0
    assert changed_by_text(training, "warmup", "epoch") == replace(training, warmup="epoch")
    assert changed_by_text(training, "warmup", "0.2") == replace(training, warmup=0.2)


def test_a_line_ends_at_nothing_as_transformers_has_it() -> None:
    """A course's schedule that is another one trains another network. The closed form is that of
    get_linear_schedule_with_warmup in transformers, whose warm-up is one update behind ours."""
    training = Training(updates=1920, warmup=0.1, decay="linear", learning_rate=1e-4)
    for update in (192, 193, 1056, 1918, 1919):
        expected = 1e-4 * (1920 - update) / (1920 - 192)
        assert training.rate(update) == pytest.approx(expected, rel=1e-12)
    for update in (0, 1, 95, 190, 191):
        assert training.rate(update) == pytest.approx(1e-4 * (update + 1) / 192, rel=1e-12)
    assert training.rate(1056) == pytest.approx(0.5e-4), "half way down"
    assert Training(updates=4, warmup=0.0, decay="linear", learning_rate=1.0).rate(0) == 1.0
    assert Training(updates=1, warmup=1.0, decay="linear", learning_rate=1.0).rate(0) == 1.0


def test_our_line_is_that_of_transformers() -> None:
    """Prevents: a closed form copied with its mistake into code and test."""
    torch = pytest.importorskip("torch")
    schedule = pytest.importorskip("transformers.optimization").get_linear_schedule_with_warmup
    settings = Training(updates=100, warmup=0.1, decay="linear", learning_rate=1e-4)
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=1e-4)
    theirs = schedule(optimizer, num_warmup_steps=10, num_training_steps=100)
    found = []
    for _ in range(100):
        found.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    ours = [settings.rate(update) for update in range(100)]
    assert ours[10:] == pytest.approx(found[10:], rel=1e-9)
    assert ours[:9] == pytest.approx(found[1:10], rel=1e-9)


def test_a_cosine_ends_at_nothing() -> None:
    """A last update at a high rate leaves the weights where chance had them."""
    training = Training(updates=1000, decay="cosine", learning_rate=1.0)
    rates = [training.rate(update) for update in range(1000)]
    assert max(rates) == pytest.approx(1.0, abs=1e-4) and rates[-1] < 1e-4
    assert rates[549] == pytest.approx(0.5, abs=0.01)
    assert sorted(rates[100:], reverse=True) == rates[100:]
    no_warmup = Training(updates=10, warmup=0.0, decay="cosine", learning_rate=1.0)
    assert no_warmup.rate(0) == 1.0
    assert Training(updates=1, warmup=1.0, learning_rate=1.0).rate(0) == 1.0


def test_every_fall_can_be_told() -> None:
    """A fall without words ends `seqrl show` in the middle."""
    falls = get_args(fields_of(Training)["decay"])
    said = {training_in_words(Training(decay=fall)) for fall in falls}
    assert len(said) == len(falls) == 5
    assert "0.0001, rising over the first 10%, falling along a line to zero;" in training_in_words(
        Training(decay="linear")
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"updates": 0},
        {"batch": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"warmup": 1.5},
        {"warmup": 0.0, "decay": "tt_code"},
        {"weight_decay": -1.0},
        {"clip": 0.0},
        {"betas": (0.9, 1.0)},
        {"held_out": 0.9},
    ],
)
def test_what_cannot_be_trained_is_refused(wrong: dict[str, Any]) -> None:
    """It must not be found out after the data was prepared."""
    with pytest.raises(SeqrlError, match=f"Training: {next(iter(wrong))} is"):
        Training(**wrong)
