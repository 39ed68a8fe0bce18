"""Seeds by purpose."""

from hashlib import sha256
from typing import Any

from seqrl.seeds import seed_for


def test_seeds_are_what_they_were() -> None:
    """A seed that moves between versions or machines moves every number in the table."""
    digest = sha256(b'[0, "file/made", "evaluation", 3]').digest()
    assert seed_for(0, "file/made", "evaluation", 3) == int.from_bytes(digest[:8], "big") >> 11
    assert seed_for(0, "evaluation") == 4599546432545562


def test_purposes_do_not_run_into_each_other() -> None:
    """Concatenated words would give ("a", 11) and ("a1", 1) one seed."""
    purposes: list[Any] = [
        (0, "a", 11),
        (0, "a1", 1),
        (0, "a", 1, 1),
        (1, "a", 1),
        (0, "a", "11"),
        (0,),
    ]
    assert len({seed_for(*purpose) for purpose in purposes}) == len(purposes)
    assert all(0 <= seed_for(*purpose) < 2**53 for purpose in purposes)
