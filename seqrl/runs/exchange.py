"""Exchange: published Decision Transformers in, ours out.

The published network and ours do the same, with four differences. A constant vector is added to
each token behind the embedding LayerNorm, which the bias of that norm can do. The return and the
observation have heads there that nobody plays with. Observations are standardised outside. And the
table of positions may be longer than an episode.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.agents.target import Target
from seqrl.data.whole import replace_file, sha256_of
from seqrl.errors import SeqrlError, told_plainly
from seqrl.huggingface.files import read_json
from seqrl.nets.network import Network
from seqrl.plain import declaration
from seqrl.policy import Policy, about_policy
from seqrl.runs.experiment import with_settings
from seqrl.runs.statistics import KEY, Statistics, Written
from seqrl.tokens.layout import Vector
from seqrl.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from seqrl.huggingface.decision_transformer import DecisionTransformerModel
    from seqrl.huggingface.decision_transformer_config import DecisionTransformerConfig
    from seqrl.nets.token_model import TokenModel

PAIRS = {
    "inputs.return_to_go.map": "embed_return",
    "inputs.observation.map": "embed_state",
    "inputs.action.map": "embed_action",
    "norm": "embed_ln",
    "transformer": "encoder.transformer",
    "outputs.action.map": "predict_action.0",
}
"""Our modules, and those of the published class in `seqrl.huggingface` that hold the same."""

OPEN = ("target", "context_steps", "return_scale")
"""What may be said of a model that comes in: fields of the agent that its weights do not show."""

EMBEDDING_EPS = 1e-5
"""What the published embedding LayerNorm adds to the variance, whatever the configuration says."""


# ---- in ------------------------------------------------------------------------------------------


def imported(
    published: "DecisionTransformerModel", statistics: Statistics, settings: Sequence[str]
) -> tuple[DecisionTransformer, "TokenModel"]:
    """Make our agent and model of a published one."""
    import torch

    agent = with_settings(_agent_of(published.config, statistics), _checked(settings))
    assert isinstance(agent, DecisionTransformer)
    width = {
        "observation": statistics.task.observation_width,
        "action": statistics.task.action_width,
        "return_to_go": 1,
    }
    tokenizer = Tokenizer(
        layout=agent.layout(),
        data=statistics.data,
        widths=width,
        shifts={
            "return_to_go": np.zeros(1, np.float32),
            "observation": statistics.mean,
            "action": np.zeros(width["action"], np.float32),
        },
        scales={
            "return_to_go": np.full(1, agent.return_scale, np.float32),
            "observation": statistics.deviation,
            "action": np.ones(width["action"], np.float32),
        },
        edges={},
        action_low=np.array(statistics.task.action_low, np.float32),
        action_high=np.array(statistics.task.action_high, np.float32),
    )
    model = agent.model(tokenizer, torch.Generator())
    with torch.no_grad():
        for ours, theirs in PAIRS.items():
            into, source = model.get_submodule(ours), published.get_submodule(theirs)
            into.load_state_dict(source.state_dict())
        model.positions.copy_(published.embed_timestep.weight[: len(model.positions)])
        model.norm.get_parameter("bias").add_(published.encoder.wpe.weight[0])
        if not all(weight.isfinite().all() for weight in model.parameters()):
            raise SeqrlError("The model's weights are not all finite numbers: it cannot be played.")
    return agent, model.eval()


def _checked(settings: Sequence[str]) -> Sequence[str]:
    """Refuse to change what the files say."""
    for change in settings:
        if change.partition("=")[0].strip() not in OPEN:
            raise SeqrlError(
                f"--set {change}: {', '.join(OPEN)} can be said of an imported model, as in --set "
                "target=3600; the rest is as its files have it."
            )
    return settings


def _agent_of(config: "DecisionTransformerConfig", statistics: Statistics) -> DecisionTransformer:
    """Say what a published configuration is here, or what of it cannot be."""
    task = statistics.task
    wanted: dict[str, tuple[Any, str]] = {
        "state_dim": (task.observation_width, f"{task.name} shows so many numbers"),
        "act_dim": (task.action_width, f"{task.name} takes so many numbers"),
        "action_tanh": (True, "actions are squashed here"),
        "layer_norm_epsilon": (EMBEDDING_EPS, "all LayerNorms have one here"),
        "embd_pdrop": (config.resid_pdrop, "there is one share of dropout here, and resid_pdrop"),
        "attn_pdrop": (config.resid_pdrop, "there is one share of dropout here, and resid_pdrop"),
        "reorder_and_upcast_attn": (False, "attention is computed in the precision of the rest"),
    }
    wrong = [
        f"{name} is {getattr(config, name)!r}, and must be {value!r}: {why}"
        for name, (value, why) in wanted.items()
        if getattr(config, name) != value
    ]
    if config.max_ep_len < task.horizon:
        wrong.append(
            f"max_ep_len is {config.max_ep_len}, and an episode of {task.name} has up to "
            f"{task.horizon} steps"
        )
    if any(bound != -1 for bound in task.action_low) or any(b != 1 for b in task.action_high):
        wrong.append(f"the actions of {task.name} are not bounded by -1 and 1, as tanh is")
    if wrong:
        raise SeqrlError(f"This model cannot be played on {task.name}: {'; '.join(wrong)}.")
    # None: all that has been. No more than that is there to be looked back on.
    steps = min(statistics.context_steps or config.max_length or task.horizon, task.horizon)
    return DecisionTransformer(
        target=statistics.target,
        context_steps=steps,
        return_scale=statistics.return_scale,
        network=replace(config.network(), normalise_embeddings=True, init="dt"),
    )


def import_published(
    folder_or_id: str, statistics: Statistics, settings: Sequence[str], out: Path
) -> Policy:
    """Write a checkpoint that plays as a published one does; the policy in it."""
    from seqrl.huggingface.decision_transformer import DecisionTransformerModel
    from seqrl.training.checkpoint import tensors_of, write_checkpoint

    published = DecisionTransformerModel.from_pretrained(folder_or_id)
    agent, model = imported(published, statistics, settings)
    agent.wanted(statistics.data)  # a rule that does not know the data says so now
    about = about_policy(agent, statistics.task, model.tokenizer)
    origin = f"{name_of(folder_or_id)}, observations standardised as {statistics.source}"
    write_checkpoint(out, tensors_of(model), {**about, "imported": origin})
    return Policy.load(out)


def name_of(folder_or_id: str) -> str:
    """Return what a published model is called: its folder, or its whole hub id."""
    folder = Path(folder_or_id).expanduser()
    return folder.resolve().name if folder.is_dir() else folder_or_id


# ---- out -----------------------------------------------------------------------------------------


def exported(policy: Policy) -> "DecisionTransformerModel":
    """Make the published model of a policy: the same outputs for the same windows."""
    from seqrl.nets.token_model import TokenModel

    model = policy.model
    if not isinstance(model, TokenModel) or not _is_published_layout(model.tokenizer):
        raise SeqrlError(
            f"{type(policy.agent).__name__} cannot be exported: only what has the Decision "
            "Transformer's layout (return to go, observation, action) has a published class."
        )
    if "target_return" not in policy.agent.facts(model.tokenizer.data):
        raise SeqrlError(
            f"{type(policy.agent).__name__} cannot be exported: nobody could tell what to ask it "
            "for. Let its facts() say target_return."
        )
    published = published_of(model)
    published.config.kept[KEY] = asdict(written_of(policy))
    return published


def published_of(model: "TokenModel") -> "DecisionTransformerModel":
    """Make the published model of one of ours with the Decision Transformer's layout."""
    import torch

    from seqrl.huggingface.decision_transformer import DecisionTransformerModel

    with torch.random.fork_rng(devices=[]):  # the first weights are thrown away
        published = DecisionTransformerModel(_config_of(model))
    with torch.no_grad():
        encoder = published.encoder
        unused = (published.predict_state, published.predict_return, encoder.wpe, encoder.wte)
        for module in unused:
            for weight in module.parameters():
                weight.zero_()
        for ours, theirs in PAIRS.items():
            into, source = published.get_submodule(theirs), model.get_submodule(ours)
            into.load_state_dict({n: t.cpu() for n, t in source.state_dict().items()})
        published.embed_timestep.weight.copy_(model.positions)
    return published.eval()


