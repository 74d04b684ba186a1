"""Distances of two sets of features by kernels: KID, and CMMD. Blockwise, float64, no Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.groups import Floats

_BLOCK = 2048
# CMMD's bandwidth and unit (Jayasumana et al. 2024), for embeddings of length 1.
_SIGMA, CMMD_UNIT = 10.0, 1000.0

Kernel = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelDistance:
    """The mean over subsets, and their standard deviation, which is no error of the mean."""

    value: float
    spread: float
    subsets: int
    subset_size: int


def kid(
    one: NDArray[np.floating],
    other: NDArray[np.floating],
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> KernelDistance:
    """KID (Binkowski et al. 2018): unbiased, kernel (x y / D + 1)^3, over random subsets."""
    first, second = checked_features(one, other)
    least = min(len(first), len(second))
    if not 2 <= subset_size <= least:
        raise ValueError(
            f"subset_size = {subset_size:,}: there are {least:,} pictures; take 2 to {least:,}"
        )
    rng = np.random.default_rng(seed)
    found = [
        unbiased_mmd(
            first[rng.choice(len(first), subset_size, replace=False)],
            second[rng.choice(len(second), subset_size, replace=False)],
            cubic_kernel,
        )
        for _ in range(subsets)
    ]
    return KernelDistance(
        value=float(np.mean(found)),
        spread=float(np.std(found)),
        subsets=subsets,
        subset_size=subset_size,
    )


def whole_kid(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """The same over all pairs there are: what the subsets' mean tends to, without their noise."""
    return unbiased_mmd(*checked_features(one, other), cubic_kernel)


def cmmd(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """1000 x the squared discrepancy of CLIP embeddings under a Gaussian kernel of sigma 10.

    Biased, with each picture beside itself, as its authors compute it.
    """
    first, second = checked_embeddings(one, other)
    means = [
        _total(a, b, gaussian_kernel) / (len(a) * len(b))
        for a, b in ((first, first), (second, second), (first, second))
    ]
    return CMMD_UNIT * (means[0] + means[1] - 2 * means[2])


def unbiased_mmd(one: Floats, other: Floats, kernel: Kernel) -> float:
    """The squared discrepancy without the pairs of a row with itself (Gretton et al. 2012)."""
    m, n = len(one), len(other)
    within = [
        (_total(rows, rows, kernel) - float(diagonal_of(rows, kernel).sum()))
        / (len(rows) * (len(rows) - 1))
        for rows in (one, other)
    ]
    return within[0] + within[1] - 2 * _total(one, other, kernel) / (m * n)


def cubic_kernel(one: Floats, other: Floats) -> Floats:
    """(x y / D + 1)^3."""
    return np.asarray((one @ other.T / one.shape[1] + 1) ** 3)


def gaussian_kernel(one: Floats, other: Floats) -> Floats:
    """exp(-|x - y|^2 / (2 sigma^2)) with CMMD's sigma."""
    apart = np.square(one).sum(1)[:, None] + np.square(other).sum(1) - 2 * one @ other.T
    return np.asarray(np.exp(-apart / (2 * _SIGMA**2)))


def _total(one: Floats, other: Floats, kernel: Kernel) -> float:
    return sum(
        float(kernel(one[i : i + _BLOCK], other[j : j + _BLOCK]).sum())
        for i in range(0, len(one), _BLOCK)
        for j in range(0, len(other), _BLOCK)
    )


def totals_of_parts(
    one: Floats, other: Floats, in_one: Floats, in_other: Floats, kernel: Kernel
) -> Floats:
    """The sums over the pairs of each part, which has a column of 0 and 1 of each set."""
    found = np.zeros(in_one.shape[1])
    for i in range(0, len(one), _BLOCK):
        for j in range(0, len(other), _BLOCK):
            block = kernel(one[i : i + _BLOCK], other[j : j + _BLOCK])
            found += ((block @ in_other[j : j + _BLOCK]) * in_one[i : i + _BLOCK]).sum(0)
    return found


def diagonal_of(rows: Floats, kernel: Kernel) -> Floats:
    """The kernel of each row with itself."""
    # A block of one row is cheap enough, blocks of many waste the square.
    return np.array([float(kernel(row[None], row[None])[0, 0]) for row in rows])


def checked_features(
    one: NDArray[np.floating], other: NDArray[np.floating]
) -> tuple[Floats, Floats]:
    """Both in float64; ValueError unless they are features (N, D), at least two of each."""
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"features of shapes {first.shape} and {second.shape}: should be (N, D)")
    if min(len(first), len(second)) < 2:
        raise ValueError(f"{min(len(first), len(second))} pictures: give at least two")
    return first, second


def checked_embeddings(
    one: NDArray[np.floating], other: NDArray[np.floating]
) -> tuple[Floats, Floats]:
    """The same, of vectors of length 1."""
    both = checked_features(one, other)
    for vectors in both:
        lengths = np.linalg.norm(vectors, axis=1)
        if not np.allclose(lengths, 1, atol=1e-3):
            raise ValueError(
                f"embeddings of lengths {lengths.min():.3g} to {lengths.max():.3g}: CMMD's width "
                "is that of vectors of length 1; divide each by its length"
            )
    return both
