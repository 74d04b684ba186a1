"""Random numbers that depend on a seed and a purpose alone, for whole batches at once.

Integer hashing and exact float steps only: the same numbers on every processor, for any batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.seeds import stable_hash

# Single precision throughout, which the type of an array operation does not tell.
Floats = npt.NDArray[np.floating[Any]]
Seeds = npt.NDArray[np.uint64]


def uniform(seeds: Seeds, purpose: str, low: float = 0.0, high: float = 1.0) -> Floats:
    """A number in [low, high) for each seed; another purpose gives another number."""
    mixed = _splitmix64(seeds ^ np.uint64(stable_hash("purpose", purpose)))
    # 24 bits are what a float32 holds exactly.
    fraction = (mixed >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)
    return np.float32(low) + fraction * np.float32(high - low)


def choose(seeds: Seeds, purpose: str, shares: Floats) -> npt.NDArray[np.intp]:
    """An index for each seed, drawn by its shares; a row of shares for all, or one for each."""
    ends = np.cumsum(shares, axis=-1, dtype=np.float64)
    drawn = uniform(seeds, purpose).astype(np.float64)[:, None] * ends[..., -1:]
    last = shares.shape[-1] - 1
    chosen: npt.NDArray[np.intp] = np.minimum((drawn >= ends).sum(axis=-1), last)
    return chosen


def seed_array(seeds: Sequence[int]) -> Seeds:
    """Seeds of samples as an array."""
    return np.asarray(seeds, dtype=np.uint64)


def noise_tile(size_px: int, purpose: str) -> Floats:
    """White noise in [-1, 1), the same for ever, from which pictures cut their own windows."""
    cells = np.arange(size_px * size_px, dtype=np.uint64)
    return uniform(cells, purpose, -1.0, 1.0).reshape(size_px, size_px)


def _splitmix64(state: Seeds) -> Seeds:
    """The finaliser of Steele, Lea and Flood's generator."""
    with np.errstate(over="ignore"):
        mixed = state + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
