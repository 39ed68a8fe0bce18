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

from seqrl.nets.token_model import TokenModel
from seqrl.runs.exchange import published_of
from seqrl.tokens.windows import TokenBatch
from seqrl.training.device import casting
from seqrl.training.settings import Training


def published(ours: TokenModel) -> DecisionTransformerModel:
    """Make `transformers`' network of the same sizes, with the same weights, on the same device."""
    plain = published_of(ours)
    fields = {**plain.config.to_dict(), "use_cache": False}
    config = DecisionTransformerConfig(**fields | {"bos_token_id": None, "eos_token_id": None})
    with torch.random.fork_rng(devices=[]):  # its own first weights are thrown away
        theirs = DecisionTransformerModel(config)
    theirs.load_state_dict(plain.published())
    # They add one more learnt vector to every token, the same to all: what the bias of embed_ln
    # does already. Ours has no such vector, so theirs is zero and stays zero.
    theirs.encoder.wpe.weight.requires_grad_(False)
    nn.Module.to(theirs, ours.positions.device)
    return theirs


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
