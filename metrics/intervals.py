"""Intervals of shares that sampling alone explains, and bounds for what was not seen.

None of them knows the analyser's errors: for those see `metrics.correction`.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv  # type: ignore[import-untyped]

from metrics.groups import Floats


def wilson(counts: ArrayLike, total: float, confidence: float = 0.95) -> Floats:
    """Wilson's score interval of each count out of a total, (..., 2); 0 to 1 for a total of 0."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    seen = np.asarray(counts, dtype=np.float64)
    if not total:
        return np.broadcast_to([0.0, 1.0], (*seen.shape, 2)).copy()
    share = seen / total
    middle = share + z**2 / (2 * total)
    half = z * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    scale = 1 + z**2 / total
    low = np.where(seen <= 0, 0.0, (middle - half) / scale)
    high = np.where(seen >= total, 1.0, (middle + half) / scale)
    return np.asarray(np.clip(np.stack([low, high], axis=-1), 0.0, 1.0), dtype=np.float64)


def median_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float, float]:
    """The median, and an interval of it between two of the values, whatever their distribution."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    count = len(ordered)
    tail = (1 - confidence) / 2
    # Of n values as many lie below the median as heads fall in n throws: binomial.
    below = np.cumsum([math.comb(count, k) / 2**count for k in range(count + 1)])
    lowest = int(np.searchsorted(below, tail, side="right"))
    low, high = max(lowest - 1, 0), min(count - lowest, count - 1)
    return float(np.median(ordered)), float(ordered[low]), float(ordered[high])


def simultaneous(counts: ArrayLike, confidence: float = 0.95) -> Floats:
    """Intervals that hold for all shares of one table at once, (..., 2).

    Clopper and Pearson's exact ones at a Bonferroni level: at least the confidence, however rare a
    cell. Goodman's (Wilson's at that level) held in 90 of 100 tables of 48 cells, many of them
    rare; those of Sison and Glaz, all of one width, suit no rare cell.
    """
    seen = np.asarray(counts, dtype=np.float64)
    total = float(seen.sum())
    tail = (1 - confidence) / seen.size / 2
    rest = total - seen
    # The beta distribution needs something on both sides; the ends are 0 and 1.
    low = betaincinv(np.maximum(seen, 1), rest + 1, tail)
    high = betaincinv(seen + 1, np.maximum(rest, 1), 1 - tail)
    bounds = [np.where(seen > 0, low, 0.0), np.where(rest > 0, high, 1.0)]
    return np.stack(bounds, axis=-1)


def worst_case(counts: ArrayLike, uncounted: int) -> Floats:
    """The shares if every uncounted picture were outside, and inside, of a group, (..., 2)."""
    seen = np.asarray(counts, dtype=np.float64)
    total = seen.sum() + uncounted
    if not total:
        return wilson(seen, 0)
    return np.stack([seen / total, (seen + uncounted) / total], axis=-1)
