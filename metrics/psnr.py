"""Peak signal-to-noise ratio of two pictures of levels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """In decibels, of 255 as the peak; infinite for equal pictures."""
    if one.dtype != np.uint8 or other.dtype != np.uint8 or one.shape != other.shape or not one.size:
        raise ValueError(
            f"pictures of {one.dtype} {one.shape} and {other.dtype} {other.shape}: "
            "should be uint8 and alike"
        )
    error = float(np.square(one.astype(np.float64) - other.astype(np.float64)).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf
