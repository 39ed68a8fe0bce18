"""The training loop. Knows models by their loss alone, and neither agents nor tasks.

All chance in update number u comes from a seed made of the run's seed and u. So a training that was
killed goes on with nothing but weights, the optimiser's memory and u, and ends with the same bits
as one that was not; and whatever happens between two updates, an evaluation for instance, changes
nothing.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqrl.data.whole import json_lines, replace_file, sha256_of, whole_lines
from seqrl.errors import SeqrlError
from seqrl.nets.model import Model
from seqrl.progress import Progress, silent
from seqrl.seeds import seed_for
from seqrl.tokens.windows import TokenBatch, Windows
from seqrl.training.checkpoint import named, read_checkpoint, tensors_of, write_checkpoint
from seqrl.training.device import casting, precision_on
from seqrl.training.settings import Training

SAVE_SECONDS = 60.0
"""How much work a killed training may lose."""

METRICS_EVERY = 100
"""Updates between two lines of metrics, each the mean over them."""

HELD_OUT_EVERY = 1000
"""Updates between two looks at held-out episodes."""

HELD_OUT_WINDOWS = 256

OUT_OF_RANGE = 1e4
"""What no signal reaches on the network's scale when all is well."""

Told = Callable[[Mapping[str, float]], None]


class NotFinite(SeqrlError):
    """The loss became infinite, or no number at all."""


