"""What all published models can do: be read from a folder or the hub, and be written into one."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors.torch import save
from torch import Tensor, nn

from seqrl.data.whole import put_whole
from seqrl.errors import SeqrlError, told_plainly
from seqrl.huggingface.checkpoint import (
    WEIGHTS_FILE,
    Stored,
    fill,
    published_tensors,
    read_weights,
)
from seqrl.huggingface.config import CONFIG_FILE, Config, config_text
from seqrl.huggingface.files import Source


class PublishedModel(nn.Module):
    """A network with a published configuration, and published names for its weights."""

    config_class: ClassVar[type[Config]]
    """The configuration that belongs to it."""

    stored: ClassVar[Mapping[str, Stored]] = {}
    """Modules whose weights stand otherwise in published files."""

    ignored: ClassVar[tuple[str, ...]] = ()
    """Endings of names that stand in old files and mean nothing: masks, mostly."""

    def __init__(self, config: Config) -> None:
        """Keep the configuration."""
        super().__init__()
        if not isinstance(config, self.config_class):
            raise SeqrlError(
                f"{type(self).__name__} is made of a {self.config_class.__name__}, not of a "
                f"{type(config).__name__}."
            )
        config.check()
        self.config: Any = config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of which type they are."""
        return next(self.parameters()).dtype

    def num_parameters(self) -> int:
        """Count the weights."""
        return sum(weight.numel() for weight in self.parameters())

    def said(self, name: str, given: bool | None) -> bool:
        """Return what a call says of a field, or else the configuration."""
        return bool(getattr(self.config, name) if given is None else given)

    @classmethod
    def from_pretrained(cls, folder_or_id: str | PathLike[str], **changes: Any) -> Self:
        """Read a model from a folder or a hub id, ready for use (no dropout), in float32.

        `changes` are fields of the configuration. No random numbers are drawn.
        """
        config = cls.config_class.from_pretrained(folder_or_id, **changes)
        tensors, file = read_weights(Source(folder_or_id))
        return cls.of_tensors(config, tensors, str(file))

    @classmethod
    def of_tensors(
        cls,
        config: Config,
        tensors: Mapping[str, Tensor],
        where: str,
        stored: Mapping[str, Stored] | None = None,
    ) -> Self:
        """Make a model of weights under the published names, or under those that `stored` says;
        `where` they are from is for messages."""
        with torch.device("meta"):  # no memory before the shapes are compared
            model = cls(config)
        fill(model, tensors, cls.stored if stored is None else stored, cls.ignored, where)
        return model.eval()

    def published(self) -> dict[str, Tensor]:
        """Return the weights under their published names, as a file holds them."""
        return published_tensors(self, self.stored)

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write model.safetensors and config.json, as the published classes read them."""
        tensors = self.published()
        plain = self.config.to_dict()
        plain.pop("torch_dtype", None)  # an older name of dtype
        dtype = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
        plain |= {"architectures": [type(self).__name__], "dtype": dtype}
        weights, config = Path(folder, WEIGHTS_FILE), Path(folder, CONFIG_FILE)
        with told_plainly(Path(folder), "writing a published model"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            with put_whole(config) as new_config, put_whole(weights) as new_weights:
                new_weights.write_bytes(save(tensors, metadata={"format": "pt"}))
                new_config.write_bytes(config_text(plain).encode())
                # Killed from here on, the folder is no model, rather than a mixture of two.
                config.unlink(missing_ok=True)
