"""The Frechet distance of two sets of features, each taken for a Gaussian. Float64 throughout."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]


def frechet_distance(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of features (N, D), at least two of each."""
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    for features in (first, second):
        if features.ndim != 2 or len(features) < 2:
            raise ValueError(f"features of shape {features.shape}: give at least two rows of them")
    apart = first.mean(0) - second.mean(0)
    here, there = _covariance(first), _covariance(second)
    traces = float(np.trace(here) + np.trace(there))
    # A covariance has no negative variances; what rounding makes of zero is no distance.
    return max(float(apart @ apart) + traces - 2 * _trace_of_root(here, there), 0.0)


def _covariance(features: Features) -> Features:
    return np.atleast_2d(np.cov(features, rowvar=False))


def _trace_of_root(one: Features, other: Features) -> float:
    """tr((C1 C2)^(1/2)), by the symmetric C1^(1/2) C2 C1^(1/2), which has the same eigenvalues."""
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return float(np.sqrt(np.clip(np.linalg.eigvalsh(root @ other @ root), 0, None)).sum())
