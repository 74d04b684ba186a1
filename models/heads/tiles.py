"""Enhances pictures of any size: whole where they fit, else in tiles that overlap and are blended.

Outer thirds of an overlap are thrown away, as there a tile's own edge is felt, and in the middle
third one tile passes into the other. A head that sees no further than such a third makes the very
picture that it would make in one piece. One whose norms or attention look at a whole tile finishes
each tile a little differently, and the blend hides the seam.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.heads.enhancer import Enhancer, Picture

Floats = NDArray[np.float32]
TILE_PX, OVERLAP_PX = 2048, 256


class TiledEnhancer:
    """Puts pictures of any size through an Enhancer."""

    def __init__(
        self, enhance: Enhancer, tile_px: int = TILE_PX, overlap_px: int = OVERLAP_PX
    ) -> None:
        if tile_px % enhance.divisor:
            raise ValueError(
                f"tile_px = {tile_px}: should be a multiple of {enhance.divisor} for this head"
            )
        if not 0 < overlap_px <= tile_px // 2:
            raise ValueError(
                f"overlap_px = {overlap_px}: should be at least 1 and at most half of tile_px, "
                f"which is {tile_px}"
            )
        self._enhance, self._tile_px, self._overlap_px = enhance, tile_px, overlap_px

    def __call__(self, pictures: Sequence[Picture], batch_size: int = 1) -> list[Picture]:
        """Each picture (H, W, 3) enhanced, at its own size; neighbours of one size go together."""
        large = [max(one.shape[:2]) > self._tile_px for one in pictures]
        whole = [one for one, tiled in zip(pictures, large, strict=True) if not tiled]
        made = iter(self._whole(whole, batch_size))
        return [
            self._in_tiles(one, batch_size) if tiled else next(made)
            for one, tiled in zip(pictures, large, strict=True)
        ]

    def _whole(self, pictures: Sequence[Picture], batch_size: int) -> list[Picture]:
        least = self._enhance.min_side_px
        # Mirrored until they are large enough: a picture of one pixel goes through too.
        padded = [_mirrored(one, *(max(least, side) for side in one.shape[:2])) for one in pictures]
        made = self._enhance(padded, batch_size)
        sizes = [one.shape[:2] for one in pictures]
        return [one[:height, :width] for one, (height, width) in zip(made, sizes, strict=True)]

    def _in_tiles(self, picture: Picture, batch_size: int) -> Picture:
        height, width = picture.shape[:2]
        step, least = self._enhance.divisor, self._enhance.min_side_px
        # To multiples, so that every tile can begin where a stride does.
        sides = (-(-max(side, least) // step) * step for side in (height, width))
        padded = _mirrored(picture, *sides)
        rows = places(padded.shape[0], self._tile_px, self._overlap_px, step)
        columns = places(padded.shape[1], self._tile_px, self._overlap_px, step)
        made = np.empty_like(padded)
        above: Floats | None = None
        for row, following in zip(rows, [*rows[1:], None], strict=True):
            band = self._band(padded[row], columns, batch_size)
            if above is not None:
                band[: len(above)] = blended(above, band[: len(above)], axis=0)
            # What the next row of tiles reaches into waits for it.
            own = row.stop if following is None else following.start
            made[row.start : own] = np.rint(band[: own - row.start])
            above = band[own - row.start :]
        return made[:height, :width]

    def _band(self, picture: Picture, columns: Sequence[slice], batch_size: int) -> Floats:
        """A row of tiles, blended where they overlap."""
        band = np.empty(picture.shape, np.float32)
        tiles = self._enhance(
            [np.ascontiguousarray(picture[:, place]) for place in columns], batch_size
        )
        for tile, (before, place) in zip(tiles, pairwise([None, *columns]), strict=True):
            assert place is not None
            levels = tile.astype(np.float32)
            if before is not None:
                both = before.stop - place.start
                levels[:, :both] = blended(
                    band[:, place.start : before.stop], levels[:, :both], axis=1
                )
            band[:, place] = levels
        return band


def places(length: int, tile: int, overlap: int, step: int = 1) -> list[slice]:
    """Where tiles of one size begin and end: at multiples of a step, sharing at least the overlap.

    Length and tile are multiples of the step.
    """
    if length <= tile:
        return [slice(0, length)]
    # Rounding to the step takes from the overlap at most what is added here.
    least = -(-overlap // step) * step
    count = -(-(length - least) // (tile - least))
    starts = np.arange(count) * (length - tile) // (count - 1) // step * step
    return [slice(int(start), int(start) + tile) for start in starts]


def blended(one: Floats, other: Floats, axis: int) -> Floats:
    """From the first to the second along an axis: a third each alone, a line between them."""
    count = one.shape[axis]
    shape = [1, 1, 1]
    shape[axis] = count
    along = (np.arange(count, dtype=np.float32) + np.float32(0.5)) / count
    share = np.clip(3 * along - 1, 0, 1).reshape(shape)
    mixed: Floats = one * (1 - share) + other * share
    return mixed


def _mirrored(picture: Picture, height: int, width: int) -> Picture:
    """At least so large, mirrored at the right and below as often as it takes."""
    below, right = height - picture.shape[0], width - picture.shape[1]
    if not below and not right:
        return picture
    return np.pad(picture, ((0, below), (0, right), (0, 0)), mode="symmetric")
