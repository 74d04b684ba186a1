"""Near-duplicates among very many rows, by blocks, so that memory stays bounded.

The order of the rows decides: a row is dropped when an earlier kept row is near it. So whatever is
dropped has a kept twin, and no chain of small steps takes a picture away that resembles none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.groups import Codes, Floats

# Rows by columns of one comparison: 1,024 x 16,384 float32 are 64 MiB.
_ROWS, _COLUMNS = 1024, 16_384

Near = Callable[[slice, slice], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Duplicates:
    """Which earlier kept row each row repeats, -1 for a row to keep; and how many near pairs."""

    of: Codes
    num_pairs: int

    @property
    def num_dropped(self) -> int:
        """Rows that repeat another."""
        return int((self.of >= 0).sum())


def near_by_cosine(vectors: NDArray[Any], least: float) -> Duplicates:
    """Near when the cosine is `least` or more; rows of zeros or NaN are near nothing."""
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)

    def near(some: slice, others: slice) -> NDArray[np.bool_]:
        return np.asarray(rows[some] @ rows[others].T >= np.float32(least))

    if not 0 < least <= 1:
        raise ValueError(f"near-duplicates: cosine {least}: should be above 0, at most 1")
    return _compare(len(rows), near)


def near_by_hash(hashes: NDArray[np.int64], most_bits: int) -> Duplicates:
    """Near when at most so many of 64 bits differ."""
    if not 0 <= most_bits < 64:
        raise ValueError(f"near-duplicates: {most_bits} bits: should be 0 to 63")
    bits = hashes.astype(np.int64).view(np.uint64)

    def near(some: slice, others: slice) -> NDArray[np.bool_]:
        apart = bits[some, None] ^ bits[None, others]
        return np.asarray(np.bitwise_count(apart) <= most_bits)

    return _compare(len(bits), near)


def nearest_pairs(vectors: Floats, duplicates: Duplicates, count: int) -> list[tuple[int, int]]:
    """Some dropped rows with their kept twins, the most alike first, for people to look at."""
    dropped = np.flatnonzero(duplicates.of >= 0)
    kept = duplicates.of[dropped]
    alike = np.einsum("ij,ij->i", vectors[dropped], vectors[kept], dtype=np.float64)
    order = np.lexsort((dropped, -alike))[:count]
    return [(int(kept[i]), int(dropped[i])) for i in order]


def _compare(num: int, near: Near) -> Duplicates:
    of = np.full(num, -1, dtype=np.int64)
    num_pairs = 0
    for begin in range(0, num, _ROWS):
        some = slice(begin, min(begin + _ROWS, num))
        for left in range(0, begin, _COLUMNS):
            others = slice(left, min(left + _COLUMNS, begin))
            hits = near(some, others)
            if hits.any():
                num_pairs += int(np.count_nonzero(hits))
                _settle(of, some, others, hits)
        hits = np.tril(near(some, some), -1)
        num_pairs += int(np.count_nonzero(hits))
        for row in np.flatnonzero(hits.any(axis=1)):
            # Rows of one block depend on each other, so they are taken one by one.
            _settle(of, slice(begin + row, begin + row + 1), some, hits[row : row + 1])
    return Duplicates(of=of, num_pairs=num_pairs)


def _settle(of: Codes, some: slice, others: slice, hits: NDArray[np.bool_]) -> None:
    """Note for rows without a twin yet the first kept one of the others that is near."""
    twins = hits & (of[others] < 0)[None, :]
    found = twins.any(axis=1) & (of[some] < 0)
    of[some] = np.where(found, others.start + twins.argmax(axis=1), of[some])
