"""Random numbers that depend on a seed and a purpose alone, for whole batches at once.

Integer hashing and exact float steps only: the same numbers on every processor, for any batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

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


def windows_of(tile: Floats, down: Floats, across: Floats, height: int, width: int) -> Floats:
    """Each picture's own part of a tile, at its place in [0, 1) downwards and across."""
    views = sliding_window_view(tile, (height, width))
    # A product with the count itself could be rounded up to it, which is no index.
    rows = (down * np.float32(views.shape[0] - 1)).astype(np.intp)
    columns = (across * np.float32(views.shape[1] - 1)).astype(np.intp)
    return views[rows, columns]


def blurred(tile: Floats, axis: int, length: int) -> Floats:
    """A mean over `length` cells that goes around at the end."""
    around = np.concatenate((np.take(tile, range(-length, 0), axis, mode="wrap"), tile), axis)
    # A running sum has one order of adding on every processor.
    ends = np.cumsum(around, axis=axis, dtype=np.float64)
    count = tile.shape[axis]
    later = np.take(ends, range(length, length + count), axis)
    earlier = np.take(ends, range(count), axis)
    return np.asarray((later - earlier) / length, np.float32)


def unit_spread(tile: Floats) -> Floats:
    """The same noise with a spread of one."""
    total = np.cumsum(np.square(tile.astype(np.float64)).ravel())[-1]
    return np.asarray(tile / np.sqrt(total / tile.size), np.float32)


@lru_cache(maxsize=16)
def lumps(size_px: int) -> Floats:
    """Noise as smooth as curls are large: the same lumps at every size of picture."""
    tile, length = noise_tile(2 * size_px, "lumps"), max(2, size_px // 40)
    for _ in range(3):
        tile = blurred(blurred(tile, 0, length), 1, length)
    # Without its extremes no lump lies apart from the others.
    return np.clip(unit_spread(tile), -1.6, 1.6)


@lru_cache(maxsize=16)
def white(size_px: int) -> Floats:
    """White noise of unit spread."""
    return unit_spread(noise_tile(2 * size_px, "grain"))


def _splitmix64(state: Seeds) -> Seeds:
    """The finaliser of Steele, Lea and Flood's generator."""
    with np.errstate(over="ignore"):
        mixed = state + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
