"""Open-loop prediction: what a Trajectory Transformer says will be seen, beside what was seen.

The agent plays; then its model is given the beginnings of stretches of these episodes and all
actions, and imagines the rest. Beside it stand a Markov model, observations that stay as they were,
and the error that bins have even if all of them are right.

Letters: R stretches, C past steps, H steps ahead, S tokens a step, o observation width, w signal
width.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from seqrl.agents.trajectory_transformer import TrajectoryTransformer
from seqrl.episodes import Array, Episode
from seqrl.errors import SeqrlError
from seqrl.evaluation import play
from seqrl.policy import Policy
from seqrl.progress import Progress, counted, silent
from seqrl.runs.markov import Markov
from seqrl.runs.origin import Origin
from seqrl.runs.prediction import Example, Prediction, mean_errors
from seqrl.runs.record import facts_in_words
from seqrl.runs.stretches import Stretch, errors_of, scales_of, stretches_of

if TYPE_CHECKING:
    from seqrl.nets.token_model import TokenModel

DRAWN = 4
"""Dimensions of the observation that are drawn: the first that are measured."""


def check_predicts(policy: Policy) -> None:
    """Refuse an agent whose model does not say what will be seen."""
    if not isinstance(policy.agent, TrajectoryTransformer) or policy.agent.layout().prefix:
        raise SeqrlError(
            f"{type(policy.agent).__name__} does not say what will be seen: give a checkpoint of a "
            "Trajectory Transformer without goals, whose steps are observation, action, reward "
            "and value in bins."
        )


def predict(
    policy: Policy,
    origin: Origin,
    markov: Callable[[], Markov] | None,
    *,
    steps: int,
    episodes: int,
    progress: Progress = silent,
) -> Prediction:
    """Play episodes, and let the models predict stretches of them so many steps ahead. The Markov
    model is asked for when it is known that there is something to predict."""
    check_predicts(policy)
    tokenizer = policy.model.tokenizer
    scales = scales_of(tokenizer)
    if not scales.any():
        raise SeqrlError(f"No observation varies in {tokenizer.data.name}: nothing to predict.")
    stretches = _stretches(policy, origin.seed, steps, episodes, progress)
    steps = min(steps, max(len(stretch.simulated) for stretch in stretches))
    beside = markov() if markov else None
    policies = {"checkpoint": policy} | ({"markov": beside.policy} if beside else {})
    predicted = {
        name: imagined_by(one, stretches, steps, progress, f"{name}: imagining")
        for name, one in policies.items()
    }
    now = np.stack([stretch.now for stretch in stretches])
    predicted["unchanged"] = now[:, None].repeat(steps, 1)
    simulated = padded([stretch.simulated for stretch in stretches], steps)
    predicted["bins"] = tokenizer.decode("observation", tokenizer.encode("observation", simulated))
    numbers = [stretch.number for stretch in stretches]
    rows = [
        row
        for name, values in predicted.items()
        for row in mean_errors(name, errors_of(stretches, values, scales), numbers)
    ]
    return Prediction(
        about=origin.columns(),
        plays=facts_in_words(origin.facts),
        episodes=episodes,
        windows={name: one.model.tokenizer.layout.steps for name, one in policies.items()},
        markov_sha256=beside.sha256 if beside else None,
        left_out=tuple(np.flatnonzero(scales == 0).tolist()),
        rows=tuple(rows),
        example=_example(stretches, predicted, np.flatnonzero(scales > 0)[:DRAWN]),
    )


def _stretches(
    policy: Policy, seed: int, steps: int, episodes: int, progress: Progress
) -> list[Stretch]:
    """Play, and cut."""
    whole: dict[int, Episode] = {}
    play(
        policy.agent,
        policy.model,
        policy.task,
        seed=seed,
        numbers=range(episodes),
        progress=progress,
        doing=f"playing {counted(episodes, 'episode')}",
        whole=whole.__setitem__,
    )
    past = policy.model.tokenizer.layout.steps - 2  # the present step and the next have their room
    return stretches_of(whole, past=past, steps=steps, data=policy.task.name)


def imagined_by(
    policy: Policy,
    stretches: Sequence[Stretch],
    steps: int,
    progress: Progress = silent,
    doing: str = "imagining",
) -> Array:
    """Return the observations that a model predicts for stretches [R, H, o].

    As many rows as ever are computed together, whoever they are; the last may be dummies.
    """
    from seqrl.nets.model import one_thread
    from seqrl.planning.imagining import imagined
    from seqrl.tokens.windows import ROWS

    model, found = cast("TokenModel", policy.model), []
    with one_thread():
        for first in range(0, len(stretches), ROWS):
            progress(doing, first, len(stretches), "stretches")
            real = list(stretches[first : first + ROWS])
            rows = real + [real[-1]] * (ROWS - len(real))
            found.append(imagined(model, *_tokens(model, rows, steps))[: len(real)])
        progress(doing, len(stretches), len(stretches), "stretches")
    return model.tokenizer.decode("observation", np.concatenate(found))


def _tokens(
    model: "TokenModel", stretches: Sequence[Stretch], steps: int
) -> tuple[Array, Array, Array]:
    """Return the tokens of the past [R, C, S], of the present observation, and of the actions."""
    from seqrl.planning.live import bins_of, tokens_of

    before = [stretch.past for stretch in stretches]
    past = tokens_of(
        model,
        observation=np.stack([one.observations for one in before]),
        action=np.stack([one.actions for one in before]),
        reward=np.stack([one.rewards[:, None] for one in before]),
    )
    now = bins_of(model, "observation", np.stack([stretch.now for stretch in stretches]))
    actions = padded([stretch.actions for stretch in stretches], steps)
    return past, now, bins_of(model, "action", actions)


def padded(values: Sequence[Array], steps: int) -> Array:
    """Stack columns that may end early [up to H, w]: [R, H, w], zeros behind their ends."""
    return np.stack([np.pad(one, ((0, steps - len(one)), (0, 0))) for one in values])


def _example(
    stretches: Sequence[Stretch], predicted: Mapping[str, Array], chosen: Array
) -> Example:
    """Take the first of the longest stretches."""
    row = int(np.argmax([len(stretch.simulated) for stretch in stretches]))
    stretch = stretches[row]
    reach = len(stretch.simulated)
    return Example(
        episode=stretch.number,
        begin=stretch.begin,
        dimensions=tuple(chosen.tolist()),
        simulated=stretch.simulated[:, chosen],
        predicted={name: values[row, :reach][:, chosen] for name, values in predicted.items()},
    )
