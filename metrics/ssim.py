"""Structural similarity (Wang et al. 2004) of pictures of levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d  # type: ignore[import-untyped]

# The paper's window: 11 taps of a Gaussian with sigma 1.5; and its constants for levels 0..255.
_TAPS = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
_TAPS /= _TAPS.sum()
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The mean over places and channels of two pictures (height, width, 3)."""
    if one.shape != other.shape or min(one.shape[:2]) < len(_TAPS):
        raise ValueError(
            f"pictures of shapes {one.shape} and {other.shape}: should be alike and "
            f"at least {len(_TAPS)} px"
        )
    x, y = one.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = _smooth(x), _smooth(y)
    var_x, var_y = _smooth(x * x) - mean_x**2, _smooth(y * y) - mean_y**2
    both = _smooth(x * y) - mean_x * mean_y
    alike = ((2 * mean_x * mean_y + _C1) * (2 * both + _C2)) / (
        (mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2)
    )
    return float(alike.mean())


def _smooth(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the whole window lies within the picture."""
    smooth = correlate1d(correlate1d(picture, _TAPS, 0), _TAPS, 1)
    edge = len(_TAPS) // 2
    inner: NDArray[np.float64] = smooth[edge:-edge, edge:-edge]
    return inner
