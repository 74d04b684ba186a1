"""The fine detail of a target: pores, strands along hair, a weave, and the lines that years draw.

The background has none: it is out of focus.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from models.generators.procedural import features, hair
from models.generators.procedural.canvas import cut, wave, wide, window
from models.generators.procedural.chance import (
    Floats,
    Seeds,
    blurred,
    noise_tile,
    uniform,
    unit_spread,
    windows_of,
)
from models.generators.procedural.people import People
from models.generators.procedural.portrait import Portrait
from schemas.truth import HAIR_STYLES

# Strength of each at gap 1, in shares of a pixel's own brightness.
PORES, STRANDS, CLOTH = 0.029, 0.13, 0.040
WRINKLE, FRECKLE = 0.15, 0.05
_CURLY = HAIR_STYLES.index("curly")
# Strands next to each other before they repeat: a power of two.
_STRANDS = 4096


def texture(portrait: Portrait, people: People, seeds: Seeds, size_px: int) -> Floats:
    """How much lighter each pixel becomes, in shares of its brightness."""
    pores = _cut_out("pores", seeds, size_px, size_px)
    light = np.zeros_like(pores)
    around = window(size_px, *hair.PLACE)
    skin = cut(portrait.skin, around)
    rough = cut(pores, around)
    spots = np.minimum(np.float32(1.1) - rough, 0) * wide(people.freckles * np.float32(FRECKLE))
    spots += rough * np.float32(PORES)
    spots *= skin
    fibres = _fibres(portrait, people, seeds, size_px)
    fibres *= cut(portrait.strands, around)
    spots += fibres
    cut(light, around)[:] += spots
    worn = window(size_px, top=0.28)
    weave = _cut_out("weave", seeds, worn.y.shape[1], size_px)
    weave *= cut(portrait.clothes, worn)
    weave *= np.float32(CLOTH)
    cut(light, worn)[:] += weave
    bust = window(size_px, *features.PLACE)
    if people.wrinkles.any():
        cut(light, bust)[:] += _wrinkles(portrait, people, size_px)
    return light


def _cut_out(kind: str, seeds: Seeds, height: int, width: int) -> Floats:
    """Each picture's own part of a tile of noise."""
    rows, columns = uniform(seeds, f"{kind} row"), uniform(seeds, f"{kind} column")
    return windows_of(_tile(kind, width), rows, columns, height, width)


def _fibres(portrait: Portrait, people: People, seeds: Seeds, size_px: int) -> Floats:
    """Strands, and locks of several; they shine less evenly where hair is lumpy."""
    run = hair.strands(people, portrait.face, portrait.hair, size_px)
    run += wide(uniform(seeds, "strands", _STRANDS, 2 * _STRANDS))
    # The numbers are positive, so cutting off is rounding down.
    number: npt.NDArray[np.int32] = run.astype(np.int32)
    number &= _STRANDS - 1
    fibres: Floats = _strand_light()[number]
    # Equal shares of a dark brightness would hardly be seen.
    strength = np.float32(1.5) - people.hair.mean(axis=1)
    strength *= np.where(people.hair_style == _CURLY, np.float32(0.7), np.float32(1))
    fibres *= wide(strength) * (
        np.float32(STRANDS) + np.float32(0.3 * STRANDS) * portrait.hair.curls
    )
    return fibres


@lru_cache(maxsize=1)
def _strand_light() -> Floats:
    row = noise_tile(int(_STRANDS**0.5), "strands").reshape(1, -1)
    light: Floats = unit_spread(row + np.float32(1.5) * blurred(row, 1, 5))[0]
    return light


@lru_cache(maxsize=16)
def _tile(kind: str, size_px: int) -> Floats:
    """Noise of unit spread: round for pores, crossed for a weave."""
    tile = noise_tile(2 * size_px, kind)
    if kind == "weave":
        grain = max(1, size_px // 192)
        woof = blurred(noise_tile(2 * size_px, "woof"), 1, 2 * grain)
        return unit_spread(blurred(tile, 0, 2 * grain) + woof)
    grain = max(1, size_px // 192)
    return unit_spread(blurred(blurred(tile, 0, grain), 1, grain))


def _wrinkles(portrait: Portrait, people: People, size_px: int) -> Floats:
    """Lines on the forehead, at the eyes' corners, and from nose to mouth, as deep as the years."""
    face = portrait.face
    lines = np.zeros_like(cut(portrait.skin, window(size_px, *features.PLACE)))
    first = window(size_px, *features.PLACE).rows.start
    fine = np.float32(size_px / 64 * 5)

    brow = window(size_px, -0.6, 0.6, -0.75, -0.2)
    u = (brow.x - wide(face.x)) * wide(1 / face.a)
    v = (brow.y - wide(face.y)) * wide(1 / face.b)
    # One wave, two thirds of a line of which are left out, is cheaper than three lines.
    level = (v + np.float32(0.05) * u * u) * 15
    folds = np.maximum(wave(level) - np.float32(0.5), 0) * np.maximum(
        np.float32(0.5) - np.abs(u), 0
    )
    folds *= np.clip((np.float32(-0.22) - v) * 12, 0, 1)
    lines[:, brow.rows.start - first : brow.rows.stop - first] -= folds * 4

    low = window(size_px, -0.6, 0.6, -0.26, 0.5)
    part = lines[:, low.rows.start - first : low.rows.stop - first]
    u = np.abs(low.x - wide(face.x)) * wide(1 / face.a)
    v = (low.y - wide(face.y)) * wide(1 / face.b)
    fold = u - (np.float32(0.16) + np.float32(0.42) * (v - np.float32(0.06)))
    ends = np.clip((v - np.float32(0.26)) * 8, 0, 1) * np.clip((np.float32(0.66) - v) * 8, 0, 1)
    part -= np.maximum(1 - np.abs(fold) * fine, 0) * ends
    out = u - wide((people.eye_gap + face.eye_a) / face.a)
    near = np.maximum(1 - np.abs(out - np.float32(0.11)) * 10, 0)
    spread = (v + wide(people.eye_level)) / (np.maximum(out, 0) + np.float32(0.12))
    crow = np.maximum(wave(spread * np.float32(2.4)) - np.float32(0.3), 0) * near
    part -= crow * np.maximum(1 - np.abs(spread), 0)
    lines *= cut(portrait.skin, window(size_px, *features.PLACE))
    lines *= wide(people.wrinkles * np.float32(WRINKLE))
    return lines
