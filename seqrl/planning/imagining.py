"""Imagining: what a model thinks will be seen, many steps ahead, if these actions are taken.

Nothing comes in from outside but the actions: what has been imagined is the past of what follows.

Letters: R rows, C past steps, H steps ahead, S tokens a step, o observation width, a action width,
m tokens, c classes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from seqrl.nets.token_model import TokenModel
from seqrl.planning.beam_search import Tokens
from seqrl.planning.decoder import Decoder, Memory
from seqrl.planning.sampling import draw
from seqrl.planning.settings import Sampling


@torch.no_grad()
def imagined(
    model: TokenModel,
    past: Tokens,
    now: Tokens,
    actions: Tokens,
    generators: Sequence[np.random.Generator],
    *,
    observation: Sampling,
    reward: Sampling,
) -> Tokens:
    """Imagine the observations [R, H, o] that follow the actions [R, H, a], the first of which is
    taken at the present observation [R, o], after past steps [R, C, S].

    What a step gives, and what is seen after it, is imagined by looking at as many steps as fit
    into the trained window, with the observation that is imagined as the last of them; counted
    anew from the first. A window of two steps sees the present step, and no past.
    """
    decoder, places, device = Decoder(model), model.places, model.positions.device
    before = model.tokenizer.layout.steps - 2  # besides the present step and what is seen after it
    whole, taken = torch.from_numpy(past).to(device), torch.from_numpy(actions).to(device)
    present, found = torch.from_numpy(now).to(device), []
    for step in range(taken.shape[1]):
        whole = whole[:, max(0, whole.shape[1] - before) :]
        begun = torch.cat([present, taken[:, step]], 1)
        window = _Window(decoder, generators)
        window.see(torch.cat([whole.flatten(1), begun], 1))
        given = window.imagine(reward, places["value"].stop - places["reward"].start)
        whole = torch.cat([whole, torch.cat([begun, given], 1)[:, None]], 1)
        present = window.imagine(observation, places["observation"].stop)
        found.append(present)
    return torch.stack(found, 1).cpu().numpy()


class _Window:
    """What the network sees of some rows: tokens one behind the other, from a step's first on."""

    def __init__(self, decoder: Decoder, generators: Sequence[np.random.Generator]) -> None:
        """See nothing yet."""
        self.decoder, self.generators = decoder, generators
        edges = decoder.model.tokenizer.edges
        self.bins = [edges[slot.name].shape[1] - 1 for slot in decoder.slots]
        self.memory = Memory.room(decoder, len(generators), len(decoder.model.positions))
        self.length = 0
        """Tokens so far, with those that nobody may look at."""
        self.out: Tensor
        """The network's output at the last of them [R, D]."""

    def see(self, tokens: Tensor) -> None:
        """Let the network see the next tokens [R, m]."""
        size, hidden = len(self.bins), self.decoder.hidden
        places = range(self.length, self.length + tokens.shape[1])
        shown = [place for place in places if not hidden[place % size]]
        if shown:
            self._pass(tokens, shown, stored=True)
        if hidden[places[-1] % size]:
            self._pass(tokens, [places[-1]], stored=False)
        self.length = places.stop

    def _pass(self, tokens: Tensor, places: list[int], *, stored: bool) -> None:
        where = torch.tensor(places, device=tokens.device)
        slots = [place % len(self.bins) for place in places]
        x = self.decoder.embedded(tokens[:, where - self.length], slots, where)
        self.out = self.decoder.passed(x, [], self.memory, stored=stored)

    def imagine(self, sampling: Sampling, count: int) -> Tensor:
        """Draw the next tokens [R, count], and see them.

        Never the end: the actions say that the episode goes on.
        """
        tokens = []
        for _ in range(count):
            slot = self.length % len(self.bins)
            scores = self.decoder.scores(self.out, slot)[:, : self.bins[slot]]
            drawn = draw(sampling, scores, self._chance(sampling, scores))
            tokens.append(drawn)
            self.see(drawn[:, None])
        return torch.stack(tokens, 1)

    def _chance(self, sampling: Sampling, scores: Tensor) -> Tensor | None:
        """Return a uniform number for each row, from its own generator."""
        if not sampling.needs_chance:
            return None
        numbers = np.array([generator.random() for generator in self.generators])
        return torch.from_numpy(numbers).to(scores)
