"""`seqrl speed dt`: that the two sides do the same work is what makes their speeds comparable."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.data.source import import_data
from seqrl.errors import SeqrlError
from seqrl.nets.token_model import TokenModel
from seqrl.policy import Policy, about_policy
from seqrl.runs.source import Source
from seqrl.speed import dt, flops
from seqrl.speed.flops import training_flops
from seqrl.speed.playing import match
from seqrl.speed.published import loss_of, prepared, published
from seqrl.speed.race import BLOCK, Agreement, Race, Side
from seqrl.tokens.tokenizer import fit
from seqrl.tokens.windows import TokenBatch, Windows
from seqrl.training.checkpoint import tensors_of, write_checkpoint
from tests.conftest import Ended
from tests.data.making import layout, write_hdf5

LENGTHS = (30, 3, 25, 1, 60, 7)
"""Of the episodes: shorter and longer than the window of 20 steps."""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Data of a Hopper that behaves at random."""
    file = write_hdf5(tmp_path / "mine.hdf5", layout(LENGTHS))
    known = import_data(str(file), name="mine", environment="Hopper-v4", reference=(0.0, 100.0))
    return Source.of(known.name)


def race_of(source: Source, **network: object) -> Race:
    """A race in which dropout draws nothing, unless the network is given some."""
    agent = DecisionTransformer()
    settings = {"dropout": 0.0, **network}
    agent = replace(
        agent,
        network=replace(agent.network, **settings),  # type: ignore[arg-type]
        training=replace(agent.training, updates=10, batch=16, learning_rate=1e-3, warmup=0.8),
    )
    tokenizer = fit(agent.layout(), source.episodes)
    return Race(agent, tokenizer, Windows(tokenizer, source.episodes))


