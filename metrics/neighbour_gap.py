"""Precision and recall of a row against a reference on other prompts, with the error over prompts.

As in `metrics.kernel_gap`: both ways averaged, and the same parts of the prompts tell the error.
Distances are computed once, for all parts. Both shares are those of `metrics.neighbours`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from metrics.gap import Halves
from metrics.groups import Floats
from metrics.neighbours import checked_sets, squares
from metrics.subsampling import CUTS, Estimate, error, estimate, membership, parts

_BLOCK = 1024
# Of these nearest ones a quarter of the prompts has the fourth all but surely; else it is searched.
_KEPT = 64

# (prompts, parts)
InParts = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesInReach:
    """Shares of a row's pictures among the reference's, and of the reference's among the row's."""

    precision: Estimate
    recall: Estimate


def neighbour_gap(
    row: Halves, reference: Halves, *, draws: int = 100, seed: int = 0, neighbours: int = 3
) -> SharesInReach:
    """Both shares at the number of prompts there is; no error where a quarter is too small."""
    sizes = len(row.a), len(row.b)
    drawn = [
        # Each has to have a neighbour of that rank.
        list(parts(sizes, cut, draws, seed)) if min(sizes) // cut > neighbours else []
        for cut in CUTS
    ]
    in_a, in_b = (one > 0 for one in membership(sizes, list(chain(*drawn))))
    shares = np.mean(
        [
            _in_reach(*checked_sets(row.a, reference.b, neighbours), in_a, in_b, neighbours),
            _in_reach(*checked_sets(row.b, reference.a, neighbours), in_b, in_a, neighbours),
        ],
        axis=0,
    )
    ends = np.cumsum([len(one) for one in drawn])[:-1]

    def told(values: Floats) -> Estimate:
        its_error = error(np.split(values[1:], ends), min(sizes)) if all(drawn) else float("nan")
        found = estimate(float(values[0]), its_error)
        # A share is none below 0 or above 1.
        low, high = np.clip([found.low, found.high], 0, 1)
        return replace(found, low=float(low), high=float(high))

    return SharesInReach(precision=told(shares[0]), recall=told(shares[1]))


def _in_reach(
    made: Floats, wanted: Floats, in_made: InParts, in_wanted: InParts, neighbours: int
) -> Floats:
    """Precision and recall (2, parts) of the pictures in each part."""
    reach_made, reach_wanted = (
        _reaches(rows, there, neighbours) for rows, there in ((made, in_made), (wanted, in_wanted))
    )
    near_made, near_wanted = (np.zeros(reach.shape, bool) for reach in (reach_made, reach_wanted))
    for i in range(0, len(made), _BLOCK):
        block = slice(i, i + _BLOCK)
        apart = squares(made[block], wanted)
        _mark(near_made[:, block], apart, reach_wanted)
        _mark(near_wanted, apart.T, reach_made[:, block])
    return np.stack(
        [
            (near & there.T).sum(1) / there.sum(0)
            for near, there in ((near_made, in_made), (near_wanted, in_wanted))
        ]
    )


def _reaches(rows: Floats, there: InParts, neighbours: int) -> Floats:
    """The squared distance (parts, rows) to the k-th neighbour in each part; -1 for those outside.

    The nearest of all is the row itself.
    """
    kept = min(_KEPT, len(rows))
    found = np.full(there.shape[::-1], -1.0)
    for i in range(0, len(rows), _BLOCK):
        apart, mine = squares(rows[i : i + _BLOCK], rows), there[i : i + _BLOCK]
        near = np.argpartition(apart, kept - 1, axis=1)[:, :kept]
        distances = np.take_along_axis(apart, near, 1)
        order = np.argsort(distances, axis=1)
        near = np.take_along_axis(near, order, 1)
        distances = np.take_along_axis(distances, order, 1)
        enough = np.cumsum(there[near], axis=1, dtype=np.int16) > neighbours
        reach = np.take_along_axis(distances, enough.argmax(1), 1)
        for place, part in np.argwhere(mine & ~enough[:, -1]):
            among = apart[place, there[:, part]]
            reach[place, part] = np.partition(among, neighbours)[neighbours]
        found[:, i : i + _BLOCK] = np.where(mine, reach, -1.0).T
    return found


def _mark(near: NDArray[np.bool_], apart: Floats, reach: Floats) -> None:
    """Note for each part (first axis) which rows of `apart` lie within some column's reach."""
    at, of = np.nonzero(apart <= reach.max(0))
    distances = apart[at, of]
    for part, its_reach in enumerate(reach):
        near[part, at[distances <= its_reach[of]]] = True
