"""Whether the person is still the same: cosines of face embeddings before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.diversity import unit


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityKept:
    """Cosines over the pairs with a face on both sides; the others are counted too."""

    num: int
    compared: int
    lost: int
    found: int
    mean: float | None
    lowest_tenth: float | None


def identity_kept(before: NDArray[np.floating], after: NDArray[np.floating]) -> IdentityKept:
    """From embeddings (N, D) of the same pictures, a row of NaN where no face was seen.

    `lost` had a face before and none after, `found` the other way.
    """
    if before.shape != after.shape or before.ndim != 2:
        raise ValueError(f"embeddings of shapes {before.shape} and {after.shape}: should be alike")
    here, there = (~np.isnan(one).any(axis=1) for one in (before, after))
    both = here & there
    cosines = (unit(before[both]) * unit(after[both])).sum(axis=1)
    return IdentityKept(
        num=len(before),
        compared=int(both.sum()),
        lost=int((here & ~there).sum()),
        found=int((there & ~here).sum()),
        mean=float(cosines.mean()) if len(cosines) else None,
        lowest_tenth=float(np.quantile(cosines, 0.1)) if len(cosines) else None,
    )
