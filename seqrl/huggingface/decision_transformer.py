"""The published Decision Transformer: trajectories in; states, actions and returns predicted.

One step is three tokens: the return still to come, the state, the action. The action is predicted
from the state's token; the next state and the return from the action's.

Letters: B batch, T steps, S = 3 T tokens, D width, w numbers in a state or an action.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from seqrl.errors import DataError, SeqrlError
from seqrl.huggingface.checkpoint import Stored, tensors_in
from seqrl.huggingface.decision_transformer_config import DecisionTransformerConfig
from seqrl.huggingface.gpt2 import (
    DecisionTransformerGPT2Model,
    draw,
    looked_up,
    need_shape,
    need_tensor,
)
from seqrl.huggingface.model import PublishedModel
from seqrl.huggingface.output import Output

TOKENS = 3
"""Tokens of one step."""

SHOWN_BY = {
    "state_dim": ("embed_state.weight", 1),
    "act_dim": ("embed_action.weight", 1),
    "hidden_size": ("embed_state.weight", 0),
    "max_ep_len": ("embed_timestep.weight", 0),
    "vocab_size": ("transformer.wte.weight", 0),
    "n_inner": ("transformer.h.0.mlp.c_fc.weight", 1),
}
"""Fields, and the dimension of the authors' tensor that shows each."""

AUTHORS = {
    "encoder.wte": Stored("transformer.wte"),
    **{
        f"encoder.{name}": rule.below("transformer")
        for name, rule in DecisionTransformerGPT2Model.stored.items()
    },
}
"""Modules whose weights stand otherwise in the authors' files."""


@dataclass(eq=False)
class DecisionTransformerOutput(Output):
    """What `DecisionTransformerModel` returns."""

    state_preds: Tensor | None = None
    """The next state, from the action's token [B, T, w]."""

    action_preds: Tensor | None = None
    """The action, from the state's token [B, T, w]."""

    return_preds: Tensor | None = None
    """The return to come after the action, from its token [B, T, 1]."""

    hidden_states: tuple[Tensor, ...] | None = None
    """What enters the first block, what leaves each; the last one after the final LayerNorm."""

    attentions: tuple[Tensor, ...] | None = None
    """Attention weights of each block [B, heads, S, S]."""

    last_hidden_state: Tensor | None = None
    """[B, S, D], after the final LayerNorm."""


