"""Seeds by purpose: from a run's seed and what the chance is for, by SHA-256.

Whoever needs chance makes a generator from such a seed, and nobody touches global state; so what is
drawn does not depend on what was drawn before it.
"""

import hashlib
import json


def seed_for(seed: int, *purpose: str | int) -> int:
    """Return the seed for a purpose: 53 bits, which every reader of JSON keeps exactly."""
    text = json.dumps([seed, *purpose])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11
