"""The description of a transformer: what it derives and what it refuses."""

import subprocess
import sys
from typing import Any

import pytest

from seqrl.errors import SeqrlError
from tests.nets.making import network


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"layers": 0}, "layers is 0"),
        ({"layers": 2.0}, "layers is 2.0"),
        ({"heads": True}, "heads is True"),
        ({"heads": 5}, "one of 1, 2, 3, 4, 6, 12"),
        ({"width": -4}, "width is -4"),
        ({"inner": 0}, "inner is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"dropout": -0.1}, "from 0 to below 1"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"norm_eps": 0.0}, "norm_eps is 0.0"),
        ({"norm_eps": float("inf")}, "norm_eps is inf"),
        ({"activation": "gelu_old"}, "'gelu', 'gelu_new'"),
        ({"attention_scale": "width"}, "'head and layer'"),
        ({"init": "xavier"}, "'mingpt', 'dt', 'gpt2'"),
    ],
)
def test_refuses_what_cannot_be(given: dict[str, Any], named: str) -> None:
    """A bad number must not surface as a shape error deep inside a run."""
    with pytest.raises(SeqrlError, match="Network: ") as refusal:
        network(**given)
    assert named in str(refusal.value)


def test_inner_is_four_times_the_width_unless_said() -> None:
    assert network(inner=None).inner_width == 48 and network(inner=7).inner_width == 7
    assert network(heads=3).head_width == 4


def test_needs_no_torch() -> None:
    """Experiments and agents describe networks in commands that never build one."""
    program = "import sys, seqrl.nets.network; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
