"""Straw men: what any photo editor does to a picture, tuned as well as it can be.

A head has to beat an unsharp mask and film grain that were chosen on validation, or it has learned
nothing. No network, no weights; which of them is best is decided elsewhere.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter  # type: ignore[import-untyped]

from schemas.measure import ByGrain, BySharpening

Picture = NDArray[np.uint8]
Filter = BySharpening | ByGrain

# What is tried on validation, per kind.
UNSHARP_MASKS: tuple[BySharpening, ...] = tuple(
    BySharpening(amount=amount, radius_px=radius)
    for amount in (0.25, 0.5, 1.0, 2.0)
    for radius in (0.5, 1.0, 2.0)
)
GRAINS: tuple[ByGrain, ...] = tuple(ByGrain(levels=levels) for levels in (0.5, 1.0, 2.0, 4.0))


def filtered(change: Filter, picture: Picture, name: str) -> Picture:
    """A picture (height, width, 3) after a filter; its name decides the grain, not its place."""
    if isinstance(change, BySharpening):
        return sharpened(picture, change.amount, change.radius_px)
    return grained(picture, change.levels, name)


def sharpened(picture: Picture, amount: float, radius_px: float) -> Picture:
    """An unsharp mask: more of what a blur of this radius leaves out."""
    blurred: NDArray[np.float64] = gaussian_filter(
        picture.astype(np.float64), (radius_px, radius_px, 0)
    )
    return _levels(picture + amount * (picture - blurred))


def grained(picture: Picture, levels: float, name: str) -> Picture:
    """Grey film grain with this standard deviation in levels."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    grain = np.random.default_rng(seed).standard_normal((*picture.shape[:2], 1))
    return _levels(picture + levels * grain)


def _levels(values: NDArray[np.floating]) -> Picture:
    rounded: Picture = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded
