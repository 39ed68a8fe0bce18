"""Beams: plans that grow together, and what the network remembers of each.

Knows the window rules, and nothing of what is searched for.

Letters: E episodes, W beams, R = E W rows, k steps before the present one, S tokens a step, n
tokens of the present step, c classes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqrl.nets.token_model import TokenModel
from seqrl.planning.decoder import Decoder, Memory, joined
from seqrl.planning.settings import Search

Tokens = NDArray[np.int64]


class Beams:
    """The beams of several episodes: at first one an episode, and later as many as are chosen."""

    def __init__(
        self,
        model: TokenModel,
        how: Search,
        past: Tokens,
        now: Tokens,
        goals: Mapping[str, Tensor],
    ) -> None:
        """Begin with past steps [E, C, S] and the present observation's tokens [E, o]."""
        how.check(model.tokenizer)
        self.how, self.decoder = how, Decoder(model)
        self.device = model.positions.device
        self.size = len(self.decoder.slots)
        self.observed, self.acted = model.places["observation"], model.places["action"]
        self.reward, self.value = model.places["reward"].start, model.places["value"].start
        self.episodes, self.steps = len(past), past.shape[1]
        """Steps that are whole: past ones and planned ones."""
        self.sequence = torch.from_numpy(past[:, None]).to(self.device)  # [E, W, k, S]
        self.present = torch.from_numpy(now[:, None]).to(self.device)  # [E, W, n]
        """What there is of the present step."""
        self.begin = how.start(self.steps)
        """The step that the network's window begins with."""
        self._seen = [slot for slot in range(self.size) if not self.decoder.hidden[slot]]
        self._goals = self._goal_memory(goals)
        self.shared, self.trunk = self._goals, Memory.room(self.decoder, self.episodes, 0)
        """What all beams of an episode have seen, and what each has seen since."""

    def __len__(self) -> int:
        """Count the beams of an episode."""
        return self.sequence.shape[1]

    @property
    def plan(self) -> Tokens:
        """The tokens that each episode's first beam has planned [E, H, S]."""
        return self.sequence[:, 0, self.steps - self.how.horizon :].cpu().numpy()

    # ---- growing -------------------------------------------------------------------------------

    def looked(self) -> Tensor:
        """Look at the past and the present observation; the scores of the next token [E, c]."""
        slots = self._seen * (self.steps - self.begin)
        tokens = self.sequence[:, 0, self.begin :, self._seen].flatten(1)
        steps = np.repeat(np.arange(self.begin, self.steps), len(self._seen))
        present = list(range(self.observed.start, self.observed.stop))
        tokens = torch.cat([tokens, self.present[:, 0]], 1)
        steps = np.concatenate([steps, np.full(len(present), self.steps)])
        memory = Memory.room(self.decoder, self.episodes, len(slots) + len(present))
        out = self._passed(tokens, [*slots, *present], steps, [self._goals], memory)
        self.shared = self._goals.behind(memory)
        return self.decoder.scores(out, self.observed.stop)

    def tried(self, tokens: Tensor, slot: int, twig: Memory) -> Tensor:
        """Look at one token of each candidate [R'], whose own tokens are in `twig`; the scores of
        the next [R', c]. Candidates stand behind each other, beam by beam."""
        out = self._pass_one(tokens, slot, [self.shared, self.trunk], twig)
        return self.decoder.scores(out, slot + 1)

    def grown(self, tokens: Tensor) -> Tensor:
        """Let each beam's present step grow by a token [R, 1]; the scores of the next [R, c]."""
        slot = self.present.shape[2]
        self.added(tokens)
        out = self._pass_one(tokens[:, 0], slot, [self.shared], self.trunk)
        return self.decoder.scores(out, slot + 1)

    def added(self, tokens: Tensor) -> None:
        """Let each beam's present step grow by tokens [R, m], without looking at them."""
        new = tokens.view(*self.present.shape[:2], tokens.shape[1])
        self.present = torch.cat([self.present, new], 2)

    def chosen(self, mothers: Tensor, twigs: tuple[Memory, Tensor] | None = None) -> None:
        """Let copies of beams [E, W'] take the place of all, with what the network remembers of
        some candidates [E W'] behind it."""
        rows = self.rows(mothers, len(self))
        pieces = [(self.trunk, rows), *([twigs] if twigs else [])]
        self.trunk = joined(pieces, room=self.size)
        self.sequence = self._rows_of(self.sequence, rows)
        self.present = self._rows_of(self.present, rows)

    def rows(self, places: Tensor, each: int) -> Tensor:
        """Number rows over all episodes [E n], where each has so many: from their places in their
        episode [E, n]."""
        firsts = torch.arange(self.episodes, device=self.device)[:, None] * each
        return (places + firsts).flatten()

    def onward(self) -> Tensor:
        """Close the present step; the scores of the next one's first token [R, c]."""
        self.closed()
        if self.how.start(self.steps) > self.begin:
            return self._refilled()
        last = self.sequence[:, :, -1, self.value].flatten()
        hidden = self.decoder.hidden[self.value]
        out = self._pass_one(last, self.value, [self.shared], self.trunk, back=1, stored=not hidden)
        return self.decoder.scores(out, 0)

    def closed(self) -> None:
        """Count the present step as whole."""
        assert self.present.shape[2] == self.size
        self.sequence = torch.cat([self.sequence, self.present[:, :, None]], 2)
        self.present = self.present[:, :, :0]
        self.steps += 1

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

    def _refilled(self) -> Tensor:
        """Let the network see each beam's window anew, counted from another step; the scores of the
        next step's first token [R, c].

        Beams that have the same ancestors share them: each distinct beginning is seen once.
        """
        self.begin = self.how.start(self.steps)
        window = self.sequence[:, :, self.begin :]  # [E, W, steps, S]
        beams = window.flatten(0, 1)
        node = torch.arange(self.episodes, device=self.device).repeat_interleave(len(self))
        episode_of, shared = torch.arange(self.episodes, device=self.device), self._goals
        path = Memory.room(self.decoder, self.episodes, 0)
        out = None
        for step in range(beams.shape[1]):
            last = step == beams.shape[1] - 1
            slots = list(range(self.size)) if last else self._seen
            key = torch.cat([node[:, None], beams[:, step, slots]], 1)
            found, node = torch.unique(key, dim=0, return_inverse=True)
            parents = found[:, 0]
            episode_of, path = episode_of[parents], path.of(parents)
            memories = [self._for(shared, episode_of), path]
            own = Memory.room(self.decoder, len(found), len(slots))
            tokens = found[:, 1:]
            at = np.full(len(slots), self.begin + step)
            seen = len(self._seen)
            out = self._passed(tokens[:, :seen], slots[:seen], at[:seen], memories, own)
            if last and seen < len(slots):
                out = self._passed(
                    tokens[:, seen:], slots[seen:], at[seen:], memories, own, stored=False
                )
            if len(found) == self.episodes and not path.length:
                shared = shared.behind(own)
            else:
                path = path.behind(own)
        assert out is not None
        self.shared, self.trunk = shared, path.of(node, room=self.size)
        return self.decoder.scores(out[node], 0)

    def _for(self, shared: Memory, episode_of: Tensor) -> Memory:
        """Return what episodes share for rows that are not equally many in each."""
        return shared if self.episodes == 1 else shared.of(episode_of)

    def _pass_one(
        self,
        tokens: Tensor,
        slot: int,
        memories: Sequence[Memory],
        own: Memory,
        *,
        back: int = 0,
        stored: bool = True,
    ) -> Tensor:
        """Let the network see a token [R] of the present step, or of one `back` steps ago."""
        steps = np.array([self.steps - back])
        return self._passed(tokens[:, None], [slot], steps, memories, own, stored=stored)

    def _passed(
        self,
        tokens: Tensor,
        slots: Sequence[int],
        steps: NDArray[np.int64],
        memories: Sequence[Memory],
        own: Memory,
        *,
        stored: bool = True,
    ) -> Tensor:
        """Let the network see tokens [R, m] at `slots` of `steps`."""
        positions = (steps - self.begin) * self.size + np.array(slots, np.int64)
        where = torch.from_numpy(positions).to(self.device)
        x = self.decoder.embedded(tokens, slots, where)
        return self.decoder.passed(x, memories, own, stored=stored)

    def _rows_of(self, tokens: Tensor, rows: Tensor) -> Tensor:
        """Return some beams' tokens [E, W, ...], by their numbers over all episodes [E W']."""
        each = len(rows) // self.episodes
        return tokens.flatten(0, 1)[rows].view(self.episodes, each, *tokens.shape[2:])
