"""Mean power of a picture's brightness by frequency, and how much fine detail that is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metrics.groups import Floats

# Pixels of a window's side; each overlaps the next by half.
WINDOW = 32
# ITU-R BT.601, as Pillow's own "L".
_BRIGHTNESS = np.array([0.299, 0.587, 0.114])
_HANN = np.outer(*(np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW) ** 2,) * 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Root mean square of brightness, in levels, by octaves of frequency.

    `finest` are periods below 4 px, `fine` from 4 to 8, `middle` from 8 to 16.
    """

    finest: float
    fine: float
    middle: float

    @property
    def high(self) -> float:
        """Of everything with a period below 8 px."""
        return float(np.hypot(self.finest, self.fine))


def power(levels: NDArray[np.uint8]) -> tuple[Floats, int]:
    """Power (32, 32) by vertical and horizontal frequency, and how many windows it is the mean of.

    It adds up to the mean square of what is left of brightness without each window's mean.
    """
    if levels.dtype != np.uint8 or levels.ndim != 3 or levels.shape[2] != 3:
        raise ValueError(f"picture of {levels.dtype} {levels.shape}: should be uint8 (H, W, 3)")
    if min(levels.shape[:2]) < WINDOW:
        raise ValueError(
            f"picture of {levels.shape[1]} x {levels.shape[0]} px: a spectrum needs sides of at "
            f"least {WINDOW} px"
        )
    brightness = levels.astype(np.float64) @ _BRIGHTNESS
    cut = np.lib.stride_tricks.sliding_window_view(brightness, (WINDOW, WINDOW))
    windows = cut[:: WINDOW // 2, :: WINDOW // 2].reshape(-1, WINDOW, WINDOW)
    # Without the mean under the window, which would leak into the lowest frequencies.
    means = (windows * _HANN).sum((1, 2), keepdims=True) / _HANN.sum()
    found = np.abs(np.fft.fft2((windows - means) * _HANN)) ** 2
    return found.mean(0) / (WINDOW**2 * np.square(_HANN).sum()), len(windows)


def frequencies() -> Floats:
    """Cycles per pixel of each place of `power`, (32, 32)."""
    along = np.fft.fftfreq(WINDOW)
    return np.asarray(np.hypot(along[:, None], along))


def detail(levels: NDArray[np.uint8]) -> Detail:
    """How much fine detail there is, noise and false texture included: it tells no quality."""
    found, _ = power(levels)
    of = frequencies()
    edges = (np.inf, 1 / 4, 1 / 8, 1 / 16)
    finest, fine, middle = (
        float(np.sqrt(found[(of >= low) & (of < high)].sum())) for high, low in pairwise(edges)
    )
    return Detail(finest=finest, fine=fine, middle=middle)
