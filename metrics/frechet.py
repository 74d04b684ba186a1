"""The Frechet distance of two sets of features, each taken for a Gaussian. Float64 throughout.

It holds no network and no protocol: which prompts are compared with which is `metrics.gap`'s part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]
# The eigenvalues of a symmetric matrix; another library's may be faster than numpy's.
Eigenvalues = Callable[[Features], Features]


def numpy_eigenvalues(symmetric: Features) -> Features:
    """By numpy's own LAPACK."""
    return np.asarray(np.linalg.eigvalsh(symmetric))


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """What the distance needs of a set: its mean (D,) and a factor F (R, D) with F^T F = C."""

    mean: Features
    factor: Features
    variance: float
    num: int


def gaussian(features: NDArray[np.floating]) -> Gaussian:
    """The Gaussian of features (N, D), at least two rows; covariance by N - 1."""
    rows = np.asarray(features, np.float64)
    if rows.ndim != 2 or len(rows) < 2 or not rows.shape[1]:
        raise ValueError(f"features of shape {rows.shape}: give at least two rows of them")
    mean = rows.mean(0)
    centred = rows - mean
    if not np.isfinite(mean).all():
        raise ValueError(
            "features: some are no finite numbers; leave those pictures out, and say how many"
        )
    centred /= np.sqrt(len(rows) - 1)
    # With fewer pictures than features the rows themselves are the smaller factor.
    factor = centred if len(rows) <= rows.shape[1] else _factor(centred.T @ centred)
    return Gaussian(mean, factor, float(np.vdot(centred, centred)), len(rows))


def gaussian_distance(
    one: Gaussian, other: Gaussian, eigenvalues: Eigenvalues = numpy_eigenvalues
) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))."""
    apart = one.mean - other.mean
    # C1 C2 has the eigenvalues of M M^T: the trace of its root is the sum of M's singular values.
    both = one.factor @ other.factor.T
    square = both @ both.T if both.shape[0] <= both.shape[1] else both.T @ both
    root = float(np.sqrt(np.clip(eigenvalues(square), 0, None)).sum())
    # A covariance has no negative variances; what rounding makes of zero is no distance.
    return max(float(apart @ apart) + one.variance + other.variance - 2 * root, 0.0)


def frechet_distance(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """The distance of features (N, D), at least two of each."""
    return gaussian_distance(gaussian(one), gaussian(other))


def too_few(num: int, width: int) -> str | None:
    """What to say of a Frechet distance of `num` pictures by `width` features; None if enough."""
    if num > width:
        return None
    return (
        f"{num:,} pictures for {width:,} features: the covariance is singular, and most of the "
        f"distance is bias; take more than {width:,} pictures, a tap of fewer features, or KID"
    )


def _factor(covariance: Features) -> Features:
    try:
        return np.asarray(np.linalg.cholesky(covariance).T)
    except np.linalg.LinAlgError:
        # A feature that never varies, or that others make up.
        values, vectors = np.linalg.eigh(covariance)
        return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))).T)
