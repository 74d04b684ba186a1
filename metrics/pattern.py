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

# Periods of up to 11 px; longer ones are shapes, and lie too near to the mean to be told.
_LOWEST = 3 / WINDOW
# How many times its surroundings a peak has to be, of endlessly many windows; fewer are noisier.
_STANDS_OUT, _NOISE = 2.0, 6.0
# What rounding to levels alone has of power: 1/12 of a level squared, over all places.
_ROUNDING = 1 / 12 / WINDOW**2
# A window smears a peak over the places next to it, so its surroundings begin two places away.
_WAYS = ((0, 2), (2, 0), (2, 2), (2, -2))


@dataclass(frozen=True, slots=True, kw_only=True)
class NetPattern:
    """The share of power in peaks, 0 to 1, and the period of the highest; None without any."""

    share: float
    period_px: float | None


def net_pattern(levels: NDArray[np.uint8], source: NDArray[np.uint8] | None = None) -> NetPattern:
    """What of the picture's power, of periods up to 11 px, is in peaks.

    With its source, whose own stripes are then no peaks; pictures of one size.
    """
    found, windows = power(levels)
    found = found + _ROUNDING
    before = np.ones_like(found)
    if source is not None:
        if source.shape != levels.shape:
            raise ValueError(
                f"pictures of shapes {levels.shape} and {source.shape}: should be of one size"
            )
        before = power(source)[0] + _ROUNDING
    gain = found / before
    around = before * _surroundings(gain)
    of = frequencies()
    seen = of >= _LOWEST
    total = float(found[seen].sum())
    limit = (_STANDS_OUT + _NOISE / np.sqrt(windows)) * around
    above = np.where(seen, np.clip(found - limit, 0, None), 0.0)
    if not above.any():
        return NetPattern(share=0.0, period_px=None)
    highest = np.unravel_index(int(np.argmax(above)), above.shape)
    return NetPattern(share=float(above.sum()) / total, period_px=float(1 / of[highest]))


def _surroundings(values: Floats) -> Floats:
    """The most of what lies around each place on a line through it, by the geometric mean.

    A straight edge gives a ridge in the spectrum, and every picture a slope: along some line both
    go on, while a peak is higher than its surroundings on every line.
    """
    logs = np.log(np.maximum(values, np.finfo(np.float64).tiny))
    along = [(np.roll(logs, way, (0, 1)) + np.roll(logs, _back(way), (0, 1))) / 2 for way in _WAYS]
    return np.asarray(np.exp(np.max(along, axis=0)))


def _back(way: tuple[int, int]) -> tuple[int, int]:
    return (-way[0], -way[1])
