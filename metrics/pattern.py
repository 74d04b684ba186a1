"""How much of a net-like pattern lies over a picture, as the paper saw in its U-Net's hair.

A network that goes up in steps of two leaves something periodic: sharp peaks in the spectrum, where
hair and skin make a smooth one. Peaks stand out from what is around them, or, where the source is
at hand, from what the network made of the source's neighbouring frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.groups import Floats
from metrics.spectrum import WINDOW, frequencies, power

# Periods of up to 16 px; longer ones are shapes.
_LOWEST = 1 / 16
# How many times its surroundings a peak has to be, of endlessly many windows; fewer are noisier.
_STANDS_OUT, _NOISE = 2.0, 6.0
# Its surroundings: 5 x 5 places without the 3 x 3 in the middle, over which a peak is smeared.
_RING = [
    (down, right)
    for down in range(-2, 3)
    for right in range(-2, 3)
    if max(abs(down), abs(right)) == 2
]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetPattern:
    """The share of power in peaks, 0 to 1, and the period of the highest; None without any."""

    share: float
    period_px: float | None


def net_pattern(levels: NDArray[np.uint8], source: NDArray[np.uint8] | None = None) -> NetPattern:
    """What of the picture's power, of periods up to 16 px, is in peaks.

    With its source, whose own stripes are then no peaks; pictures of one size.
    """
    found, windows = power(levels)
    before = np.ones_like(found)
    if source is not None:
        if source.shape != levels.shape:
            raise ValueError(
                f"pictures of shapes {levels.shape} and {source.shape}: should be of one size"
            )
        # Rounding to levels alone has a power of 1/12 of a level squared, over all places.
        before = power(source)[0] + 1 / 12 / WINDOW**2
    gain = found / before
    around = before * _surroundings(gain)
    of = frequencies()
    seen = of >= _LOWEST
    total = float(found[seen].sum())
    if not total:
        return NetPattern(share=0.0, period_px=None)
    limit = (_STANDS_OUT + _NOISE / np.sqrt(windows)) * around
    above = np.where(seen, np.clip(found - limit, 0, None), 0.0)
    if not above.any():
        return NetPattern(share=0.0, period_px=None)
    highest = np.unravel_index(int(np.argmax(above)), above.shape)
    return NetPattern(share=float(above.sum()) / total, period_px=float(1 / of[highest]))


def _surroundings(values: Floats) -> Floats:
    """The median of the ring around each place; a spectrum goes on at its other end."""
    return np.asarray(np.median([np.roll(values, step, (0, 1)) for step in _RING], axis=0))
