"""Precision and recall of a set of pictures by nearest neighbours (Kynkaanniemi et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.groups import Floats

_BLOCK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionRecall:
    """Shares of generated pictures among the references', and of references among the generated."""

    precision: float
    recall: float
    neighbours: int


def precision_recall(
    generated: NDArray[np.floating], references: NDArray[np.floating], *, neighbours: int = 3
) -> PrecisionRecall:
    """A picture is among others if it is as near to one as that one's k-th neighbour is.

    Both shares grow with the number of pictures: compare rows of one number only.
    """
    made, wanted = checked_sets(generated, references, neighbours)
    return PrecisionRecall(
        precision=_among(made, wanted, _reach(wanted, neighbours)),
        recall=_among(wanted, made, _reach(made, neighbours)),
        neighbours=neighbours,
    )


def checked_sets(
    generated: NDArray[np.floating], references: NDArray[np.floating], neighbours: int
) -> tuple[Floats, Floats]:
    """Both in float64; ValueError unless they are features (N, D), with that many neighbours."""
    made, wanted = np.asarray(generated, np.float64), np.asarray(references, np.float64)
    if made.ndim != 2 or wanted.ndim != 2 or made.shape[1] != wanted.shape[1]:
        raise ValueError(f"features of shapes {made.shape} and {wanted.shape}: should be (N, D)")
    least = min(len(made), len(wanted))
    if not 1 <= neighbours < least:
        raise ValueError(f"neighbours = {neighbours}: of {least} pictures take 1 to {least - 1}")
    return made, wanted


def _reach(rows: Floats, neighbours: int) -> Floats:
    """The squared distance of each row to its k-th neighbour; the nearest of all is itself."""
    found = [
        np.partition(squares(rows[i : i + _BLOCK], rows), neighbours, axis=1)[:, neighbours]
        for i in range(0, len(rows), _BLOCK)
    ]
    return np.concatenate(found)


def _among(rows: Floats, others: Floats, reach: Floats) -> float:
    near = [
        (squares(rows[i : i + _BLOCK], others) <= reach).any(axis=1)
        for i in range(0, len(rows), _BLOCK)
    ]
    return float(np.concatenate(near).mean())


def squares(one: Floats, other: Floats) -> Floats:
    """Squared distances (rows, rows) of each row to each other one."""
    apart = np.square(one).sum(1)[:, None] + np.square(other).sum(1) - 2 * one @ other.T
    return np.asarray(np.clip(apart, 0, None))
