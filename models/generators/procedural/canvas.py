"""Shapes and paint on a batch of pictures.

Shapes are masks of shape (batch, height, width) in 0..1, soft at the edge. Everything is made of
exact float steps (no sine, no exponential), so a picture has the same bytes on every processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from models.generators.procedural.chance import Floats

# Width of an edge, in pixels: a source is soft.
EDGE_PX = 2.2


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the picture that shapes are computed in; outside it they are not there."""

    rows: slice
    columns: slice
    x: Floats
    y: Floats
    edge: float


@lru_cache(maxsize=256)
def window(
    size_px: int, left: float = -1, right: float = 1, top: float = -1, bottom: float = 1
) -> Window:
    """The window between these coordinates; the picture goes from -1 to 1, downwards."""
    centres = (np.arange(size_px, dtype=np.float32) + np.float32(0.5)) * np.float32(
        2 / size_px
    ) - np.float32(1)

    def part(low: float, high: float) -> slice:
        first = max(0, int((low + 1) / 2 * size_px))
        return slice(first, min(size_px, int((high + 1) / 2 * size_px) + 1))

    rows, columns = part(top, bottom), part(left, right)
    return Window(
        rows, columns, centres[columns][None, None, :], centres[rows][None, :, None], _edge(size_px)
    )


def _edge(size_px: int) -> float:
    # At large sizes an edge of a few pixels would look cut out; a source is soft at any size.
    return EDGE_PX * 2 / min(size_px, 160)


def paint(canvas: Floats, place: Window, mask: Floats, colour: Floats) -> None:
    """Lay a colour (batch, 3) over the canvas (batch, 3, height, width) where the mask is."""
    part = canvas[:, :, place.rows, place.columns]
    change = colour[:, :, None, None] - part
    change *= mask[:, None]
    part += change


def shade(canvas: Floats, place: Window, mask: Floats, amount: Floats) -> None:
    """Darken (or lighten, with a negative amount) the canvas where the mask is."""
    canvas[:, :, place.rows, place.columns] *= 1 - (mask * wide(amount))[:, None]


def blank(canvas: Floats) -> Floats:
    """A mask of nothing, as large as the canvas."""
    return np.zeros(canvas[:, 0].shape, np.float32)


def cut(mask: Floats, place: Window) -> Floats:
    """The part of a mask that lies in a window."""
    return mask[:, place.rows, place.columns]


def wide(values: Floats) -> Floats:
    """One value per picture, to be combined with masks."""
    return values[:, None, None]


def wave(place: Floats) -> Floats:
    """A soft wave between -1 and 1 of period 2, in the exact steps that a sine is not."""
    turn = place - 2 * np.floor(place * np.float32(0.5)) - 1
    waves: Floats = 4 * turn * (1 - np.abs(turn))
    return waves


def ellipse(place: Window, x: Floats, y: Floats, a: Floats, b: Floats, soft: float = 1) -> Floats:
    """A filled ellipse around (x, y) with half axes a and b."""
    u = (place.x - wide(x)) * wide(1 / a)
    v = (place.y - wide(y)) * wide(1 / b)
    # Near the edge 1 - u² - v² falls by 2 per half axis.
    sharpness = np.minimum(a, b) * np.float32(0.5 / (place.edge * soft))
    return edge((1 - u * u - v * v) * wide(sharpness))


def edge(distance: Floats) -> Floats:
    """A mask out of a signed distance in edge widths."""
    distance += np.float32(0.5)
    return np.clip(distance, 0, 1, out=distance)


def band(place: Window, distance: Floats, half_width: Floats) -> Floats:
    """A stroke along where the distance is zero."""
    return edge((wide(half_width) - np.abs(distance)) * np.float32(1 / place.edge))


def soft(place: Window, distance: Floats, edges: float) -> Floats:
    """A mask out of a signed distance in half pictures whose edge is some edges wide."""
    return edge(distance * np.float32(1 / (place.edge * edges)))
