"""Imagining: what a model thinks will be seen, many steps ahead, if these actions are taken.

Nothing comes in from outside but the actions: what has been imagined is the past of what follows.

Letters: R rows, C past steps, H steps ahead, S tokens a step, o observation width, a action width,
m tokens, c classes.
"""

import torch
from torch import Tensor

from seqrl.nets.token_model import TokenModel
from seqrl.planning.beams import Tokens
from seqrl.planning.decoder import Decoder, Memory


@torch.no_grad()
def imagined(model: TokenModel, past: Tokens, now: Tokens, actions: Tokens) -> Tokens:
    """Imagine the observations [R, H, o] that follow the actions [R, H, a], the first of which is
    taken at the present observation [R, o], after past steps [R, C, S]. Each token is the
    likeliest.

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
        window = _Window(decoder, len(whole))
        window.see(torch.cat([whole.flatten(1), begun], 1))
        given = window.imagined(places["value"].stop - places["reward"].start)
        whole = torch.cat([whole, torch.cat([begun, given], 1)[:, None]], 1)
        present = window.imagined(places["observation"].stop)
        found.append(present)
    return torch.stack(found, 1).cpu().numpy()


class _Window:
    """What the network sees of some rows: tokens one behind the other, from a step's first on."""

    def __init__(self, decoder: Decoder, rows: int) -> None:
        """See nothing yet."""
        self.decoder = decoder
        edges = decoder.model.tokenizer.edges
        self.bins = [edges[slot.name].shape[1] - 1 for slot in decoder.slots]
        self.memory = Memory.room(decoder, rows, len(decoder.model.positions))
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

    def imagined(self, count: int) -> Tensor:
        """Take the likeliest of the next tokens [R, count], and see them.

        Never the end: the actions say that the episode goes on.
        """
        tokens = []
        for _ in range(count):
            slot = self.length % len(self.bins)
            scores = self.decoder.scores(self.out, slot)[:, : self.bins[slot]]
            tokens.append(scores.argmax(-1))
            self.see(tokens[-1][:, None])
        return torch.stack(tokens, 1)
