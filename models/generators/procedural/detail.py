"""What a target has and a source lacks, and the small misalignment that img2img brings.

Everything here grows with the gap, and is nothing at gap 0.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from models.generators.procedural.canvas import ellipse, wide, window
from models.generators.procedural.chance import Floats, Seeds, noise_tile, uniform
from models.generators.procedural.people import People
from models.generators.procedural.portrait import Portrait

# Strength of each detail at gap 1, in units of full brightness.
PORES, STRANDS, CLOTH, GRAIN = 0.022, 0.13, 0.045, 0.010
CRISPNESS = 0.9
WRINKLE = 0.16
# How far img2img moves things, in pixels: a little everywhere, and more in large pictures.
SHIFT_PX, SHIFT_SHARE = 0.7, 0.002


def finish(portrait: Portrait, people: People, seeds: Seeds, gap: Floats, size_px: int) -> Floats:
    """The canvas of the targets; `gap` is one strength per picture."""
    strength = gap[:, None, None, None]
    moved = _moved(portrait.canvas, seeds, gap, size_px)
    moved += (strength * np.float32(CRISPNESS)) * _edges(moved)
    light = _texture(portrait, seeds, size_px) + _wrinkles(portrait, people, size_px)
    moved *= 1 + (light * wide(gap))[:, None]
    _catch_lights(moved, portrait, people, gap, size_px)
    return moved


def gap_of_each(seeds: Seeds, gap: float, shuffled: bool) -> Floats:
    """The strength of each picture's gap: the same, or drawn between nothing and twice as much."""
    same = np.full(len(seeds), gap, np.float32)
    return same * uniform(seeds, "gap", 0, 2) if shuffled else same


def _moved(canvas: Floats, seeds: Seeds, gap: Floats, size_px: int) -> Floats:
    """The canvas shifted by a fraction of a pixel, or a few, differently for each picture."""
    most = np.float32(SHIFT_PX + SHIFT_SHARE * size_px) * np.minimum(gap, 1)
    moved = canvas
    for axis, name in ((3, "across"), (2, "down")):
        shift = uniform(seeds, f"move {name}", -1, 1) * most
        moved = _shifted(moved, shift, axis)
    return moved


def _shifted(canvas: Floats, shift: Floats, axis: int) -> Floats:
    """Linear interpolation between the two whole pixels around each picture's shift."""
    whole = np.floor(shift).astype(np.intp)
    rest = (shift - whole.astype(np.float32)).astype(np.float32)
    reach = int(np.abs(whole).max(initial=0)) + 1
    padding = [(0, 0)] * 4
    padding[axis] = (reach, reach)
    padded = np.pad(canvas, padding, mode="edge")
    length = canvas.shape[axis]
    out = np.empty_like(canvas)
    for number, (first, part) in enumerate(zip(whole + reach, rest, strict=True)):
        near = _cut(padded[number], axis - 1, first, length)
        far = _cut(padded[number], axis - 1, first + 1, length)
        np.subtract(far, near, out=out[number])
        out[number] *= part
        out[number] += near
    return out


def _cut(picture: Floats, axis: int, first: int, length: int) -> Floats:
    part = [slice(None)] * 3
    part[axis] = slice(first, first + length)
    return picture[tuple(part)]


def _edges(canvas: Floats) -> Floats:
    """What a small blur takes away; adding it makes edges crisper."""
    padded = np.pad(canvas, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    around = padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1]
    around += padded[:, :, 1:-1, :-2]
    around += padded[:, :, 1:-1, 2:]
    around *= np.float32(-0.25)
    around += canvas
    return around


def _texture(portrait: Portrait, seeds: Seeds, size_px: int) -> Floats:
    """Pores on skin, strands in hair, a weave in cloth, a grain over everything."""
    pores, strands, weave = (
        _windows(_tile(kind, size_px), seeds, kind, size_px)
        for kind in ("pores", "strands", "weave")
    )
    texture = pores * (portrait.skin * np.float32(PORES) + np.float32(GRAIN))
    texture += strands * (portrait.hair * np.float32(STRANDS))
    texture += weave * (portrait.clothes * np.float32(CLOTH))
    return texture


def _windows(tile: Floats, seeds: Seeds, name: str, size_px: int) -> Floats:
    """Each picture's own part of a tile of noise."""
    last = tile.shape[0] - size_px
    rows = uniform(seeds, f"{name} row", 0, last).astype(np.intp)
    columns = uniform(seeds, f"{name} column", 0, last).astype(np.intp)
    out = np.empty((len(seeds), size_px, size_px), np.float32)
    for number, (row, column) in enumerate(zip(rows, columns, strict=True)):
        out[number] = tile[row : row + size_px, column : column + size_px]
    return out


@lru_cache(maxsize=16)
def _tile(kind: str, size_px: int) -> Floats:
    """Noise of unit spread: round for pores, upright for strands, crossed for a weave."""
    tile = noise_tile(2 * size_px, kind)
    grain = max(1, size_px // 128)
    if kind == "strands":
        tile = _blurred(_blurred(tile, 0, 3 * grain + 3), 1, grain)
    elif kind == "weave":
        tile = _blurred(tile, 0, 2 * grain) + _blurred(
            noise_tile(2 * size_px, "woof"), 1, 2 * grain
        )
    else:
        tile = _blurred(_blurred(tile, 0, grain), 1, grain)
    spread = np.sqrt(np.mean(tile.astype(np.float64) ** 2))
    return np.asarray(tile / spread, np.float32)


def _blurred(tile: Floats, axis: int, length: int) -> Floats:
    """A mean over `length` cells that goes around at the end."""
    total = tile.copy()
    for step in range(1, length):
        total += np.roll(tile, step, axis)
    return total / np.float32(length)


def _wrinkles(portrait: Portrait, people: People, size_px: int) -> Floats:
    """Lines on the forehead and beside nose and mouth, as deep as the years."""
    whole, face = window(size_px), portrait.face
    u = (whole.x - wide(face.x)) * wide(1 / face.a)
    v = (whole.y - wide(face.y)) * wide(1 / face.b)
    lines = np.zeros_like(portrait.skin)
    fine = np.float32(size_px / 64 * 6)
    brow = window(size_px, top=-0.75, bottom=-0.2)
    forehead = np.maximum(np.float32(0.5) - np.abs(u), 0) * 2
    for level in (-0.46, -0.36, -0.27):
        there = v[:, brow.rows] - np.float32(level) + np.float32(0.05) * u * u
        lines[:, brow.rows] -= np.maximum(1 - np.abs(there) * fine, 0) * forehead
    low = window(size_px, top=-0.05, bottom=0.45)
    below = v[:, low.rows]
    fold = np.abs(u) - (np.float32(0.14) + np.float32(0.42) * below)
    ends = np.clip((below - np.float32(0.22)) * 8, 0, 1) * np.clip(
        (np.float32(0.68) - below) * 8, 0, 1
    )
    lines[:, low.rows] -= np.maximum(1 - np.abs(fold) * fine, 0) * ends
    lines *= portrait.skin
    lines *= wide(people.wrinkles * np.float32(WRINKLE))
    return lines


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
        spot = ellipse(place, x, y, radius, radius, 0.6) * strength
        part = canvas[:, :, place.rows, place.columns]
        part += spot[:, None] * (np.float32(0.98) - part)
