"""Enhances pictures of any size: whole where they fit, else in tiles that overlap and are blended.

A tile sees its neighbours' pixels but not the whole picture, so a head whose norms or attention look
at everything finishes each tile a little differently; over the overlap one passes into the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.heads.enhancer import Enhancer, Picture

Floats = NDArray[np.float32]


class TiledEnhancer:
    """Puts pictures of any size through an Enhancer."""

    def __init__(self, enhance: Enhancer, tile_px: int = 1024, overlap_px: int = 64) -> None:
        if not 0 < overlap_px <= tile_px // 2:
            raise ValueError(
                f"overlap_px = {overlap_px}: should be at least 1 and at most half of tile_px, "
                f"which is {tile_px}"
            )
        self._enhance, self._tile_px, self._overlap_px = enhance, tile_px, overlap_px

    def __call__(self, picture: Picture) -> Picture:
        """The picture (H, W, 3) enhanced, at its own size."""
        height, width = picture.shape[:2]
        least = self._enhance.min_side_px
        # Mirrored until it is large enough: a picture of one pixel goes through too.
        below, right = max(least - height, 0), max(least - width, 0)
        padded = np.pad(picture, ((0, below), (0, right), (0, 0)), mode="symmetric")
        return self._in_tiles(padded)[:height, :width]

    def _in_tiles(self, picture: Picture) -> Picture:
        height, width = picture.shape[:2]
        rows = places(height, self._tile_px, self._overlap_px)
        columns = places(width, self._tile_px, self._overlap_px)
        if len(rows) == len(columns) == 1:
            return self._enhance([picture])[0]
        made = np.empty_like(picture)
        above: Floats | None = None
        for row, following in zip(rows, [*rows[1:], None], strict=True):
            band = self._band(picture[row], columns)
            if above is not None:
                band[: len(above)] = blended(above, band[: len(above)], axis=0)
            # What the next row of tiles reaches into waits for it.
            own = row.stop if following is None else following.start
            made[row.start : own] = np.rint(band[: own - row.start])
            above = band[own - row.start :]
        return made

    def _band(self, picture: Picture, columns: Sequence[slice]) -> Floats:
        """A row of tiles, blended where they overlap."""
        band = np.empty(picture.shape, np.float32)
        tile = np.empty(0)
        for before, place in pairwise([None, *columns]):
            assert place is not None
            tile = self._enhance([np.ascontiguousarray(picture[:, place])])[0].astype(np.float32)
            if before is not None:
                both = before.stop - place.start
                tile[:, :both] = blended(band[:, place.start : before.stop], tile[:, :both], axis=1)
            band[:, place] = tile
        return band


def places(length: int, tile: int, overlap: int) -> list[slice]:
    """Where tiles of one size begin and end, so that neighbours share at least the overlap."""
    if length <= tile:
        return [slice(0, length)]
    count = -(-(length - overlap) // (tile - overlap))
    starts = np.linspace(0, length - tile, count).round().astype(int)
    return [slice(int(start), int(start) + tile) for start in starts]


def blended(one: Floats, other: Floats, axis: int) -> Floats:
    """From the first to the second, in a line along an axis."""
    count = one.shape[axis]
    shape = [1, 1, 1]
    shape[axis] = count
    share = ((np.arange(count, dtype=np.float32) + np.float32(0.5)) / count).reshape(shape)
    mixed: Floats = one * (1 - share) + other * share
    return mixed