class Trainer:
    """One training, from its first update or from where it was killed."""

    def __init__(
        self,
        model: Model,
        windows: Windows,
        settings: Training,
        *,
        seed: int,
        folder: Path,
        about: Mapping[str, Any],
        held_out: Windows | None = None,
        progress: Progress = silent,
        told: Told | None = None,
    ) -> None:
        """Take up the training whose state lies in `folder`, or begin.

        `about` describes the run, for the header of checkpoints. `told` hears every line of
        metrics.
        """
        self.model, self.windows, self.settings = model, windows, settings
        self._seed, self._folder, self._about = seed, folder, dict(about)
        self._held_out, self._progress, self._told = held_out, progress, told
        self.device = windows.device
        self.precision = precision_on(settings.precision, self.device)
        self.epoch = windows.steps / settings.batch
        """Updates that draw a window for every step of the data."""
        self.update = 0
        """Updates done."""
        self.seconds = 0.0
        """Time that they took, in all processes that had a part in them."""
        self._since: list[dict[str, Tensor]] = []
        """What was measured in each update since the last line of metrics."""
        self._loss = math.nan
        """The last one that was looked at."""
        self._generator = torch.Generator()
        self._optimizer = torch.optim.AdamW(
            _groups(model, settings), lr=settings.learning_rate, betas=settings.betas, fused=True
        )
        folder.mkdir(parents=True, exist_ok=True)
        if self._state.exists():
            self._take_up()
        self._cut_metrics()

    @property
    def _state(self) -> Path:
        return self._folder / "state.safetensors"

    @property
    def metrics(self) -> Path:
        """The file of metrics: a line of JSON every `METRICS_EVERY` updates."""
        return self._folder / "metrics.jsonl"

    # ---- the loop ----------------------------------------------------------------------------

    def until(self, update: int) -> None:
        """Train up to `update` updates in all, and save."""
        if self.update >= update:
            return
        self.model.train()
        first, began, before = self.update, time.monotonic(), self.seconds
        saved = began
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            while self.update < update:
                self._step()
                now = time.monotonic()
                self.seconds = before + now - began
                rate = (self.update - first) / max(1e-9, now - began)
                save = self.update == update or now - saved > SAVE_SECONDS
                if self.update % METRICS_EVERY == 0 or save:
                    self._check(self._since, self.update)
                if self.update % METRICS_EVERY == 0 or self.update == self.settings.updates:
                    self._write_metrics(rate)
                if save:
                    self.save()
                    saved = time.monotonic()
                self._show(rate)

    def _step(self) -> None:
        """Do one update."""
        torch.manual_seed(seed_for(self._seed, "dropout", self.update))
        with casting(self.precision, self.device):
            loss, errors = self.model.loss(self._batch(self.update))
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        limit = math.inf if self.settings.clip is None else self.settings.clip
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit, foreach=True)
        for group in self._optimizer.param_groups:
            group["lr"] = self.settings.rate(self.update, self.epoch)
        named_errors = {f"error.{name}": error for name, error in errors.items()}
        measured = {"loss": loss.detach(), **named_errors, "gradient_norm": norm.detach()}
        if self.device.type == "cpu":  # elsewhere every look waits for the device
            self._check([measured], self.update + 1)
        self._optimizer.step()
        self._since.append(measured)
        self.update += 1

    def _batch(self, update: int) -> TokenBatch:
        self._generator.manual_seed(seed_for(self._seed, "windows", update))
        return self.windows.draw(self.settings.batch, self._generator)

    def _check(self, measured: list[dict[str, Tensor]], end: int) -> None:
        """Refuse a loss, or a gradient, that is not finite; `measured` ends before update `end`."""
        for update, values in enumerate(measured, end - len(measured)):
            for name, value in values.items():
                if not torch.isfinite(value).all():
                    raise NotFinite(self._what_happened(name, float(value), update))

    def _what_happened(self, name: str, value: float, update: int) -> str:
        batch = self._batch(update)
        largest = {
            signal: float(values.abs().max())
            for signal, values in batch.values.items()
            if values.is_floating_point()
        }
        beyond = [signal for signal, most in largest.items() if not most < OUT_OF_RANGE]
        seen = ", ".join(f"{signal} up to {most:.3g}" for signal, most in largest.items())
        cause = (
            f"{' and '.join(beyond)} {'is' if len(beyond) == 1 else 'are'} far out of range: look "
            "at the data, or let the layout standardise it"
            if beyond
            else "no signal is out of range, so it is the training that ran away: lower "
            "training.learning_rate, or clip harder"
        )
        kept = f"{self._state} holds the last good state" if self._state.exists() else ""
        return (
            f"The {name.replace('_', ' ')} became {value} in update {update + 1:,}. On the "
            f"network's scale its windows held {seen or 'bins only'}: {cause}."
            + (f" {kept}." if kept else "")
        )

    # ---- what is told meanwhile --------------------------------------------------------------

    def _show(self, rate: float) -> None:
        if self._since and self.device.type == "cpu":
            self._loss = float(self._since[-1]["loss"])
        note = f"loss {self._loss:.4g}, {rate:.3g} updates/s"
        self._progress("training", self.update, self.settings.updates, "updates", note)

    def _write_metrics(self, rate: float) -> None:
        """Write the means since the last line."""
        means = {
            name: float(torch.stack([values[name] for values in self._since]).mean())
            for name in self._since[0]
        }
        self._loss = means["loss"]
        line: dict[str, float] = {
            "update": self.update,
            **means,
            "learning_rate": self.settings.rate(self.update - 1, self.epoch),
            "updates_per_second": rate,
            "seconds": self.seconds,
        }
        last = self.update == self.settings.updates
        if self._held_out is not None and (self.update % HELD_OUT_EVERY == 0 or last):
            line |= self._held_out_errors(self._held_out)
        with self.metrics.open("a") as out:
            out.write(json.dumps(line) + "\n")
        if self._told:
            self._told(line)
        self._since = []

    @torch.no_grad()
    def _held_out_errors(self, windows: Windows) -> dict[str, float]:
        """Measure the model, without dropout, on windows it was not trained on."""
        self.model.eval()
        with casting(self.precision, self.device):
            _, errors = self.model.loss(windows.spread(min(HELD_OUT_WINDOWS, windows.steps)))
        self.model.train()
        return {f"held_out.{name}": float(value) for name, value in errors.items()}

    # ---- what stays on disk ------------------------------------------------------------------

    def save(self) -> None:
        """Write all that is needed to go on."""
        tensors = tensors_of(self.model)
        for name, weight in self.model.named_parameters():
            for key, value in self._optimizer.state[weight].items():
                tensors[f"optimizer.{key}.{name}"] = value
        since = [{name: float(v) for name, v in values.items()} for values in self._since]
        progress = {"update": self.update, "seconds": self.seconds, "since": since}
        write_checkpoint(self._state, tensors, {**self._about, "training": progress})

    def write_policy(self, file: Path) -> str:
        """Write what plays, without the optimiser's memory; the file's SHA-256."""
        write_checkpoint(file, tensors_of(self.model), {**self._about, "updates": self.update})
        return sha256_of(file)

    def _take_up(self) -> None:
        """Go on from the state on disk."""
        tensors, about = read_checkpoint(self._state)
        progress = about.pop("training")
        self.model.load_state_dict(named(tensors, "weights."))
        for name, weight in self.model.named_parameters():
            for key in ("step", "exp_avg", "exp_avg_sq"):
                if (kept := tensors.get(f"optimizer.{key}.{name}")) is not None:
                    self._optimizer.state[weight][key] = kept.to(self.device)
        self.update, self.seconds = progress["update"], progress["seconds"]
        self._since = [
            {name: torch.tensor(v, device=self.device) for name, v in values.items()}
            for values in progress["since"]
        ]

    def _cut_metrics(self) -> None:
        """Forget the metrics of updates that were lost, and will be done again."""
        kept = [line for line in whole_lines(self.metrics) if line["update"] <= self.update]
        replace_file(self.metrics, json_lines(kept))


def _groups(model: nn.Module, settings: Training) -> list[dict[str, Any]]:
    """Sort the weights into those that decay and those that do not."""
    if settings.decay_on == "everything":
        return [{"params": list(model.parameters()), "weight_decay": settings.weight_decay}]
    matrices = {
        id(weight)
        for module in model.modules()
        if not isinstance(module, nn.Embedding)
        for name, weight in module.named_parameters(recurse=False)
        if name == "weight" and weight.ndim > 1
    }
    decaying = [weight for weight in model.parameters() if id(weight) in matrices]
    others = [weight for weight in model.parameters() if id(weight) not in matrices]
    return [
        {"params": decaying, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