def _config_of(model: "TokenModel") -> "DecisionTransformerConfig":
    from seqrl.huggingface.decision_transformer_config import DecisionTransformerConfig

    network, tokenizer = model.network, model.tokenizer
    _refuse(network, tokenizer)
    return DecisionTransformerConfig(
        state_dim=tokenizer.widths["observation"],
        act_dim=tokenizer.widths["action"],
        hidden_size=network.width,
        max_ep_len=len(model.positions),
        n_positions=max(1024, model.tokens_a_step * tokenizer.layout.steps),
        n_layer=network.layers,
        n_head=network.heads,
        n_inner=network.inner,
        activation_function=network.activation,
        resid_pdrop=network.dropout,
        embd_pdrop=network.dropout,
        attn_pdrop=network.dropout,
        layer_norm_epsilon=network.norm_eps,
        scale_attn_weights=network.attention_scale in ("head", "head and layer"),
        scale_attn_by_inverse_layer_idx=network.attention_scale in ("layer", "head and layer"),
        max_length=tokenizer.layout.steps,
        bos_token_id=None,
        eos_token_id=None,
    )


def _refuse(network: Network, tokenizer: Tokenizer) -> None:
    """Name what the published class cannot hold."""
    wrong = []
    if not network.normalise_embeddings:
        wrong.append("normalise_embeddings is False, and the published one always does")
    if network.norm_eps != EMBEDDING_EPS:
        wrong.append(
            f"norm_eps is {network.norm_eps:g}, and the published embedding LayerNorm has "
            f"{EMBEDDING_EPS:g}"
        )
    if (tokenizer.action_low != -1).any() or (tokenizer.action_high != 1).any():
        wrong.append(f"the actions of {tokenizer.data.name} are not bounded by -1 and 1")
    if wrong:
        raise SeqrlError(f"The published class cannot hold this network: {'; '.join(wrong)}.")