def lively(model: TokenModel, seed: int = 0) -> TokenModel:
    """Give it large weights: at the usual start attention hardly matters, and hides mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3 if weight.ndim > 1 else 0.1, generator=generator)
    return model


def model_of(race: Race, seed: int = 0) -> TokenModel:
    return lively(race.agent.model(race.tokenizer, torch.Generator()), seed)


def mapped(ours: TokenModel) -> dict[str, Tensor]:
    """Our weights under their names; without the layers of theirs that nothing is read from."""
    unused = ("encoder.wte", "encoder.wpe", "predict_state", "predict_return")
    weights = published(ours).state_dict()
    return {name: weight for name, weight in weights.items() if not name.startswith(unused)}


def double(batch: TokenBatch) -> TokenBatch:
    return replace(batch, values={name: value.double() for name, value in batch.values.items()})


@pytest.mark.parametrize(
    "network",
    [{"width": 32}, {"width": 24, "heads": 3, "layers": 2, "inner": 20}, {"layers": 1, "width": 8}],
)
def test_both_sides_are_one_network(source: Source, network: dict[str, int]) -> None:
    """Faster because it does something else would be no achievement: loss and every gradient."""
    race = race_of(source, **network)
    batches = [
        race.windows.draw(9, torch.Generator().manual_seed(1)),
        race.windows.at(torch.tensor([29, 32, 58])),  # one real step each
        race.windows.at(torch.tensor([0, 60])),  # no filling
    ]
    for seed, batch in enumerate(map(double, batches)):
        ours = model_of(race, seed)
        theirs = published(ours).double()
        ours.double()
        loss, _ = ours.loss(batch)
        expected = loss_of(theirs, prepared(batch, theirs))
        torch.testing.assert_close(loss, expected, atol=1e-9, rtol=1e-9)
        loss.backward()  # type: ignore[no-untyped-call]
        expected.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for weight in ours.parameters():
                assert weight.grad is not None
                weight.copy_(weight.grad)
        for name, gradient in mapped(ours).items():
            want = theirs.get_parameter(name).grad
            assert want is not None, name
            torch.testing.assert_close(gradient.double(), want, atol=1e-6, rtol=1e-5)


def test_both_sides_train_alike(source: Source, tmp_path: Path) -> None:
    """Other windows, another optimiser or another rate on one side: the weights would tell."""
    race = race_of(source, width=32)
    ours = race.ours(7, tmp_path)
    assert isinstance(ours.model, TokenModel)
    theirs = race.theirs(ours)
    before = {name: weight.clone() for name, weight in mapped(ours.model).items()}
    ours.until(5)
    theirs.until(5)
    torch.testing.assert_close(
        torch.stack(ours.losses), torch.stack(theirs.losses), atol=1e-6, rtol=1e-5
    )
    for name, weight in mapped(ours.model).items():
        torch.testing.assert_close(weight, theirs.model.get_parameter(name), atol=1e-5, rtol=1e-5)
        assert not torch.equal(weight, before[name]), f"{name} was not trained at all"


def test_dropout_is_everywhere_on_both_sides(source: Source, tmp_path: Path) -> None:
    """A side without dropout would be faster for nothing."""
    race = race_of(source, width=16, dropout=0.1)
    ours = race.ours(0, tmp_path)
    theirs = race.theirs(ours)
    places = [m for m in theirs.model.modules() if isinstance(m, nn.Dropout)]
    assert {place.p for place in places} == {0.1} == {race.agent.network.dropout}
    assert len(places) == 1 + 3 * 3  # what is embedded; in each block attention, and what is added
    for loop in (ours, theirs):
        loop.until(1)
        assert loop.model.training
    assert ours.losses[0] != theirs.losses[0]  # each draws its own


def test_both_sides_play_alike(source: Source) -> None:
    """The same network must do the same, at the start of an episode and once its window moves."""
    race = race_of(source, width=32)
    policy = Policy(race.agent, calm(model_of(race)), source.task, about={})
    found = match(policy, seed=0, episodes=3)
    assert found.compared > race.agent.context_steps
    assert found.apart < 1e-5
    assert len(found.returns) == found.theirs.episodes == 3 == found.ours.episodes
    for ours, theirs in found.returns:
        assert ours == pytest.approx(theirs, rel=1e-3)
    assert found.ours.steps == pytest.approx(found.theirs.steps, abs=3)


def calm(model: TokenModel) -> TokenModel:
    """Let it act little: a Hopper that is pushed hard falls before its window is full."""
    with torch.no_grad():
        model.get_parameter("outputs.action.map.weight").mul_(0.05)
    return model


@pytest.mark.parametrize(
    "network", [{}, {"layers": 1, "heads": 4, "width": 64}, {"layers": 2, "inner": 100}]
)
def test_counts_what_is_executed(source: Source, tmp_path: Path, network: dict[str, int]) -> None:
    """A count that says more than is done flatters the share of the peak."""
    race = race_of(source, dropout=0.1, **network)
    trainer = race.ours(0, tmp_path)
    assert isinstance(trainer.model, TokenModel)
    with FlopCounterMode(display=False) as counter:
        trainer.until(1)
    expected = training_flops(trainer.model, race.agent.training.batch)
    assert expected == counter.get_total_flops()


def test_sides_take_turns_and_the_first_block_is_left_out(source: Source) -> None:
    """The first updates are slow, and who is always first would always pay for it."""
    race = race_of(source, width=16)
    sides = [Side("seqrl", "float32"), Side("transformers", "float32")]
    with torch.random.fork_rng():
        state = torch.get_rng_state()
        race.run(sides, 0)
        assert torch.equal(torch.get_rng_state(), state)
    updates = race.agent.training.updates
    block = min(BLOCK, updates // 4)
    for side in sides:
        assert len(side.seconds) == -(-updates // block) - 1 and len(side.losses) == 1
    assert sides[0].loss == pytest.approx(sides[1].loss, rel=1e-5)  # without dropout
    slow, fast = Side("a", "float32", [4.0, 2.0, 8.0]), Side("b", "float32", [2.0, 1.0, 2.0])
    assert fast.times_faster(slow) == (2.0, 2.0, 3.0)
    assert fast.updates_per_second == 0.5


def test_theirs_is_in_bfloat16_too_where_ours_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours in bfloat16 against theirs in float32 alone says half of it."""
    cpu = torch.device("cpu")

    def listed(precision: dt.Precision) -> list[tuple[str, str]]:
        return [(side.name, side.precision) for side in dt._sides(precision, cpu)]

    monkeypatch.setattr(dt, "precision_on", lambda wanted, device: "float32")
    both = [("seqrl", "float32"), ("transformers", "float32")]
    assert listed("auto") == listed("float32") == both
    monkeypatch.setattr(dt, "precision_on", lambda wanted, device: "bfloat16")
    fast = [(name, "bfloat16") for name in ("seqrl", "transformers")]
    assert listed("auto") == [both[0], fast[0], both[1], fast[1]]
    assert listed("bfloat16") == [fast[0], both[1], fast[1]]


