"""The paper's own numbers (its Table 4): distances to source and target of the very same prompts.

Beside the protocol, never instead of it: pictures made from one another share what their prompts
show, and a copy of the target scores best. Closures are `metrics.gap`'s part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.frechet import (
    Eigenvalues,
    Gaussian,
    gaussian,
    gaussian_distance,
    numpy_eigenvalues,
)
from metrics.groups import Codes, Floats
from metrics.subsampling import CUTS, Estimate, error, estimate, parts


@dataclass(frozen=True, slots=True, kw_only=True)
class SamePromptRow:
    """FID_source, FID_target and FID_diff = FID_source - FID_target; None to itself."""

    name: str
    to_source: Estimate | None
    to_target: Estimate | None
    difference: Estimate | None


def same_prompt_rows(
    rows: Mapping[str, NDArray[np.floating]],
    source: NDArray[np.floating],
    target: NDArray[np.floating],
    *,
    draws: int = 100,
    seed: int = 0,
    eigenvalues: Eigenvalues = numpy_eigenvalues,
) -> tuple[SamePromptRow, ...]:
    """The block for rows of features (N, D), all of the same prompts in the same order.

    Where a network tells of places they are (N, places, D), and a prompt is all of its places.

    The first two are the source and the target themselves, as in the paper's table.
    """
    together = {"source": source, "target": target, **rows}
    for name, row in together.items():
        if row.shape != source.shape:
            raise ValueError(
                f"row {name!r}: features of shape {row.shape}, the source has {source.shape}; "
                "give every row the same prompts in the same order"
            )

    def of(rows_of: Codes | slice) -> Floats:
        ends = _spread(source[rows_of]), _spread(target[rows_of])
        made = [_spread(row[rows_of]) for row in together.values()]
        return np.array(
            [[gaussian_distance(one, end, eigenvalues) for one in made] for end in ends]
        )

    num = len(source)
    whole = of(slice(None))
    by_cut = [
        np.stack([of(part) for (part,) in parts([num], cut, draws, seed)]) for cut in CUTS
    ]  # each (draws, 2, rows)

    def told(weights: tuple[float, float], row: int) -> Estimate:
        value = float(np.dot(weights, whole[:, row]))
        return estimate(value, error([one[:, :, row] @ weights for one in by_cut], num))

    return tuple(
        SamePromptRow(
            name=name,
            to_source=None if name == "source" else told((1, 0), row),
            to_target=None if name == "target" else told((0, 1), row),
            difference=None if name in ("source", "target") else told((1, -1), row),
        )
        for row, name in enumerate(together)
    )


def _spread(features: NDArray[np.floating]) -> Gaussian:
    return gaussian(features.reshape(-1, features.shape[-1]))
