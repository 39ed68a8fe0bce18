"""Where each layer of an agent's network looks, while the agent plays.

The agent plays episodes of its run's evaluation. Windows of the trained length are taken from what
was played, evenly spread, and the network looks at them once more.

Letters: B rows that play, T steps of a window, w signal width.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from seqrl.episodes import Array, History
from seqrl.errors import SeqrlError
from seqrl.evaluation import play
from seqrl.policy import Policy
from seqrl.progress import Progress, counted, silent
from seqrl.runs.looks import Looks, Token
from seqrl.runs.origin import Origin, in_cells
from seqrl.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from seqrl.nets.model import Model
    from seqrl.nets.token_model import TokenModel

WINDOWS = 100
"""That are averaged over; fewer where so many were not played."""
AT_ONCE = 10
"""Windows that the network looks at together: all weights of all layers are kept meanwhile."""
KNOWN = ("observation", "action", "reward")
"""Signals that a history holds."""


def look(policy: Policy, origin: Origin, *, episodes: int, progress: Progress = silent) -> Looks:
    """Play so many episodes, and measure."""
    model = _transformer_of(policy)
    windows, firsts = _windows_played(policy, model, origin.seed, episodes, progress)
    count, steps = len(firsts), model.tokenizer.layout.steps
    chosen = np.arange(min(WINDOWS, count)) * count // min(WINDOWS, count)
    about = {
        **origin.facts,
        "episodes": episodes,
        "windows": len(chosen),
        "steps_a_window": steps,
    }
    said = f"{counted(episodes, 'episode')}, {counted(len(chosen), 'window')} of {steps} steps"
    return Looks(
        about={**origin.columns(), **in_cells(about)},
        caption=origin.caption(said),
        tokens=_tokens(model.tokenizer),
        weights=_measured(model, {n: v[chosen] for n, v in windows.items()}, firsts[chosen]),
    )


def _transformer_of(policy: Policy) -> "TokenModel":
    from seqrl.nets.token_model import TokenModel

    if isinstance(policy.model, TokenModel):
        return policy.model
    raise SeqrlError(
        f"{type(policy.agent).__name__} has no attention to look into: its network is a "
        f"{type(policy.model).__name__}. Name a checkpoint of an agent with a transformer over "
        "tokens, as DT, TT or BC."
    )


def _windows_played(
    policy: Policy, model: "TokenModel", seed: int, episodes: int, progress: Progress
) -> tuple[dict[str, Array], Array]:
    """Play; all windows of whole steps, episode by episode [., T, w], and their first steps."""
    steps = model.tokenizer.layout.steps
    kept: list[tuple[int, int, dict[str, Array]]] = []
    with _overheard(model) as given:

        def stepped(numbers: Array, history: History) -> None:
            if history.step < steps:
                return
            windows = _last_steps(model.tokenizer, history, given)
            for row, number in enumerate(numbers.tolist()):
                own = {name: values[row] for name, values in windows.items()}
                kept.append((number, history.step - steps, own))

        play(
            policy.agent,
            model,
            policy.task,
            seed=seed,
            numbers=range(episodes),
            progress=progress,
            doing=f"playing {counted(episodes, 'episode')}",
            stepped=stepped,
        )
    if not kept:
        raise SeqrlError(
            f"No episode lasted {steps} steps, the length of the windows that the network was "
            "trained on. Play more with --episodes, or others with --seed."
        )
    kept.sort(key=lambda one: one[:2])
    names = kept[0][2]
    return (
        {name: np.stack([own[name] for *_, own in kept]) for name in names},
        np.array([first for _, first, _ in kept]),
    )


@contextmanager
def _overheard(model: "Model") -> Iterator[Mapping[str, Array]]:
    """Give what the agent last gave the model to read, beside the history: the return still wanted,
    for instance. Nobody else knows it."""
    read, given = model.read, dict[str, Array]()

    def heard(history: History, name: str, **more: Array) -> Any:
        given.update(more)
        return read(history, name, **more)

    model.read = heard  # type: ignore[method-assign]
    try:
        yield given
    finally:
        del model.read


def _last_steps(
    tokenizer: Tokenizer, history: History, given: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the last whole steps of every row as the network takes them [B, T, w], goals [B, w].

    What nobody looks at need not be known, and stands as zero.
    """
    layout = tokenizer.layout
    own = (history.observations[:, :-1], history.actions, history.rewards[..., None])
    known: dict[str, Array] = dict(zip(KNOWN, own, strict=True))
    windows = {}
    for name, part in layout.named.items():
        if name in layout.goals and name in given:
            values = given[name]
        elif name in given and given[name].shape == (len(history), history.step):
            values = given[name][:, -layout.steps :, None]
        elif name in known:
            values = known[name][:, -layout.steps :]
        elif not part.attended:
            values = np.zeros((len(history), layout.steps, tokenizer.widths[name]))
        else:
            raise SeqrlError(
                f"What stands for {name!r} while playing cannot be seen from outside: the agent "
                "does not give it to model.read at every step."
            )
        made = tokenizer.encode if name in tokenizer.edges else tokenizer.scaled
        windows[name] = made(name, values.astype(np.float32))
    return windows


def _tokens(tokenizer: Tokenizer) -> tuple[Token, ...]:
    """Describe the tokens of a window, in order."""
    steps = range(tokenizer.layout.steps)
    slots = [
        *((slot, None) for slot in tokenizer.prefix_slots),
        *((slot, step) for step in steps for slot in tokenizer.slots),
    ]
    return tuple(
        Token(
            part=slot.name,
            label=slot.label,
            step=step,
            attended=slot.part.attended,
            known=slot.part.attended or slot.name in KNOWN,
        )
        for slot, step in slots
    )


def _measured(model: "TokenModel", windows: Mapping[str, Array], firsts: Array) -> Array:
    """Average the attention weights over windows."""
    import torch

    from seqrl.nets.looking import attention

    device, tokenizer = model.positions.device, model.tokenizer
    tensors = {name: torch.from_numpy(of) for name, of in windows.items()}
    binned = {name: tensor.long() for name, tensor in tensors.items() if name in tokenizer.edges}
    steps = torch.from_numpy(firsts[:, None] + np.arange(tokenizer.layout.steps))
    total = np.zeros(())
    for first in range(0, len(steps), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        values = {name: of[some].to(device) for name, of in {**tensors, **binned}.items()}
        measured = attention(model, values, steps[some].to(device))
        total = total + measured.cpu().numpy() * len(steps[some])
    return total / len(steps)
