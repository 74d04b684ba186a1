"""The one hash that fixes splits, draws and seeds before anything runs.

Python's own ``hash`` differs between processes; this one never changes, or every dataset would be
another one.
"""

from __future__ import annotations

import hashlib

# 53 bits, so that a seed passes unchanged through JSON and JavaScript, whose numbers are doubles.
HASH_BITS = 53
_SHIFT = 64 - HASH_BITS
# A separator that no name, id or prompt contains, so that ("ab", "c") and ("a", "bc") differ.
_SEPARATOR = "\x1f"


def stable_hash(*parts: str | int) -> int:
    """An integer in [0, 2**53) that depends only on the parts and their order."""
    text = _SEPARATOR.join(map(str, parts))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> _SHIFT


def stable_fraction(*parts: str | int) -> float:
    """The same hash as a number in [0, 1)."""
    return stable_hash(*parts) / (1 << HASH_BITS)
