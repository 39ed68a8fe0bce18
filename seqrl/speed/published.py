"""The other side: `transformers`' Decision Transformer with our weights, and a plain training loop
around it as its users write one.

Where theirs may be done in two ways, this is the faster: no cache of keys and values is built, the
optimiser is the fused one, attention is what `transformers` itself chooses (the fused kernel).

Letters: B windows, T steps, w signal width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import DecisionTransformerConfig, DecisionTransformerModel
from transformers.pytorch_utils import Conv1D

from seqrl.errors import SeqrlError
from seqrl.nets.token_model import TokenModel
from seqrl.tokens.windows import TokenBatch
from seqrl.training.device import casting
from seqrl.training.settings import Training

AROUND = {
    "embed_return": "inputs.return_to_go.map",
    "embed_state": "inputs.observation.map",
    "embed_action": "inputs.action.map",
    "embed_ln": "norm",
    "encoder.ln_f": "transformer.norm",
    "predict_action.0": "outputs.action.map",
}
"""Their layers outside the blocks, and ours."""

WITHIN = {
    "ln_1": "attention_norm",
    "attn.c_attn": "attention.qkv",
    "attn.c_proj": "attention.out",
    "ln_2": "inner_norm",
    "mlp.c_fc": "inner_in",
    "mlp.c_proj": "inner_out",
}
"""Their layers within a block, and ours."""


def published(ours: TokenModel) -> DecisionTransformerModel:
    """Make `transformers`' network of the same sizes, with the same weights, on the same device."""
    network, tokenizer = ours.network, ours.tokenizer
    if any(tokenizer.action_low != -1) or any(tokenizer.action_high != 1):
        raise SeqrlError(
            f"{tokenizer.data.name} has actions beyond -1 and 1, or within narrower bounds, which "
            "transformers' Decision Transformer does not know. Compare on another task, for "
            "instance hopper-medium."
        )
    config = DecisionTransformerConfig(
        state_dim=tokenizer.widths["observation"],
        act_dim=tokenizer.widths["action"],
        hidden_size=network.width,
        max_ep_len=len(ours.positions),
        n_positions=ours.tokens_a_step * tokenizer.layout.steps,
        n_layer=network.layers,
        n_head=network.heads,
        n_inner=network.inner,
        activation_function=network.activation,
        resid_pdrop=network.dropout,
        embd_pdrop=network.dropout,
        attn_pdrop=network.dropout,
        layer_norm_epsilon=network.norm_eps,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):  # its own first weights are thrown away
        theirs = DecisionTransformerModel(config)
    _copy(ours, theirs)
    # They add one more learnt vector to every token, the same to all: what the bias of embed_ln
    # does already. Ours has no such vector, so theirs is zero and stays zero.
    theirs.encoder.wpe.weight.requires_grad_(False).zero_()
    nn.Module.to(theirs, ours.positions.device)
    return theirs


@torch.no_grad()
def _copy(ours: TokenModel, theirs: DecisionTransformerModel) -> None:
    """Give theirs our weights; within the blocks theirs stand the other way round."""
    pairs = dict(AROUND)
    for layer in range(ours.network.layers):
        within = WITHIN.items()
        pairs |= {f"encoder.h.{layer}.{a}": f"transformer.blocks.{layer}.{b}" for a, b in within}
    for name, own in pairs.items():
        into, source = theirs.get_submodule(name), ours.get_submodule(own)
        weight = source.get_parameter("weight")
        into.get_parameter("weight").copy_(weight.T if isinstance(into, Conv1D) else weight)
        into.get_parameter("bias").copy_(source.get_parameter("bias"))
    theirs.embed_timestep.weight.copy_(ours.positions)


def prepared(batch: TokenBatch, model: DecisionTransformerModel) -> dict[str, Tensor]:
    """Return the same windows as arguments of their network."""
    return {
        "returns_to_go": batch.values["return_to_go"],  # [B, T, 1]
        "states": batch.values["observation"],  # [B, T, w]
        "actions": batch.values["action"],  # [B, T, w]
        # What fills a window may be counted beyond the horizon; nobody sees it.
        "timesteps": batch.steps.clamp(max=model.config.max_ep_len - 1),  # [B, T]
        "attention_mask": batch.is_real.long(),  # [B, T]
    }


def loss_of(model: DecisionTransformerModel, batch: dict[str, Tensor]) -> Tensor:
    """Return the mean squared error of the actions over real steps."""
    wanted, real = batch["actions"], batch["attention_mask"][..., None]
    predicted = model(**batch, return_dict=True).action_preds  # [B, T, w]
    # Not predicted[real > 0], as many write: on a GPU the host would wait for the count.
    errors: Tensor = (predicted - wanted).square() * real
    return errors.sum() / (real.sum() * wanted.shape[-1])


class PlainLoop:
    """A training loop in its plainest form, on batches that were prepared beforehand."""

    def __init__(
        self,
        model: DecisionTransformerModel,
        batches: Sequence[dict[str, Tensor]],
        settings: Training,
        precision: str,
    ) -> None:
        """Begin with the first batch, under the settings that ours is trained with."""
        assert settings.decay_on == "everything", "the optimiser here knows one group of weights"
        self.model, self.settings = model, settings
        self.losses: list[Tensor] = []
        """The loss of each update done."""
        self._batches, self._precision = batches, precision
        self._optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=True,
        )

    def until(self, update: int) -> None:
        """Train up to `update` updates in all."""
        self.model.train()
        while len(self.losses) < update:
            self._step(len(self.losses))

    def _step(self, update: int) -> None:
        with casting(self._precision, self.model.device):
            loss = loss_of(self.model, self._batches[update])
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.settings.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        for group in self._optimizer.param_groups:
            group["lr"] = self.settings.rate(update)
        self._optimizer.step()
        self.losses.append(loss.detach())
