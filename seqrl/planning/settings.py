"""How to draw, and how to plan: plain data, imports no torch."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from seqrl.errors import SeqrlError
from seqrl.tokens.layout import Bins
from seqrl.tokens.tokenizer import Tokenizer

PARTS = ("observation", "action", "reward", "value")
"""What one step must be made of, in this order."""

MOST = 4096
"""Of beams, of candidates a beam, of steps: what more would need, no memory holds."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a token is drawn: from all classes, unless something is said; filters apply in order."""

    temperature: float = 1.0
    """Scores are divided by it: below 1 the likely becomes likelier."""

    cdf: float | None = None
    """Drop the unlikely classes that hold this share of the probability together, as the Trajectory
    Transformer's authors do: sorted upwards, all are dropped up to the last whose cumulative sum is
    under the share, and whoever is as unlikely as that one. 0.6 keeps about the top 40%."""

    top_k: int | None = None
    """Keep the likeliest so many, and whoever is as likely as the last of them; 1 draws nothing and
    takes the likeliest."""

    def __post_init__(self) -> None:
        """Refuse what leaves nothing to draw from."""
        if not self.temperature > 0:
            raise SeqrlError(f"Sampling: temperature must be above 0, not {self.temperature}.")
        if self.cdf is not None and not 0 <= self.cdf < 1:
            raise SeqrlError(f"Sampling: cdf is a share from 0 to below 1, not {self.cdf}.")
        if self.top_k is not None and self.top_k < 1:
            raise SeqrlError(f"Sampling: top_k must be 1 or more, not {self.top_k}.")

    @property
    def needs_chance(self) -> bool:
        """Say whether drawing takes uniform numbers."""
        return self.top_k != 1


@dataclass(frozen=True, kw_only=True)
class Search:
    """How far and how wide to search, and what the network sees meanwhile.

    The defaults of all searches are those of the Trajectory Transformer's authors.
    """

    aim: ClassVar[str]
    """What is searched for."""

    horizon: int = 15
    """Steps of a plan."""

    beam_width: int = 128
    """Plans that are kept while they grow."""

    discount: float = 0.99
    """What a reward one step later is worth; in the value tokens too, whatever is searched for."""

    context_steps: int = 5
    """Past steps that a plan begins with; in a published window, steps that it ever holds."""

    window: Literal["published", "full"] = "published"
    """Where the network looks while the plan grows. `published`, as the authors' planner does: at
    the last `context_steps` steps, the present one included, counted anew from the first of them.
    `full`: at all of context and plan, which must fit into the window it was trained on."""

    def __post_init__(self) -> None:
        """Refuse numbers with which nothing can be planned."""
        for name in ("horizon", "beam_width", "context_steps"):
            self._check_count(name)
        if not 0 <= self.discount <= 1:
            raise SeqrlError(
                f"{self._kind}: discount lies between 0 and 1, not at {self.discount}."
            )
        if self.window == "published" and self.context_steps < 2:
            raise SeqrlError(
                f"{self._kind}: in a published window, context_steps must be 2 or more: with 1 the "
                "network would see nothing when it imagines the next step."
            )
        if self.window not in ("published", "full"):
            raise SeqrlError(f"{self._kind}: window is 'published' or 'full', not {self.window!r}.")

    @property
    def _kind(self) -> str:
        return type(self).__name__

    def _check_count(self, name: str) -> None:
        value = getattr(self, name)
        if type(value) is not int or not 1 <= value <= MOST:
            raise SeqrlError(
                f"{self._kind}: {name} must be a whole number from 1 to {MOST:,}, not {value}."
            )

    @property
    def rows(self) -> int:
        """Rows that the network computes at once for one episode, at most."""
        return self.beam_width

    def start(self, steps: int) -> int:
        """Return the first step that the network sees when `steps` steps are whole."""
        return 0 if self.window == "full" else max(0, steps - self.context_steps + 1)

    def check(self, tokenizer: Tokenizer) -> None:
        """Refuse a layout that cannot be planned with, or a window that does not fit."""
        layout = tokenizer.layout
        names = tuple(part.name for part in layout.parts)
        binned = all(isinstance(part.encoding, Bins) and part.loss for part in layout.parts)
        if names != PARTS or not binned:
            raise SeqrlError(
                f"A search plans with {', '.join(PARTS)}, in this order, all of them bins and "
                f"predicted; the layout has {', '.join(names)}."
            )
        for part in layout.parts[:-1]:
            if not part.attended:
                raise SeqrlError(
                    f"A search: {part.name} has attended=False; only the value may be hidden."
                )
        needed = self.context_steps
        if self.window == "full":
            needed += self.horizon
        if needed > layout.steps:
            what = "context and plan have" if self.window == "full" else "the context has"
            raise SeqrlError(
                f"{self._kind}: with window={self.window!r} {what} {needed} steps, and the network "
                f"was trained on windows of {layout.steps}. Plan less far, or train on more."
            )


@dataclass(frozen=True, kw_only=True)
class BeamSearch(Search):
    """Search for the plan that is worth most: its rewards, and the value at its end."""

    aim: ClassVar[str] = "for the most reward"

    expansion: int = 2
    """Candidates a beam."""

    observation: Sampling = Sampling(top_k=1)
    action: Sampling = Sampling(cdf=0.6)
    reward: Sampling = Sampling(top_k=1)
    """Of reward and value tokens; what they are worth does not depend on what is drawn."""

    percentile: float | None = None
    """What a reward or value is worth: the least of its bins up to which there is more than this
    share of the probability; None is the mean over all its bins."""

    def __post_init__(self) -> None:
        """Refuse numbers with which nothing can be planned."""
        super().__post_init__()
        self._check_count("expansion")
        if self.percentile is not None and not 0 <= self.percentile < 1:
            raise SeqrlError(
                f"BeamSearch: percentile is a share from 0 to below 1, not {self.percentile}."
            )

    @property
    def rows(self) -> int:
        """Rows that the network computes at once for one episode, at most."""
        return self.beam_width * self.expansion


@dataclass(frozen=True, kw_only=True)
class MostLikely(Search):
    """Search for the plan that is most probable, token by token; nothing is drawn.

    For imitation, or, behind a goal, for reaching it. Value tokens are tokens like the others.
    """

    aim: ClassVar[str] = "for the most probable"
