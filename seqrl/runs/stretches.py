"""Stretches of played episodes: where a prediction begins, what is seen after it, and how far off a
prediction of that is. Knows no network.

Letters: R stretches, C past steps, H steps ahead, T steps of an episode, o observation width, a
action width.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqrl.episodes import Array, Episode
from seqrl.errors import SeqrlError
from seqrl.progress import counted
from seqrl.tokens.tokenizer import Tokenizer

AN_EPISODE = 5
"""Stretches that begin in one episode, where it is long enough."""

Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stretch:
    """Some steps of an episode, and those before them."""

    number: int
    """Of its episode."""
    begin: int
    """The step at which nothing that follows is known yet but the actions."""
    past: Episode  # C steps
    now: NDArray[np.float32]  # [o]
    actions: NDArray[np.float32]  # [H or fewer, a]
    simulated: NDArray[np.float32]
    """What was seen after each action [H or fewer, o]: fewer where the episode ended before."""


def stretches_of(
    episodes: Mapping[int, Episode], *, past: int, steps: int, data: str
) -> list[Stretch]:
    """Cut stretches out of episodes: from evenly spaced steps, with so many past steps each.

    All of them reach `steps` steps ahead where the episode lasts long enough for one that does;
    else there is one, as soon as the past is whole, which reaches to the episode's end.
    """
    found = []
    for number, episode in sorted(episodes.items()):
        last = max(past, len(episode) - steps)
        begins = np.linspace(past, last, AN_EPISODE).round().astype(int)
        for begin in np.unique(begins[begins < len(episode)]).tolist():
            found.append(_cut(number, episode, begin, past, steps))
    if not found:
        longest = max(len(episode) for episode in episodes.values())
        raise SeqrlError(
            f"Of {counted(len(episodes), 'episode')} on {data} none had more than {longest} steps, "
            f"and a prediction begins after {past}. Play more with --episodes, or train for longer."
        )
    return found


def _cut(number: int, episode: Episode, begin: int, past: int, steps: int) -> Stretch:
    before, ahead = slice(begin - past, begin), slice(begin, begin + steps)
    assert episode.next_observations is not None
    return Stretch(
        number=number,
        begin=begin,
        past=Episode(
            observations=episode.observations[before],
            actions=episode.actions[before],
            rewards=episode.rewards[before],
            terminated=False,
            timed_out=False,
        ),
        now=episode.observations[begin],
        actions=episode.actions[ahead],
        simulated=episode.next_observations[ahead],
    )


def scales_of(tokenizer: Tokenizer) -> Float64:
    """Return how widely the data's observations are spread, in each dimension [o].

    Half of what lies between the bin edges at 16 and 84 %: with quantile bins of a normal
    distribution, its standard deviation. 0 is a dimension that hardly ever changes.
    """
    edges = tokenizer.edges["observation"]
    share = np.linspace(0, 1, edges.shape[1])
    low, high = np.array([np.interp((0.16, 0.84), share, own) for own in edges]).T
    found: Float64 = (high - low) / 2
    return found


def errors_of(stretches: list[Stretch], predicted: Array, scales: Float64) -> Float64:
    """Return the root mean square, over the dimensions that have a scale, of how far predictions
    [R, H, o] are off, in that scale [R, H]; nan where the episode had ended."""
    counted = scales > 0
    errors = np.full(predicted.shape[:2], np.nan)
    for row, stretch in enumerate(stretches):
        reach = len(stretch.simulated)
        off = predicted[row, :reach].astype(np.float64) - stretch.simulated
        in_scale = off[:, counted] / scales[counted]
        errors[row, :reach] = np.sqrt(np.mean(in_scale**2, axis=1))
    return errors
