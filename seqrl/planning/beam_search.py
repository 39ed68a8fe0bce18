"""Beam search: the Trajectory Transformer's planner, exact, for many episodes at once.

A plan grows by whole steps. Each beam is expanded by some candidates: an action is drawn, reward
and value are read. The candidates whose rewards and value add up to the most become the beams, and
each imagines what it will see next.

Letters: E episodes, W beams, n candidates a beam, R = E W n rows, H steps of a plan, C past steps,
k steps before the present one, S tokens a step, c classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqrl.nets.token_model import TokenModel
from seqrl.planning.decoder import Decoder, Memory, joined
from seqrl.planning.sampling import draw
from seqrl.planning.settings import BeamSearch, Sampling

Tokens = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Plans:
    """The best plan of each episode."""

    tokens: Tokens  # [E, H, S]
    value: NDArray[np.float64]
    """Discounted rewards and last value of each [E]."""


@torch.no_grad()
def search(
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
    return _Search(model, how, past, now, generators, goals or {}).plans()


class _Search:
    """One search under way: the beams, and what the network remembers of them."""

    def __init__(
        self,
        model: TokenModel,
        how: BeamSearch,
        past: Tokens,
        now: Tokens,
        generators: Sequence[np.random.Generator],
        goals: Mapping[str, Tensor],
    ) -> None:
        how.check(model.tokenizer)
        self.how, self.decoder, self.generators = how, Decoder(model), generators
        self.device = model.positions.device
        self.size = len(self.decoder.slots)
        places = model.places
        self.observed, self.acted = places["observation"], places["action"]
        self.reward, self.value = places["reward"].start, places["value"].start
        self.seen_slots = [s for s in range(self.size) if not self.decoder.hidden[s]]
        self.episodes, self.steps = len(past), past.shape[1]
        """Steps that are whole: past ones and planned ones."""
        self.sequence = torch.from_numpy(past[:, None]).to(self.device)  # [E, beams, k, S]
        self.first_slots = torch.from_numpy(now[:, None]).to(self.device)  # [E, beams, o]
        """The present observation of each beam."""
        self.goals = self._goal_memory(goals)
        self.begin = how.start(self.steps)
        self.shared, self.trunk = self.goals, Memory.room(self.decoder, self.episodes, 0)
        worth = {n: model.tokenizer.centres(n)[0] for n in ("reward", "value")}
        self.worth = {n: torch.from_numpy(w).to(model.positions) for n, w in worth.items()}

    # ---- the search ----------------------------------------------------------------------------

    def plans(self) -> Plans:
        """Grow the plans, and return the best."""
        how, episodes = self.how, self.episodes
        scores = self._past()  # [E, c]: of the first action token
        gains = self.worth["reward"].new_zeros(episodes, 1, how.horizon + 1)
        discounts = how.discount ** torch.arange(how.horizon + 1, device=self.device)
        discounts = discounts.to(gains.dtype)
        values = gains[..., 0]
        for step in range(how.horizon):
            candidates, twig, reward, value = self._expanded(scores)
            gains = gains.repeat_interleave(how.beam_width * how.expansion // gains.shape[1], 1)
            gains[..., step], gains[..., step + 1] = reward, value
            values, best = self._best((gains * discounts).sum(-1))
            gains = gains.gather(1, best[..., None].expand(-1, -1, gains.shape[-1]))
            self._keep(candidates, twig, best)
            if step < how.horizon - 1:
                scores = self._imagined(self._onward())
        plan = self.sequence[:, 0, self.steps - how.horizon :]  # the first beam is the best
        return Plans(plan.cpu().numpy(), values[:, 0].double().cpu().numpy())

    def _expanded(self, scores: Tensor) -> tuple[Tensor, Memory, Tensor, Tensor]:
        """Draw an action for each candidate, and read reward and value.

        The candidates' tokens [E, W n, S] from the action on, what the network remembers of them,
        and what their rewards and values are worth [E, W n].
        """
        how = self.how
        count = how.beam_width * how.expansion
        rows = self.episodes * count
        scores = scores.repeat_interleave(rows // len(scores), 0)  # [R, c]
        twig = Memory.room(self.decoder, rows, self.value - self.acted.start + 1)
        tokens, worth = [], []
        for slot in range(self.acted.start, self.size):
            sampling = how.action if slot < self.reward else how.reward
            if slot >= self.reward:
                worth.append(self._worth(scores, "reward" if slot == self.reward else "value"))
            drawn = self._drawn(sampling, scores, count)
            tokens.append(drawn)
            if slot < self.value:
                out = self._pass(drawn[:, None], [slot], [self.shared, self.trunk], twig)
                scores = self.decoder.scores(out, slot + 1)
        reward, value = (part.view(self.episodes, count) for part in worth)
        return torch.stack(tokens, 1).view(self.episodes, count, -1), twig, reward, value

    def _best(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the best candidates' values and places [E, W], the best first; of equals, the
        earlier. Candidates with one action but unlike reward tokens are equal, whatever the last
        bits say, so float32 decides."""
        ordered = values.float().sort(dim=1, descending=True, stable=True)
        best = ordered.indices[:, : self.how.beam_width]
        return values.gather(1, best), best

    def _keep(self, candidates: Tensor, twig: Memory, best: Tensor) -> None:
        """Let the best candidates [E, W] be the beams."""
        beams = self.sequence.shape[1]
        each = candidates.shape[1] // beams
        parents = torch.div(best, each, rounding_mode="floor")
        rows = (best + self._firsts(candidates.shape[1])).flatten()
        mothers = (parents + self._firsts(beams)).flatten()
        room = self.observed.stop + 1
        self.trunk = joined([(self.trunk, mothers), (twig, rows)], room)
        seen = self.first_slots.flatten(0, 1)[mothers]
        step = torch.cat([seen, candidates.flatten(0, 1)[rows]], 1)  # [E W, S]
        before = self.sequence.flatten(0, 1)[mothers]
        whole = torch.cat([before, step[:, None]], 1)
        self.sequence = whole.view(self.episodes, -1, *whole.shape[1:])
        self.steps += 1

    def _onward(self) -> Tensor:
        """Go from each beam's last step to the next: the scores of its first token [E W, c]."""
        if self.how.start(self.steps) > self.begin:
            return self._refilled()
        last = self.sequence[:, :, -1, self.value].flatten()
        hidden = self.decoder.hidden[self.value]
        out = self._pass(
            last[:, None], [self.value], [self.shared], self.trunk, back=1, stored=not hidden
        )
        return self.decoder.scores(out, 0)

    def _imagined(self, scores: Tensor) -> Tensor:
        """Draw what each beam sees next; the scores of its first action token [E W, c]."""
        tokens = []
        for slot in range(self.observed.start, self.observed.stop):
            drawn = self._drawn(self.how.observation, scores, self.how.beam_width)
            tokens.append(drawn)
            out = self._pass(drawn[:, None], [slot], [self.shared], self.trunk)
            scores = self.decoder.scores(out, slot + 1)
        self.first_slots = torch.stack(tokens, 1).view(self.episodes, -1, len(tokens))
        return scores

    # ---- the network ---------------------------------------------------------------------------

    def _goal_memory(self, goals: Mapping[str, Tensor]) -> Memory:
        """Let the network see the goals."""
        model = self.decoder.model
        memory = Memory.room(self.decoder, self.episodes, model.prefix_tokens)
        if model.prefix_tokens:
            names = model.tokenizer.layout.goals
            tokens = [model.embedded(name, goals[name][:, None], None) for name in names]
            x = model.norm(torch.cat([token.flatten(1, 2) for token in tokens], 1))
            self.decoder.passed(x, [], memory)
        return memory

    def _past(self) -> Tensor:
        """Let the network see the past and the present observation; the next token's scores."""
        slots = self.seen_slots * (self.steps - self.begin)
        tokens = self.sequence[:, 0, self.begin :, self.seen_slots].flatten(1)
        steps = np.repeat(np.arange(self.begin, self.steps), len(self.seen_slots))
        present = list(range(self.observed.start, self.observed.stop))
        tokens = torch.cat([tokens, self.first_slots[:, 0]], 1)
        steps = np.concatenate([steps, np.full(len(present), self.steps)])
        memory = Memory.room(self.decoder, self.episodes, len(slots) + len(present))
        out = self._pass_at(tokens, [*slots, *present], steps, [self.goals], memory)
        self.shared = self.goals.behind(memory)
        return self.decoder.scores(out, self.observed.stop)

    def _refilled(self) -> Tensor:
        """Let the network see each beam's window anew, counted from another step; the scores of the
        next step's first token [E W, c].

        Beams that have the same ancestors share them: each distinct beginning is seen once.
        """
        self.begin = self.how.start(self.steps)
        window = self.sequence[:, :, self.begin :]  # [E, W, steps, S]
        beams = window.flatten(0, 1)
        node = torch.arange(self.episodes, device=self.device).repeat_interleave(window.shape[1])
        episode_of, shared = torch.arange(self.episodes, device=self.device), self.goals
        path = Memory.room(self.decoder, self.episodes, 0)
        out = None
        for step in range(beams.shape[1]):
            last = step == beams.shape[1] - 1
            slots = list(range(self.size)) if last else self.seen_slots
            key = torch.cat([node[:, None], beams[:, step, slots]], 1)
            found, node = torch.unique(key, dim=0, return_inverse=True)
            parents = found[:, 0]
            episode_of, path = episode_of[parents], path.of(parents)
            memories = [self._for(shared, episode_of), path]
            own = Memory.room(self.decoder, len(found), len(slots))
            tokens = found[:, 1:]
            at = np.full(len(slots), self.begin + step)
            seen = len(self.seen_slots)
            out = self._pass_at(tokens[:, :seen], slots[:seen], at[:seen], memories, own)
            if last and seen < len(slots):
                out = self._pass_at(
                    tokens[:, seen:], slots[seen:], at[seen:], memories, own, stored=False
                )
            if len(found) == self.episodes and not path.length:
                shared = shared.behind(own)
            else:
                path = path.behind(own)
        assert out is not None
        self.shared, self.trunk = shared, path.of(node, self.observed.stop + 1)
        return self.decoder.scores(out[node], 0)

    def _for(self, shared: Memory, episode_of: Tensor) -> Memory:
        """Return what episodes share for rows that are not equally many in each."""
        return shared if self.episodes == 1 else shared.of(episode_of)

    def _pass(
        self,
        tokens: Tensor,
        slots: Sequence[int],
        memories: Sequence[Memory],
        own: Memory,
        *,
        back: int = 0,
        stored: bool = True,
    ) -> Tensor:
        """Let the network see tokens [R, m] of the present step, or of one `back` steps ago."""
        steps = np.full(len(slots), self.steps - back)
        return self._pass_at(tokens, slots, steps, memories, own, stored=stored)

    def _pass_at(
        self,
        tokens: Tensor,
        slots: Sequence[int],
        steps: NDArray[np.int64],
        memories: Sequence[Memory],
        own: Memory,
        *,
        stored: bool = True,
    ) -> Tensor:
        positions = (steps - self.begin) * self.size + np.array(slots, np.int64)
        where = torch.from_numpy(positions).to(self.device)
        x = self.decoder.embedded(tokens, slots, where)
        return self.decoder.passed(x, memories, own, stored=stored)

    # ---- small things --------------------------------------------------------------------------

    def _firsts(self, each: int) -> Tensor:
        """Return the number of every episode's first row, where each has so many [E, 1]."""
        return torch.arange(self.episodes, device=self.device)[:, None] * each

    def _drawn(self, sampling: Sampling, scores: Tensor, each: int) -> Tensor:
        """Draw a token for each row, from the generator of its episode."""
        if not sampling.needs_chance:
            return draw(sampling, scores, None)
        numbers = np.concatenate([generator.random(each) for generator in self.generators])
        return draw(sampling, scores, torch.from_numpy(numbers).to(scores))

    def _worth(self, scores: Tensor, name: str) -> Tensor:
        """Return what a reward or value is worth under the scores of its token [R].

        The class of the end counts for nothing, and the others are not made up for it.
        """
        worth = self.worth[name]
        likely = scores.softmax(-1)[:, : len(worth)]
        if self.how.percentile is None:
            return likely @ worth
        reached = (likely.cumsum(-1) <= self.how.percentile).sum(-1)
        return worth[reached.clamp(max=len(worth) - 1)]
