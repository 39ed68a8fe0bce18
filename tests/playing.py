"""Small trained agents for tests: made in a second, playing a Hopper that falls at once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqrl.errors import SeqrlError
from tests.conftest import Ended
from tests.data.making import layout, write_hdf5

Run = Callable[..., Ended]

SMALL = ("network.layers=1", "network.width=16", "context_steps=3")


def trained(
    seqrl: Run, folder: Path, agent: str, *settings: str, updates: int = 2, seed: int = 0
) -> Any:
    """Train an agent on made-up data, and play three episodes: what `seqrl run --json` says, and
    under "file" where the checkpoint is."""
    data = write_hdf5(folder / "small.hdf5", layout((20, 30, 25)))
    imported = seqrl(
        "data", "import", data, "--name", "small", "--environment", "Hopper-v4",
        "--reference", 0, 1000,
    )  # fmt: skip
    assert imported.status == 0, imported.err
    fields = [f"training.updates={updates}", "training.batch=4", *settings]
    chosen = [word for field in fields for word in ("--set", field)]
    ended = seqrl(
        "run", agent, "file/small", *chosen, "--episodes", 3, "--results", folder / "results",
        "--device", "cpu", "--seed", seed, "--json",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    return {**found, "file": Path(found["record"]).with_suffix(".safetensors")}


def needs_drawing() -> None:
    """Skip where no pictures can be had."""
    from seqrl.tasks.drawing import ready_to_draw

    try:
        ready_to_draw()
    except SeqrlError as error:
        pytest.skip(str(error))
