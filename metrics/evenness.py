"""How even the shares of groups are: entropy, distances, and what rounded shares leave open."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike

from metrics.groups import Floats

_BISECTIONS = 200
# 2^(k - 1) k corners are visited for the least entropy.
_MOST_GROUPS = 14


def normalised(shares: ArrayLike) -> Floats:
    """Shares or counts divided by their sum."""
    values = np.asarray(shares, dtype=np.float64)
    if not values.sum() > 0 or (values < 0).any():
        raise ValueError(f"shares {values.tolist()}: should be 0 or more, and not all 0")
    return np.asarray(values / values.sum(), dtype=np.float64)


def entropy(shares: ArrayLike) -> float:
    """Shannon's entropy in nats of shares or counts."""
    part = normalised(shares)
    part = part[part > 0]
    return max(0.0, float(-(part * np.log(part)).sum()))


def normalised_entropy(shares: ArrayLike) -> float:
    """Entropy as a part of the most that this number of groups allows: 1 when all are equal."""
    num_groups = np.size(shares)
    return 1.0 if num_groups == 1 else entropy(shares) / math.log(num_groups)


def effective_groups(shares: ArrayLike) -> float:
    """How many equal groups would have this entropy: its exponential."""
    return math.exp(entropy(shares))


def divergence(shares: ArrayLike, target: ArrayLike | None = None) -> float:
    """Kullback-Leibler's, in nats, from a target (uniform for None); inf if it lacks a group."""
    part, wanted = _both(shares, target)
    if (wanted[part > 0] == 0).any():
        return math.inf
    there = part > 0
    return max(0.0, float((part[there] * np.log(part[there] / wanted[there])).sum()))


def total_variation(shares: ArrayLike, target: ArrayLike | None = None) -> float:
    """The part of the pictures that would have to change group to meet a target."""
    part, wanted = _both(shares, target)
    return float(np.abs(part - wanted).sum() / 2)


def rounding_range(
    printed: ArrayLike, decimals: int = 2, *, sum_to_one: bool = True
) -> tuple[float, float]:
    """The least and the most normalised entropy of shares that round to the printed ones.

    With `sum_to_one` the shares that were rounded were all of them; otherwise each may lie anywhere
    within its rounding, and they are normalised afterwards, as for a table with groups left out.
    Both are exact. Entropy is concave, and that of normalised shares quasi-concave: the least is at
    a corner of what rounding allows, the most where all shares are as near to one level as it lets.
    """
    values = np.asarray(printed, dtype=np.float64)
    half = 0.5 * 10.0**-decimals
    low, high = np.maximum(values - half, 0.0), np.minimum(values + half, 1.0)
    if values.size > _MOST_GROUPS:
        raise ValueError(f"printed shares: {values.size} of them, should be {_MOST_GROUPS} or less")
    if sum_to_one and not low.sum() <= 1 <= high.sum():
        raise ValueError(
            f"printed shares {values.tolist()}: sum to {values.sum():.{decimals}f}, which rounding "
            "alone does not explain; take the shares as printed, or sum_to_one=False"
        )
    corners = _edges_of_simplex(low, high) if sum_to_one else _corners(low, high)
    least = min(normalised_entropy(corner) for corner in corners)
    return least, normalised_entropy(_levelled(low, high, sum_to_one))


def _both(shares: ArrayLike, target: ArrayLike | None) -> tuple[Floats, Floats]:
    part = normalised(shares)
    return part, np.full(part.size, 1 / part.size) if target is None else normalised(target)


def _corners(low: Floats, high: Floats) -> list[Floats]:
    """The corners of a box."""
    return [np.array(corner) for corner in itertools.product(*zip(low, high, strict=True))]


def _edges_of_simplex(low: Floats, high: Floats) -> list[Floats]:
    """The corners of a box cut by sum = 1: all shares but one are at a bound."""
    found = []
    for free in range(low.size):
        for corner in _corners(np.delete(low, free), np.delete(high, free)):
            rest = 1.0 - corner.sum()
            if low[free] - 1e-12 <= rest <= high[free] + 1e-12:
                found.append(np.insert(corner, free, max(rest, 0.0)))
    return found


def _levelled(low: Floats, high: Floats, sum_to_one: bool) -> Floats:
    """The most even point: one level, cut to the bounds, where the derivative changes sign."""
    below, above = float(low.min()), float(high.max())
    for _ in range(_BISECTIONS):
        level = (below + above) / 2
        point = np.clip(level, low, high)
        # For normalised shares entropy rises with the level while it is below sum x exp(-H).
        limit = 1.0 if sum_to_one else float(point.sum()) * math.exp(-entropy(point))
        if (float(point.sum()) if sum_to_one else level) < limit:
            below = level
        else:
            above = level
    return np.asarray(np.clip((below + above) / 2, low, high), dtype=np.float64)
