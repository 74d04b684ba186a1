"""Shoulders and neck, and what is worn over them."""

from __future__ import annotations

import numpy as np

from models.generators.procedural.canvas import (
    Window,
    band,
    blank,
    cut,
    edge,
    paint,
    shade,
    soft,
    wave,
    wide,
    window,
)
from models.generators.procedural.chance import Floats
from models.generators.procedural.features import Face
from models.generators.procedural.people import People

_SUIT, _ROUND_NECK, _OPEN_COLLAR, _TURTLENECK, _NECKLINE = range(5)


def body(canvas: Floats, people: People, face: Face, size_px: int) -> tuple[Floats, Floats]:
    """Shoulders in clothes; returns the masks of the clothes and of what they leave bare."""
    place = window(size_px, top=0.28)
    x = place.x - wide(face.x)
    x2 = x * x
    slope = np.float32(0.50) + (np.float32(0.50) - wide(people.shoulders)) * x2
    slope = slope + np.float32(0.55) * x2 * x2
    below = place.y - wide(people.shift_y) - slope
    mask = edge(below * np.float32(1 / place.edge))
    paint(canvas, place, mask, people.clothes)
    striped = people.stripes * 3 * np.isin(people.collar, (_ROUND_NECK, _TURTLENECK))
    if striped.any():
        stripe = np.clip(wave(below * 9) * 3, 0, 1) * mask
        paint(canvas, place, stripe * wide(striped), people.shirt)
    lit = x * wide(people.light) * np.float32(0.22) - below * np.float32(0.18)
    shade(canvas, place, mask * lit, np.full_like(people.light, -1))
    clothes = blank(canvas)
    cut(clothes, place)[:] = mask
    middle = window(size_px, -0.55, 0.55, 0.28)
    bare = blank(canvas)
    inside = cut(clothes, middle)
    cut(bare, middle)[:] = _collars(canvas, people, face, middle, inside)
    inside -= cut(bare, middle)
    return clothes, bare


def _collars(canvas: Floats, people: People, face: Face, middle: Window, inside: Floats) -> Floats:
    """A suit with a tie, an open shirt or a wide neckline; returns what is bare."""
    across = np.abs(middle.x - wide(face.x))
    down = middle.y - wide(people.shift_y + np.float32(0.42))
    suit, shirt_only, low_cut = (
        (people.collar == kind).astype(np.float32) for kind in (_SUIT, _OPEN_COLLAR, _NECKLINE)
    )
    if suit.any():
        _suit(canvas, people, middle, across, down, inside * wide(suit))
    open_neck = np.maximum(shirt_only, low_cut)
    if not open_neck.any():
        return np.zeros_like(inside)
    neckline = wide(np.float32(0.20) + np.float32(0.07) * low_cut) - np.float32(0.55) * down
    bare = soft(middle, neckline - across, 1) * inside * wide(open_neck)
    paint(canvas, middle, bare, people.skin * np.float32(0.93))
    flap = soft(middle, np.float32(0.045) - np.abs(across - neckline - np.float32(0.04)), 1)
    flap *= soft(middle, np.float32(0.20) - down, 1) * inside
    shade(canvas, middle, flap * wide(shirt_only), np.full_like(people.light, -0.16))
    return bare


def _suit(
    canvas: Floats, people: People, middle: Window, across: Floats, down: Floats, worn: Floats
) -> None:
    opening = np.float32(0.32) - np.float32(0.55) * down
    paint(canvas, middle, soft(middle, opening - across, 1) * worn, people.shirt)
    lapel = soft(middle, np.float32(0.05) - np.abs(across - opening), 1)
    shade(canvas, middle, lapel * worn, np.full_like(people.light, 0.28))
    knot = np.maximum(np.float32(0.05) - np.abs(down - np.float32(0.19)), 0) * np.float32(0.5)
    tie = soft(middle, np.float32(0.030) + np.float32(0.05) * down + knot - across, 1)
    tie *= soft(middle, down - np.float32(0.15), 1) * worn
    paint(canvas, middle, tie, people.clothes[:, ::-1] * np.float32(0.8))


def neck(canvas: Floats, people: People, face: Face, size_px: int, worn: Floats) -> Floats:
    """A neck that widens into the shoulders, in the shadow of the chin, bare or rolled in."""
    place = window(size_px, -0.45, 0.45, 0.1, 0.75)
    chin = face.y + face.b
    down = place.y - wide(chin)
    slim = np.float32(0.50) + np.float32(0.10) * people.jaw
    half = wide(face.a * slim) + np.float32(0.9) * np.maximum(down, 0) ** 2
    x = place.x - wide(face.x)
    side = soft(place, half - np.abs(x), 1)
    end = wide(chin + np.float32(0.20)) - np.float32(1.1) * x * x - place.y
    bare = side * soft(place, end, 1)
    paint(canvas, place, bare, people.skin * np.float32(0.94))
    turtle = (people.collar == _TURTLENECK).astype(np.float32)
    top = wide(np.float32(0.05) - people.curl_down * np.float32(0.02)) - np.float32(0.5) * x * x
    rolled = soft(place, half + np.float32(0.015) - np.abs(x), 1)
    rolled *= soft(place, down - top, 1) * soft(place, end + np.float32(0.05), 1)
    rolled *= wide(turtle)
    paint(canvas, place, rolled, people.clothes * np.float32(0.92))
    rim = band(place, end, np.full_like(chin, 0.016)) * side
    rim *= wide((people.collar == _ROUND_NECK).astype(np.float32))
    shade(canvas, place, rim, np.full_like(chin, 0.22))
    shadow = np.maximum(bare, rolled) * np.clip(1 - down * np.float32(4.5), 0, 1)
    shade(canvas, place, shadow, np.full_like(people.light, 0.30))
    cloth = cut(worn, place)
    np.maximum(cloth, rolled, out=cloth)
    mask = blank(canvas)
    cut(mask, place)[:] = bare * (1 - rolled)
    return mask
