"""Ask the published Trajectory Transformer what it computes, and write that down beside this file.

usage: make fixtures   (in an environment of its own with transformers 4.30.0, the last release that
carried the class; needs the package index, and Python 3.11, the newest that its tokenizers are
built for)

Two files: in the JSON the configurations, the calls and the names, in the safetensors file the
weights and all that went in and came out. At the end their class reads a folder that ours wrote.
"""

import importlib
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

VERSION = "4.30.0"
CASES = 16
NAMES, TENSORS = (
    Path(__file__).with_name(f"trajectory_transformer.{end}") for end in ("json", "safetensors")
)
LOSS_WEIGHTS = ((5, 1, 1), (1, 1, 1), (0.5, 2, 3), (1, 1, 0))
"""Of actions, rewards and values. Where one differs from 1, their loss takes whole steps only."""


def main() -> None:
    """Write both files, then let their class read what ours writes."""
    published: Any = importlib.import_module("transformers")
    assert published.__version__ == VERSION, published.__version__
    torch.set_num_threads(1)
    cases = []
    tensors: dict[str, Tensor] = {}
    for number in range(CASES):
        case, found = _asked(published, number)
        cases.append(case)
        tensors |= {
            f"{number}/{name}": x.detach().contiguous().clone() for name, x in found.items()
        }
    known: dict[str, Any] = {
        "source": f"transformers {VERSION}",
        "defaults": published.TrajectoryTransformerConfig().to_diff_dict(),
        "start": _start(published),
        "cases": cases,
    }
    NAMES.write_text(json.dumps(known, separators=(",", ":")).replace('{"config"', '\n{"config"'))
    save_file(tensors, TENSORS)
    _they_read_ours(published)


def _asked(published: Any, number: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Make one model with drawn weights and call it, for everything and for something."""
    draw, generator = random.Random(number), torch.Generator().manual_seed(number)
    config = published.TrajectoryTransformerConfig(**_drawn(draw, number))
    model = published.TrajectoryTransformerModel(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0.1, 0.4, generator=generator)
    weights = dict(model.named_parameters())
    found = {f"weights/{name}": weight for name, weight in weights.items()}
    calls = []
    for call, given, options in (
        (0, *_everything(draw, generator, config)),
        (1, *_something(draw, generator, config)),
    ):
        output = model.train(call == 0)(**given, **options)
        fields = None if isinstance(output, tuple) else list(output.keys())
        named = leaves(output if fields is None else output.to_tuple())
        found |= {f"{call}/given/{name}": x for name, x in given.items()}
        found |= {f"{call}/output/{name}": x for name, x in named.items()}
        calls.append({"options": options, "fields": fields})
        if call == 0:
            output.loss.backward()
            found |= {f"gradients/{name}": weight.grad for name, weight in weights.items()}
    shapes = {name: list(x.shape) for name, x in model.state_dict().items()}
    case = {"config": config.to_diff_dict(), "calls": calls, "tensors": shapes}
    return case, found


def _drawn(draw: random.Random, number: int) -> dict[str, Any]:
    """Draw a configuration; without dropout, so that training or not is one."""
    observation, action, heads = draw.randint(1, 5), draw.randint(1, 3), draw.randint(1, 3)
    step = observation + action + 2
    odd = number == CASES - 1  # a step of more tokens than its parts have, which they allow
    weights = (1, 1, 1) if odd else LOSS_WEIGHTS[number % len(LOSS_WEIGHTS)]
    config = {
        "vocab_size": draw.randint(2, 9),
        "observation_dim": observation,
        "action_dim": action,
        "transition_dim": step + odd,
        "block_size": step * draw.randint(2, 3) - 1 + draw.choice((0, 0, 2)),
        "n_layer": draw.randint(1, 3),
        "n_head": heads,
        "n_embd": heads * draw.choice((2, 4, 5)),
        "output_hidden_states": number % 5 == 3,
        "output_attentions": number % 7 == 3,
        **dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), 0.0),
    }
    return config | dict(
        zip(("action_weight", "reward_weight", "value_weight"), weights, strict=True)
    )


def _everything(
    draw: random.Random, generator: torch.Generator, config: Any
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Draw the inputs of a call that asks for all there is."""
    wanted = ("use_cache", "output_attentions", "output_hidden_states", "return_dict")
    rows = draw.randint(1, 3)
    return _inputs(draw, generator, config, rows, loss=True), dict.fromkeys(wanted, True)


def _something(
    draw: random.Random, generator: torch.Generator, config: Any
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Draw the inputs of a call that leaves much open."""
    loss = draw.random() < 0.5
    drawn = {
        "use_cache": draw.choice((None, None, False, True)),
        "output_attentions": draw.choice((None, None, False, True)),
        "output_hidden_states": draw.choice((None, None, False, True)),
        "return_dict": draw.choice((None, None, False, True)),
    }
    options = {name: value for name, value in drawn.items() if value is not None}
    return _inputs(draw, generator, config, draw.randint(1, 2), loss=loss), options


def _inputs(
    draw: random.Random, generator: torch.Generator, config: Any, rows: int, *, loss: bool
) -> dict[str, Tensor]:
    """Draw tokens, the end token among them, and what a loss needs."""
    weights = {config.action_weight, config.reward_weight, config.value_weight}
    if loss and weights != {1}:
        steps = (config.block_size + 1) // config.transition_dim
        size = config.transition_dim * draw.randint(1, steps) - 1
    else:
        size = draw.randint(1, config.block_size)
    tokens = torch.randint(config.vocab_size + 1, (2, rows, size), generator=generator)
    if not loss:
        return {"trajectories": tokens[0]}
    counted = torch.rand(rows, size, generator=generator)
    mask = draw.choice((counted, (counted > 0.3).float(), counted > 0.3, (counted > 0.3).long()))
    return {"trajectories": tokens[0], "targets": tokens[1], "attention_mask": mask}


def leaves(output: Any, name: str = "") -> dict[str, Tensor]:
    """Name every tensor in nested tuples by the way to it: 2.0.1."""
    if isinstance(output, Tensor):
        return {name.removeprefix("."): output}
    return {
        where: leaf
        for position, part in enumerate(output)
        for where, leaf in leaves(part, f"{name}.{position}").items()
    }


def _start(published: Any) -> dict[str, Any]:
    """Measure where their weights start: the spread and the largest of each tensor."""
    chosen = {"n_embd": 96, "n_layer": 1, "initializer_range": 0.05, "kaiming_initializer_range": 3}
    torch.manual_seed(0)
    model = published.TrajectoryTransformerModel(published.TrajectoryTransformerConfig(**chosen))
    spread = {
        name: {"std": x.std().item(), "largest": x.abs().max().item()}
        for name, x in model.named_parameters()
    }
    return {"config": chosen, "spread": spread}


def _they_read_ours(published: Any) -> None:
    """Save a model of ours, load it with their class and compare the logits."""
    ours: Any = importlib.import_module("seqrl.huggingface.trajectory_transformer")
    config = ours.TrajectoryTransformerConfig(block_size=49, n_layer=2)
    model = ours.TrajectoryTransformerModel(config).eval()
    tokens = torch.randint(101, (2, 49), generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        model.save_pretrained(folder)
        theirs, report = published.TrajectoryTransformerModel.from_pretrained(
            folder, output_loading_info=True
        )
        assert not any(report.values()), report
        torch.testing.assert_close(theirs(tokens)[0], model(tokens)[0], atol=1e-5, rtol=1e-5)


if __name__ == "__main__":
    main()