def _is_published_layout(tokenizer: Tokenizer) -> bool:
    """Say whether a layout is the Decision Transformer's, of whatever length and scale."""
    layout = tokenizer.layout
    first = layout.parts[0].encoding
    scale = first.divide_by if isinstance(first, Vector) else 1.0
    own = DecisionTransformer(context_steps=layout.steps, return_scale=scale).layout()
    return declaration(own) == declaration(layout)


def written_of(policy: Policy) -> Written:
    """Return what the published files have no place for."""
    tokenizer = policy.model.tokenizer
    facts = policy.agent.facts(tokenizer.data)
    target: Target = facts["target_return"]
    if type(policy.agent) is DecisionTransformer:  # another may make something else of a rule
        target = policy.agent.target
    return Written(
        task=policy.task.name,
        data=tokenizer.data,
        observation_mean=tuple(tokenizer.shifts["observation"].tolist()),
        observation_std=tuple(tokenizer.scales["observation"].tolist()),
        return_scale=float(tokenizer.scales["return_to_go"][0]),
        context_steps=tokenizer.layout.steps,
        target=target,
        target_return=facts["target_return"],
    )


FILES = ("model.safetensors", "config.json", "README.md")
"""What an exported folder holds."""


def export(checkpoint: Path, folder: Path) -> Policy:
    """Write a checkpoint as a folder that the published classes read, with a model card.

    The folder is there whole or not at all; an earlier export is replaced, anything else is not.
    """
    from seqrl.runs.model_card import model_card

    policy = Policy.load(checkpoint)
    published = exported(policy)
    folder = folder.expanduser().resolve()
    with told_plainly(folder, "writing a published model"):
        _refuse_others(folder)
        fresh = folder.with_name(f".{uuid4().hex[:12]}.{folder.name}")
        try:
            published.save_pretrained(fresh)
            card = model_card(policy, checkpoint, sha256_of(checkpoint))
            replace_file(fresh / "README.md", card)
            if folder.exists():
                old = fresh.with_name(f"{fresh.name}.old")
                folder.rename(old)
                fresh.rename(folder)
                shutil.rmtree(old)
            else:
                fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return policy


def _refuse_others(folder: Path) -> None:
    """Refuse to take the place of what is no export of ours."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise SeqrlError(f"{folder} is a file; name a folder for the model.")
    names = {entry.name for entry in folder.iterdir()}
    config = folder / "config.json"
    ours = not names or (names <= {*FILES} and config.is_file() and KEY in read_json(config))
    if not ours:
        raise SeqrlError(
            f"{folder} holds {', '.join(sorted(names)[:5])}{', ...' if len(names) > 5 else ''}, "
            "and is no earlier export of seqrl: it stays as it is. Name another folder."
        )
