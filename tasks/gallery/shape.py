"""How a gallery is cut into files, and how large it will be.

Pictures of all rows are put into sheets, because two files for every pair would be more than a
shared file system likes. Sheets stay small, because a page may show rows from all over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tasks.gallery.rows import Gathered, flagged, made

DEFAULT_PX = 256
LEAST_PX = 16
ROWS_PER_CHUNK = 64
DEFAULT_EXACT = 500
# A sheet of about two megapixels is decoded in some 20 ms.
_SHEET_PIXELS = 1 << 21
# WebP at the quality of `chunk`, measured on procedural portraits of 64 and 256 px.
_BYTES_PER_PIXEL = {64: 0.21, 256: 0.08}
_BYTES_PER_ROW, _BYTES_PER_FINDING = 550, 300


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes and counts that the builder and the page must agree on."""

    picture_px: int
    num_rows: int
    num_stages: int
    pairs_per_sheet: int

    @property
    def num_chunks(self) -> int:
        """Units of work."""
        return math.ceil(self.num_rows / ROWS_PER_CHUNK)

    @property
    def sheet_columns(self) -> int:
        """Pairs beside each other in a sheet."""
        return max(1, round(math.sqrt(self.pairs_per_sheet / self.num_stages)))


def shape_of(gathered: Gathered, size_px: int | None) -> Shape:
    """The shape of a dataset's gallery; ValueError for a size that makes no sense."""
    own = gathered.run.config.dataset.size_px
    picture_px = min(own, DEFAULT_PX) if size_px is None else size_px
    if not LEAST_PX <= picture_px <= own:
        raise ValueError(
            f"--size-px {picture_px}: should be from {LEAST_PX} to {own}, the dataset's own size"
        )
    stages = len(gathered.stages)
    pairs = ROWS_PER_CHUNK
    while pairs > 4 and pairs * stages * picture_px**2 > _SHEET_PIXELS:
        pairs //= 2
    return Shape(picture_px, gathered.rows.num_rows, stages, pairs)


def exact_rows(gathered: Gathered, wanted: int | None) -> np.ndarray:
    """Which rows are copied as they are; None for all.

    Up to half are rows that the audit flags, the others are spread evenly over the dataset.
    """
    whole = made(gathered)
    if wanted is None:
        return whole
    first = _spread(np.flatnonzero(flagged(gathered)), wanted // 2)
    chosen = np.zeros(len(whole), bool)
    chosen[first] = True
    rest = np.flatnonzero(whole & ~chosen)
    chosen[_spread(rest, wanted - len(first))] = True
    return chosen


def expected_bytes(gathered: Gathered, shape: Shape, exact: np.ndarray) -> int:
    """About how large the gallery will be."""
    low, high = _BYTES_PER_PIXEL
    part = min(1.0, max(0.0, (shape.picture_px - low) / (high - low)))
    each = (1 - part) * _BYTES_PER_PIXEL[low] + part * _BYTES_PER_PIXEL[high]
    pictures = int(made(gathered).sum()) * shape.num_stages * shape.picture_px**2
    copied = sum(
        int(np.nan_to_num(np.asarray(gathered.rows[f"{stage}_bytes"], float))[exact].sum())
        for stage in gathered.stages
    )
    details = _BYTES_PER_ROW + _BYTES_PER_FINDING * len(gathered.audited)
    return int(pictures * each) + copied + shape.num_rows * details


def _spread(positions: np.ndarray, count: int) -> np.ndarray:
    """So many of the positions, evenly spread."""
    count = min(count, len(positions))
    return positions[np.arange(count) * len(positions) // max(count, 1)]