def test_refuses_what_cannot_be_compared(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Speeds of unequal work must not be printed."""
    race = race_of(source, width=16)
    wide = replace(race.tokenizer, action_high=race.tokenizer.action_high * 2)
    with pytest.raises(SeqrlError, match="not bounded by -1 and 1"):
        published(race.agent.model(wide, torch.Generator()))
    monkeypatch.setattr(dt, "agreement", lambda race, seed: Agreement(0.0, float("nan")))
    with pytest.raises(SeqrlError, match="computes another network"):
        dt._same_network(race, 0)
    other = replace(source.task, name="file/other")
    file = tmp_path / "policy.safetensors"
    model = model_of(race)
    write_checkpoint(file, tensors_of(model), about_policy(race.agent, source.task, race.tokenizer))
    assert dt._loaded(file, source.task, torch.device("cpu")).agent == race.agent
    with pytest.raises(SeqrlError, match="for file/other"):
        dt._loaded(file, other, torch.device("cpu"))


def test_the_command(
    seqrl: Callable[..., Ended], source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it prints is read by people, and by whoever checks the claim."""
    monkeypatch.setattr(dt, "DecisionTransformer", lambda: race_of(source, dropout=0.1).agent)
    monkeypatch.setattr(flops, "SIZES", {"cpu": (64,)})
    monkeypatch.setattr(flops, "PEAK_SECONDS", 0.01)
    tiny = ("speed", "dt", "--task", source.task.name, "--updates", 4, "--seeds", 1)
    text = seqrl(*tiny, "--episodes", 2, "--device", "cpu", "--precision", "float32")
    assert text.status == 0, text.err
    for wanted in (
        "seqrl, float32", "transformers, float32", "updates/s", "s/episode", "ms/step",
        "same network: without dropout", "same play: over the first", "GFLOP an update",
        "here in bfloat16", source.task.name, "dropout 0.1", "threads: 1", "torch 2",
        "transformers 5", "batches of 16 windows of 20 steps",
        "network played: the one trained for 4 updates",
    ):  # fmt: skip
        assert wanted in text.out, wanted
    assert "training, seed 1 of 1" in text.err and "seqrl plays 2 episodes" in text.err
    found = json.loads(seqrl(*tiny, "--episodes", 1, "--json").out)
    ours, theirs = found["sides"][0], found["sides"][-1]
    assert ours["name"] == "seqrl" and theirs["name"] == "transformers"
    assert ours["times_faster"][1] > 0 and ours["share_of_peak"]["float32"] > 0
    assert found["agreement"]["loss"] < 1e-5 and found["agreement"]["gradient_norm"] < 1e-5
    assert found["match"]["apart"] < 1e-5 and found["match"]["times_faster"] > 0


def test_says_what_is_missing(seqrl: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    """`transformers` comes with the dev extra alone."""
    monkeypatch.setattr("seqrl.errors.find_spec", lambda module: None)
    ended = seqrl("speed", "dt")
    assert ended.status == 2 and "pip install 'seqrl[dev]'" in ended.err
    monkeypatch.undo()
    assert seqrl("speed", "dt", "--updates", 3).status == 2
