"""The hash that orders names: many at once, and never another one.

`schemas.seeds.stable_hash` takes a microsecond a name, which five million names cannot afford. This
one works on the columns of arrow: eight bytes of every name in one step.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.seeds import stable_hash

Hashes = NDArray[np.uint64]
WORD_BYTES = 8
# Odd multipliers of splitmix64; multiplying by an odd number modulo 2**64 loses nothing.
_LENGTH_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_WORD_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
_LAST_FACTOR = np.uint64(0x94D049BB133111EB)
# The low k bytes of a word, for k from 0 to 8.
_MASKS = np.array([(1 << (8 * kept)) - 1 for kept in range(WORD_BYTES + 1)], dtype=np.uint64)


def hash_names(names: pa.Array) -> Hashes:
    """64 bits for every string of a column, from its UTF-8 bytes alone."""
    if not len(names):
        return np.empty(0, dtype=np.uint64)
    offsets, data = text_of(names)
    text = data.tobytes() + bytes(WORD_BYTES)
    # A word at every byte, so that a name may begin anywhere.
    words = np.ndarray(len(text) - WORD_BYTES + 1, "<u8", text, strides=(1,))
    left = np.diff(offsets).astype(np.int64)
    at = offsets[:-1].astype(np.int64)
    hashes = left.astype(np.uint64) * _LENGTH_FACTOR
    rows = np.arange(len(names))
    while len(rows):
        word = words[at] & _MASKS[np.minimum(left, WORD_BYTES)]
        hashes[rows] = _mixed(hashes[rows] ^ word, _WORD_FACTOR)
        longer = left > WORD_BYTES
        rows, at, left = rows[longer], at[longer] + WORD_BYTES, left[longer] - WORD_BYTES
    return hashes


def text_of(names: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Where each string of a column begins and the last ends, and the UTF-8 bytes of them all."""
    if not len(names):
        return np.zeros(1, np.int32), np.empty(0, np.uint8)
    offsets = np.frombuffer(names.buffers()[1], np.int32)[names.offset :][: len(names) + 1]
    data = np.frombuffer(names.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    return offsets - offsets[0], data


def ordered_by(hashes: Hashes, seed: int) -> Hashes:
    """The places of these hashes in the order of a seed; different hashes stay different."""
    start = np.uint64(stable_hash("names", seed))
    return _mixed(_mixed(hashes ^ start, _WORD_FACTOR) + start, _LAST_FACTOR)


def _mixed(values: Hashes, factor: np.uint64) -> Hashes:
    values = values * factor
    values ^= values >> np.uint64(32)
    return values
