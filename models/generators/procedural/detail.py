"""What a target has and a source lacks, and the small misalignment that img2img brings.

Everything here grows with the gap, and is nothing at gap 0.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.generators.procedural.canvas import ellipse, wide, window
from models.generators.procedural.chance import Floats, Seeds, uniform
from models.generators.procedural.people import People
from models.generators.procedural.portrait import Portrait
from models.generators.procedural.texture import texture

CRISPNESS = 0.9
# How far img2img moves things, in pixels: a little everywhere, and more in large pictures.
SHIFT_PX, SHIFT_SHARE = 0.7, 0.002


def finish(portrait: Portrait, people: People, seeds: Seeds, gap: Floats, size_px: int) -> Floats:
    """The canvas of the targets; `gap` is one strength per picture."""
    bordered = _moved(portrait.canvas, seeds, gap, size_px)
    moved = _edges(bordered)
    moved *= gap[:, None, None, None] * np.float32(CRISPNESS)
    moved += bordered[:, :, 1:-1, 1:-1]
    light = texture(portrait, people, seeds, size_px)
    light *= wide(gap)
    light += 1
    moved *= light[:, None]
    _catch_lights(moved, portrait, people, gap, size_px)
    return moved


def gap_of_each(seeds: Seeds, gap: float, shuffled: bool) -> Floats:
    """The strength of each picture's gap: the same, or drawn between nothing and twice as much."""
    same = np.full(len(seeds), gap, np.float32)
    return same * uniform(seeds, "gap", 0, 2) if shuffled else same


def _moved(canvas: Floats, seeds: Seeds, gap: Floats, size_px: int) -> Floats:
    """The canvas shifted by a fraction of a pixel, or a few, and a pixel around it."""
    most = np.float32(SHIFT_PX + SHIFT_SHARE * size_px)
    reach = int(most) + 2
    padded = np.pad(canvas, ((0, 0), (0, 0), (reach, reach + 1), (reach, reach + 1)), mode="edge")
    views = sliding_window_view(padded, (size_px + 3, size_px + 3), axis=(2, 3))
    down, across = (
        uniform(seeds, f"move {name}", -1, 1) * most * np.minimum(gap, 1)
        for name in ("down", "across")
    )
    row, column = np.floor(down), np.floor(across)
    first = reach - 1
    near = views[
        np.arange(len(canvas)), :, row.astype(np.intp) + first, column.astype(np.intp) + first
    ]
    # Linear interpolation between the whole pixels around each picture's shift.
    rows = near[:, :, 1:] - near[:, :, :-1]
    rows *= (down - row)[:, None, None, None]
    rows += near[:, :, :-1]
    columns = rows[..., 1:] - rows[..., :-1]
    columns *= (across - column)[:, None, None, None]
    columns += rows[..., :-1]
    return columns


def _edges(bordered: Floats) -> Floats:
    """What a small blur takes away; adding it makes edges crisper."""
    around = bordered[:, :, :-2, 1:-1] + bordered[:, :, 2:, 1:-1]
    around += bordered[:, :, 1:-1, :-2]
    around += bordered[:, :, 1:-1, 2:]
    around *= np.float32(-0.25)
    around += bordered[:, :, 1:-1, 1:-1]
    return around


def _catch_lights(
    canvas: Floats, portrait: Portrait, people: People, gap: Floats, size_px: int
) -> None:
    """The lamp in each eye, on the side it shines from."""
    face = portrait.face
    place = window(size_px, -0.36, 0.36, -0.36, 0.1)
    side = people.light / np.maximum(np.abs(people.light), np.float32(0.01))
    radius = face.eye_b * np.float32(0.34)
    y = face.eye_y - face.eye_b * np.float32(0.30)
    strength = wide(np.minimum(gap, 1) * np.float32(0.9))
    for eye in (-1, 1):
        x = face.x + np.float32(eye) * people.eye_gap + side * face.eye_b * np.float32(0.35)
        spot = ellipse(place, x, y, radius, radius, 0.35) * strength
        part = canvas[:, :, place.rows, place.columns]
        part += spot[:, None] * (np.float32(0.98) - part)
