"""KID and CMMD of a row against a reference on other prompts, with the error over prompts.

As in `metrics.gap`, pictures of test-A are compared with references of test-B, then swapped, and
the same parts of the prompts tell the error. Each kernel is computed once, for all parts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metrics.gap import Halves
from metrics.groups import Floats
from metrics.kernels import (
    CMMD_UNIT,
    Kernel,
    checked_embeddings,
    checked_features,
    cubic_kernel,
    diagonal_of,
    gaussian_kernel,
    totals_of_parts,
)
from metrics.subsampling import CUTS, Estimate, Members, error, estimate, membership, parts


def kid_gap(row: Halves, reference: Halves, *, draws: int = 100, seed: int = 0) -> Estimate:
    """KID over all pairs there are, both ways averaged; unbiased at any number of prompts."""

    def of(one: Floats, other: Floats, members: Members) -> Floats:
        within, between = _totals(one, other, members, cubic_kernel)
        counts = [member.sum(0) for member in members]
        own = [
            (total - diagonal_of(rows, cubic_kernel) @ member) / (count * (count - 1))
            for total, rows, member, count in zip(
                within, (one, other), members, counts, strict=True
            )
        ]
        return np.asarray(own[0] + own[1] - 2 * between / (counts[0] * counts[1]))

    return _both_ways(row, reference, checked_features, of, draws, seed)


def cmmd_gap(row: Halves, reference: Halves, *, draws: int = 100, seed: int = 0) -> Estimate:
    """CMMD of CLIP embeddings, both ways averaged; biased, as its authors compute it."""

    def of(one: Floats, other: Floats, members: Members) -> Floats:
        within, between = _totals(one, other, members, gaussian_kernel)
        m, n = (member.sum(0) for member in members)
        return np.asarray(CMMD_UNIT * (within[0] / m**2 + within[1] / n**2 - 2 * between / (m * n)))

    return _both_ways(row, reference, checked_embeddings, of, draws, seed)


def _both_ways(
    row: Halves,
    reference: Halves,
    checked: Callable[[NDArray[np.floating], NDArray[np.floating]], tuple[Floats, Floats]],
    of: Callable[[Floats, Floats, Members], Floats],
    draws: int,
    seed: int,
) -> Estimate:
    ways = checked(row.a, reference.b), checked(reference.a, row.b)
    sizes = len(row.a), len(row.b)
    drawn = [list(parts(sizes, cut, draws, seed)) for cut in CUTS]
    members = membership(sizes, [one for of_cut in drawn for one in of_cut])
    whole, *found = np.mean([of(*way, members) for way in ways], axis=0)
    by_cut = np.split(np.array(found), np.cumsum([len(one) for one in drawn])[:-1])
    return estimate(float(whole), error(by_cut, min(sizes)))


def _totals(
    one: Floats, other: Floats, members: Members, kernel: Kernel
) -> tuple[list[Floats], Floats]:
    """The sum of a kernel over the pairs of each part: within each set, and between them."""
    within = [
        totals_of_parts(rows, rows, member, member, kernel)
        for rows, member in zip((one, other), members, strict=True)
    ]
    return within, totals_of_parts(one, other, *members, kernel)