class DecisionTransformerModel(PublishedModel):
    """The Decision Transformer over states, actions and returns to go."""

    config_class = DecisionTransformerConfig
    stored: ClassVar[Mapping[str, Stored]] = {
        f"encoder.{name}": rule.below("encoder")
        for name, rule in DecisionTransformerGPT2Model.stored.items()
    }
    ignored = DecisionTransformerGPT2Model.ignored

    def __init__(self, config: DecisionTransformerConfig) -> None:
        """Make one with new weights, drawn from PyTorch's global generator."""
        super().__init__(config)
        width = config.hidden_size
        self.encoder = DecisionTransformerGPT2Model(config)
        self.embed_timestep = nn.Embedding(config.max_ep_len, width)
        self.embed_return = nn.Linear(1, width)
        self.embed_state = nn.Linear(config.state_dim, width)
        self.embed_action = nn.Linear(config.act_dim, width)
        self.embed_ln = nn.LayerNorm(width)
        self.predict_state = nn.Linear(width, config.state_dim)
        squash = [nn.Tanh()] if config.action_tanh else []
        self.predict_action = nn.Sequential(nn.Linear(width, config.act_dim), *squash)
        self.predict_return = nn.Linear(width, 1)
        draw([*self.children(), self.predict_action[0]], config)

    def forward(
        self,
        states: Tensor | None = None,
        actions: Tensor | None = None,
        rewards: Tensor | None = None,
        returns_to_go: Tensor | None = None,
        timesteps: Tensor | None = None,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
    ) -> DecisionTransformerOutput | tuple[Tensor, Tensor, Tensor]:
        """Predict from states and actions [B, T, w], returns to go [B, T, 1] and steps [1 or B, T].

        All four are needed; `rewards` are not looked at. `attention_mask` [B, T] is 0 where a step
        is not real; what is predicted there means nothing. As a tuple: state, action and return
        predictions, no more.
        """
        x = self._tokens(states, actions, returns_to_go, timesteps)  # [B, S, D]
        rows, steps = len(x), x.shape[1] // TOKENS
        real = torch.ones(rows, steps) if attention_mask is None else attention_mask
        need_shape("attention_mask", real, (rows, steps))
        encoded = self.encoder(
            inputs_embeds=x,
            attention_mask=real.repeat_interleave(TOKENS, 1),  # [B, S]
            position_ids=torch.zeros(1, TOKENS * steps, dtype=torch.long, device=x.device),
            use_cache=False,
            output_hidden_states=self.said("output_hidden_states", output_hidden_states),
            output_attentions=self.said("output_attentions", output_attentions),
            return_dict=True,
        )
        out = encoded.last_hidden_state.unflatten(1, (steps, TOKENS))  # [B, T, 3, D]
        state_token, action_token = out[:, :, 1], out[:, :, 2]
        predicted = (
            self.predict_state(action_token),
            self.predict_action(state_token),
            self.predict_return(action_token),
        )
        if not self.said("return_dict", return_dict):
            return predicted
        return DecisionTransformerOutput(
            *predicted, encoded.hidden_states, encoded.attentions, encoded.last_hidden_state
        )

    def _tokens(
        self,
        states: Tensor | None,
        actions: Tensor | None,
        returns_to_go: Tensor | None,
        timesteps: Tensor | None,
    ) -> Tensor:
        """Embed every step as three tokens [B, S, D]."""
        if states is None or actions is None or returns_to_go is None or timesteps is None:
            given = (states, actions, returns_to_go, timesteps)
            names = ("states", "actions", "returns_to_go", "timesteps")
            missing = [name for name, tensor in zip(names, given, strict=True) if tensor is None]
            raise SeqrlError(
                f"{' and '.join(missing)} must be given; all of {', '.join(names)} are needed."
            )
        need_shape("states", states, (None, None, self.config.state_dim))
        rows, steps = states.shape[:2]
        need_shape("actions", actions, (rows, steps, self.config.act_dim))
        need_tensor("returns_to_go", returns_to_go)
        need_tensor("timesteps", timesteps)
        if returns_to_go.ndim == 2:  # as the documented example gives them
            returns_to_go = returns_to_go[..., None]
        need_shape("returns_to_go", returns_to_go, (rows, steps, 1))
        need_shape("timesteps", timesteps, (1 if timesteps.shape[:1] == (1,) else rows, steps))
        time = looked_up(self.embed_timestep, timesteps, "timesteps")
        tokens = (
            self.embed_return(returns_to_go) + time,
            self.embed_state(states) + time,
            self.embed_action(actions) + time,
        )
        normed: Tensor = self.embed_ln(torch.stack(tokens, 2).flatten(1, 2))
        return normed

    def get_action(
        self,
        states: Tensor,
        actions: Tensor,
        rewards: Tensor | None,
        returns_to_go: Tensor,
        timesteps: Tensor,
    ) -> Tensor:
        """Predict the action of the last step of one episode [w].

        The inputs are the whole episode so far, with anything as the action to be predicted. The
        last `config.max_length` steps are looked at; if there are fewer, the rest is filled before
        them and masked.
        """
        config = self.config
        size = config.max_length or timesteps.numel()
        weights = self.embed_state.weight
        inputs = {
            "states": states.reshape(1, -1, config.state_dim).to(weights.dtype),
            "actions": actions.reshape(1, -1, config.act_dim).to(weights.dtype),
            "returns_to_go": returns_to_go.reshape(1, -1, 1).to(weights.dtype),
            "timesteps": timesteps.reshape(1, -1).long(),
        }
        steps = {name: tensor.shape[1] for name, tensor in inputs.items()}
        if len({*steps.values()}) > 1 or not inputs["timesteps"].numel():
            raise SeqrlError(
                f"The inputs have {', '.join(f'{n} {name}' for name, n in steps.items())}; all "
                "must have as many, one or more: the whole episode so far, with zeros for the "
                "action to be predicted."
            )
        inputs = {name: tensor[:, -size:] for name, tensor in inputs.items()}
        inputs["attention_mask"] = torch.ones_like(inputs["timesteps"])
        filled = {name: _filled_before(tensor, size) for name, tensor in inputs.items()}
        # Not self(...): who inherits to train it has a forward that returns a loss.
        predicted = DecisionTransformerModel.forward(
            self,
            filled["states"],
            filled["actions"],
            rewards,
            filled["returns_to_go"],
            filled["timesteps"],
            filled["attention_mask"],
            return_dict=True,
        )
        assert isinstance(predicted, DecisionTransformerOutput)
        assert predicted.action_preds is not None
        return predicted.action_preds[0, -1]

    @classmethod
    def from_authors(cls, file: str | PathLike[str], **changes: Any) -> Self:
        """Read a state dict of the paper's own code, github.com/kzl/decision-transformer, gym.

        The sizes are read off the tensors. What they do not show has this class's defaults, which
        are the authors' too; `changes` are other values, such as `n_head`.
        """
        path = Path(file)
        tensors = tensors_in(path)
        config = cls.config_class(**_shown(tensors, path) | changes)
        # Their stack has no token positions. What is added for them here is then nothing.
        tensors["encoder.wpe.weight"] = torch.zeros(config.n_positions, config.hidden_size)
        return cls.of_tensors(config, tensors, str(path), AUTHORS)


get_action = DecisionTransformerModel.get_action
"""The same as a function of a model, as the tutorial for the published class has it."""


def _filled_before(tensor: Tensor, size: int) -> Tensor:
    """Put zeros before [1, t, ...], so that it is of `size` steps."""
    missing = tensor.new_zeros(1, size - tensor.shape[1], *tensor.shape[2:])
    return torch.cat([missing, tensor], 1)


def _shown(tensors: Mapping[str, Tensor], file: Path) -> dict[str, int]:
    """Read the sizes of a model off its tensors."""
    sizes = {}
    for name, (tensor, dimension) in SHOWN_BY.items():
        if tensor not in tensors or tensors[tensor].ndim <= dimension:
            raise DataError(
                f"{file} is not a state dict of the authors' Decision Transformer: it has no "
                f"matrix {tensor}. Models of `transformers` are read by from_pretrained, from "
                "their folder."
            )
        sizes[name] = tensors[tensor].shape[dimension]
    layers = [re.match(r"transformer\.h\.(\d+)\.", name) for name in tensors]
    return sizes | {"n_layer": len({found.group(1) for found in layers if found})}
