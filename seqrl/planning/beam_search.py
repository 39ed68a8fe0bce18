"""Beam search: the Trajectory Transformer's planner, exact, for many episodes at once.

A plan grows by whole steps. Each beam is expanded by some candidates: an action is drawn, reward
and value are read. The candidates whose rewards and value add up to the most become the beams, and
each imagines what it will see next.

Letters: E episodes, W beams, n candidates a beam, R = E W n rows, H steps of a plan, S tokens a
step, c classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqrl.nets.token_model import TokenModel
from seqrl.planning.beams import Beams, Tokens
from seqrl.planning.decoder import Memory
from seqrl.planning.sampling import draw
from seqrl.planning.settings import BeamSearch, Sampling
from seqrl.planning.worth import worth


@dataclass(frozen=True, eq=False)
class Plans:
    """The best plan of each episode."""

    tokens: Tokens  # [E, H, S]
    value: NDArray[np.float64]
    """What was searched for the most of: discounted rewards and last value, or the logarithm of the
    probability [E]."""


@torch.no_grad()
def beam_search(
    model: TokenModel,
    how: BeamSearch,
    past: Tokens,
    now: Tokens,
    generators: Sequence[np.random.Generator],
    goals: Mapping[str, Tensor] | None = None,
) -> Plans:
    """Plan from past steps [E, C, S] and the present observation's tokens [E, o].

    Each episode draws from its own generator. `goals` are the prefix's values, as the model takes
    them [E, w].
    """
    beams = Beams(model, how, past, now, goals or {})
    return _BeamSearch(beams, how, generators).plans()


class _BeamSearch:
    """One search under way."""

    def __init__(
        self, beams: Beams, how: BeamSearch, generators: Sequence[np.random.Generator]
    ) -> None:
        self.beams, self.how, self.generators = beams, how, generators
        model = beams.decoder.model
        centres = {name: model.tokenizer.centres(name)[0] for name in ("reward", "value")}
        self.centres = {n: torch.from_numpy(c).to(model.positions) for n, c in centres.items()}

    def plans(self) -> Plans:
        """Grow the plans, and return the best."""
        how, beams = self.how, self.beams
        scores = beams.looked()  # [E, c]: of the first action token
        gains = scores.new_zeros(beams.episodes, 1, how.horizon + 1)
        discounts = how.discount ** torch.arange(how.horizon + 1, device=beams.device)
        discounts = discounts.to(gains.dtype)
        values = gains[..., 0]
        for step in range(how.horizon):
            tokens, twig, reward, value = self._candidates(scores)
            gains = gains.repeat_interleave(how.rows // gains.shape[1], 1)
            gains[..., step], gains[..., step + 1] = reward, value
            values, best = self._best((gains * discounts).sum(-1))
            gains = gains.gather(1, best[..., None].expand(-1, -1, gains.shape[-1]))
            self._keep(tokens, twig, best)
            if step < how.horizon - 1:
                scores = self._imagined(beams.onward())
        beams.closed()
        return Plans(beams.plan, values[:, 0].double().cpu().numpy())  # the first beam is the best

    def _candidates(self, scores: Tensor) -> tuple[Tensor, Memory, Tensor, Tensor]:
        """Draw an action for each candidate, and read reward and value.

        The candidates' tokens [R, ...] from the action on, what the network remembers of them, and
        what their rewards and values are worth [E, W n].
        """
        how, beams = self.how, self.beams
        rows = beams.episodes * how.rows
        scores = scores.repeat_interleave(rows // len(scores), 0)  # [R, c]
        twig = Memory.room(beams.decoder, rows, beams.value - beams.acted.start + 1)
        tokens, found = [], []
        for slot in range(beams.acted.start, beams.size):
            sampling = how.action if slot < beams.reward else how.reward
            if slot >= beams.reward:
                centres = self.centres["reward" if slot == beams.reward else "value"]
                found.append(worth(scores, centres, how.percentile))
            drawn = self._drawn(sampling, scores, how.rows)
            tokens.append(drawn)
            if slot < beams.value:
                scores = beams.tried(drawn, slot, twig)
        reward, value = (part.view(beams.episodes, how.rows) for part in found)
        return torch.stack(tokens, 1), twig, reward, value

    def _best(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the best candidates' values and places [E, W], the best first; of equals, the
        earlier. Candidates with one action but unlike reward tokens are equal, whatever the last
        bits say, so float32 decides."""
        ordered = values.float().sort(dim=1, descending=True, stable=True)
        best = ordered.indices[:, : self.how.beam_width]
        return values.gather(1, best), best

    def _keep(self, tokens: Tensor, twig: Memory, best: Tensor) -> None:
        """Let the best candidates [E, W] be the beams."""
        beams = self.beams
        each = self.how.rows // len(beams)
        rows = beams.rows(best, self.how.rows)
        beams.chosen(torch.div(best, each, rounding_mode="floor"), (twig, rows))
        beams.added(tokens[rows])

    def _imagined(self, scores: Tensor) -> Tensor:
        """Draw what each beam sees next; the scores of its first action token [E W, c]."""
        for _ in range(self.beams.observed.start, self.beams.observed.stop):
            drawn = self._drawn(self.how.observation, scores, len(self.beams))
            scores = self.beams.grown(drawn[:, None])
        return scores

    def _drawn(self, sampling: Sampling, scores: Tensor, each: int) -> Tensor:
        """Draw a token for each row, from the generator of its episode."""
        if not sampling.needs_chance:
            return draw(sampling, scores, None)
        numbers = np.concatenate([generator.random(each) for generator in self.generators])
        return draw(sampling, scores, torch.from_numpy(numbers).to(scores))
