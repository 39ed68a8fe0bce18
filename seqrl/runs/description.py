"""What a run would train, told before it: the agent's tokens, window, network and training."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from seqrl.agents.agent import Agent
from seqrl.plain import fields_of, kinds_of, place_of
from seqrl.seeds import seed_for
from seqrl.tasks.task import Task
from seqrl.tokens.description import TokenRow, rows_of, unfitted, window_in_words
from seqrl.training.settings import Training

if TYPE_CHECKING:
    from seqrl.nets.model import Model


@dataclass(frozen=True, kw_only=True)
class Description:
    """Everything worth knowing of an agent on a task, as plain data."""

    agent: str
    """Its class, module:Class."""
    task: str
    environment: str
    settings: Mapping[str, Any]
    """The agent's own fields."""
    tokens: tuple[TokenRow, ...]
    by_reading_rule: bool
    """False for a network that predicts in another way; then `read_from` says nothing."""
    window: Mapping[str, str]
    network: str
    """Its class, and the first sentence that it says of itself."""
    weights: int
    training: str


def describe(agent: Agent, task: Task) -> Description:
    """Describe an agent on a task. Makes the network, but needs no data."""
    from seqrl.nets.token_model import TokenModel

    model = network_of(agent, task)
    tokenizer = model.tokenizer
    rows = rows_of(tokenizer)
    about = " ".join((type(model).__doc__ or "").strip().partition("\n\n")[0].split())
    return Description(
        agent=place_of(type(agent)),
        task=task.name,
        environment=task.environment,
        settings=_settings_of(agent),
        tokens=tuple(rows),
        by_reading_rule=isinstance(model, TokenModel),
        window=window_in_words(tokenizer.layout, rows),
        network=": ".join(filter(None, [type(model).__name__, about])),
        weights=sum(weight.numel() for weight in model.parameters()),
        training=training_in_words(agent.training),
    )


def network_of(agent: Agent, task: Task) -> "Model":
    """Make an agent's network for a task, from no data: its shape is right, and nothing else."""
    import torch

    tokenizer = unfitted(agent.layout(), task)
    return agent.model(tokenizer, torch.Generator().manual_seed(seed_for(0, "weights")))


def _settings_of(agent: Agent, path: str = "") -> dict[str, Any]:
    """Return an agent's fields, inner ones by their path; the training is told by itself."""
    found: dict[str, Any] = {}
    for field in fields(agent):
        value = getattr(agent, field.name)
        if field.name == "training":
            continue
        if is_dataclass(value):
            if kinds_of(fields_of(type(agent))[field.name]):
                found[f"{path}{field.name}"] = type(value).__name__
            found |= _settings_of(value, f"{path}{field.name}.")  # type: ignore[arg-type]
        else:
            found[f"{path}{field.name}"] = value
    return found


def training_in_words(training: Training) -> str:
    """Say how the network is trained, in a line."""
    falls = {
        "none": "",
        "linear": ", falling along a line to zero",
        "cosine": ", falling along a cosine to zero",
        "tt": ", falling along a cosine to a tenth",
        "tt_code": ", along a cosine to a tenth after 20 times that, up again after 39, and so on",
    }[training.decay]
    over = "epoch" if training.warmup == "epoch" else f"{training.warmup:.0%}"
    rises = f", rising over the first {over}" if training.warmup else ""
    said = [
        f"{training.updates:,} updates of {training.batch} windows",
        f"learning rate {training.learning_rate:g}{rises}{falls}",
        f"AdamW, betas {' '.join(f'{beta:g}' for beta in training.betas)}",
        f"weight decay {training.weight_decay:g} on {training.decay_on}"
        if training.weight_decay
        else "no weight decay",
        "gradients as they are" if training.clip is None else f"gradients cut at {training.clip:g}",
        f"precision {training.precision}",
    ]
    if training.held_out:
        said.append(f"{training.held_out:.0%} of the episodes held out")
    return "; ".join(said)
