"""Small random models that plan, and random cases of planning with them."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqrl.episodes import History
from seqrl.nets.network import Network
from seqrl.nets.token_model import TokenModel
from seqrl.planning.settings import BeamSearch, Sampling
from seqrl.tokens.layout import Bins, Part, TokenLayout, Vector
from seqrl.tokens.signals import Reward, Value
from seqrl.tokens.tokenizer import DataFacts, Tokenizer


def layout(bins: int, steps: int, *, attended: bool = False, **more: Any) -> TokenLayout:
    return TokenLayout(
        Part("observation", Bins(count=bins), loss=1.0),
        Part("action", Bins(count=bins), loss=5.0),
        Part(Reward(-100.0), Bins(count=bins), loss=1.0),
        Part(Value(0.99, -100.0), Bins(count=bins), loss=1.0, attended=attended),
        steps=steps,
        positions="token",
        loss_over="all positions",
        **more,
    )


def tokenizer_of(made: TokenLayout, observation: int, action: int, seed: int) -> Tokenizer:
    """Fit it to nothing: edges are random."""
    generator = np.random.default_rng(seed)
    widths = {"observation": observation, "action": action, "reward": 1, "value": 1}
    widths |= {name: widths[part.name] for name, part in made.goals.items()}
    encodings = {name: part.encoding for name, part in made.named.items()}
    binned = {name: e.count for name, e in encodings.items() if isinstance(e, Bins)}
    edges = {
        name: np.sort(generator.normal(size=(widths[name], bins + 1)), 1)
        for name, bins in binned.items()
    }
    vectors = [name for name in encodings if name not in binned]
    return Tokenizer(
        layout=made,
        data=DataFacts(
            name="x", fingerprint="", episodes=1, steps=9, best_return=1, mean_return=0, horizon=99
        ),
        widths=widths,
        shifts={name: np.zeros(widths[name], np.float32) for name in vectors},
        scales={name: np.ones(widths[name], np.float32) for name in vectors},
        edges=edges,
        action_low=-np.ones(action, np.float32),
        action_high=np.ones(action, np.float32),
    )


def lively(model: TokenModel, seed: int) -> TokenModel:
    """Give it weights with which attention matters, in float64."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.4 if weight.ndim > 1 else 0.2, generator=generator)
    return model


class Case:
    """One random case: a model, how to plan, and what has been seen."""

    def __init__(self, number: int) -> None:
        draw = random.Random(number)
        bins, horizon = draw.choice([3, 5, 9]), draw.randint(1, 5)
        window = draw.choice(["published", "full"])
        context = draw.randint(2 if window == "published" else 1, 4)
        goals: tuple[Part, ...] = ()
        if draw.random() < 0.3:
            encoding: Bins | Vector = Bins(count=4) if draw.random() < 0.5 else Vector()
            goals = (Part("observation", encoding),)
        steps = context + (horizon if window == "full" else 0) + draw.randint(0, 2)
        made = layout(
            bins,
            steps,
            attended=draw.random() < 0.2,
            prefix=goals,
            after_end=draw.choice(["filling", "end token"]),
        )
        tokenizer = tokenizer_of(made, draw.randint(1, 3), draw.randint(1, 3), number)
        heads = draw.choice([1, 2])
        network = Network(layers=draw.randint(1, 3), heads=heads, width=8 * heads)
        self.model = lively(TokenModel(tokenizer, network, torch.Generator()), number)
        self.how = BeamSearch(
            horizon=horizon,
            beam_width=draw.choice([1, 2, 5]),
            expansion=draw.choice([1, 2, 3]),
            observation=draw.choice([Sampling(top_k=1), Sampling(top_k=2), Sampling(cdf=0.3)]),
            action=draw.choice([Sampling(cdf=0.6), Sampling(), Sampling(temperature=0.5, top_k=2)]),
            reward=draw.choice([Sampling(top_k=1), Sampling(top_k=1), Sampling()]),
            percentile=draw.choice([None, None, 0.7]),
            discount=draw.choice([0.99, 0.5]),
            context_steps=context,
            window=window,  # type: ignore[arg-type]
        )
        generator = np.random.default_rng(number)
        self.episodes = draw.choice([1, 2, 3])
        size, seen = self.model.tokens_a_step, tokenizer.widths["observation"]
        past = draw.randint(0, context)
        self.past = generator.integers(0, bins, (self.episodes, past, size))
        self.now = generator.integers(0, bins, (self.episodes, seen))
        self.goals: dict[str, Tensor] = {}
        for name, part in made.goals.items():
            shape = (self.episodes, tokenizer.widths[name])
            binned = isinstance(part.encoding, Bins)
            drawn = generator.integers(0, 4, shape) if binned else generator.normal(size=shape)
            self.goals[name] = torch.from_numpy(drawn)

    def generators(self) -> list[np.random.Generator]:
        return [np.random.default_rng(70 + episode) for episode in range(self.episodes)]


def played(model: TokenModel, *, rows: int, steps: int) -> History:
    """Make a history of random steps."""
    generator, widths = np.random.default_rng(3), model.tokenizer.widths
    drawn = generator.normal(size=(steps + 1, rows, widths["observation"])).astype(np.float32)
    history = History(
        drawn[0],
        action_width=widths["action"],
        horizon=20,
        generators=[np.random.default_rng(row) for row in range(rows)],
    )
    for after in drawn[1:]:
        action = generator.uniform(-1, 1, (rows, widths["action"]))
        history.add(action, generator.normal(size=rows), after)
    return history
