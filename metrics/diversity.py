"""How varied a set of unit vectors is, exactly, without ever making all its pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.groups import Floats

_BLOCK = 8192
# Eigenvalues below it are rounding.
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """Variety of faces: lower cosine and higher Vendi score are more varied."""

    num: int
    mean_cosine: float
    vendi: float
    vendi_most: int


def diversity(vectors: NDArray[Any]) -> Diversity | None:
    """Mean cosine over all pairs, and the Vendi score with the cosine as its kernel; None below 2.

    The kernel of n faces has the same eigenvalues as the d x d matrix of their features (Friedman
    and Dieng 2023), so 140,000 faces cost one decomposition of 512 x 512.
    """
    num, width = vectors.shape
    if num < 2:
        return None
    sums, gram = np.zeros(width), np.zeros((width, width))
    for begin in range(0, num, _BLOCK):
        block = unit(vectors[begin : begin + _BLOCK])
        sums += block.sum(axis=0)
        gram += block.T @ block
    levels = np.linalg.eigvalsh(gram / num)
    levels = levels[levels > _NOTHING]
    return Diversity(
        num=num,
        mean_cosine=float((sums @ sums - num) / (num * (num - 1))),
        vendi=math.exp(-float((levels * np.log(levels)).sum())),
        vendi_most=min(num, width),
    )


def unit(vectors: NDArray[Any]) -> Floats:
    """Rows of length 1, in double precision; a row of zeros stays."""
    rows = vectors.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0))
