"""Head, ears, nose, mouth and beard, and where they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.generators.procedural.canvas import (
    band,
    edge,
    ellipse,
    paint,
    shade,
    soft,
    wide,
    window,
)
from models.generators.procedural.chance import Floats
from models.generators.procedural.people import People

_TEETH = np.array((0.95, 0.93, 0.90), np.float32)
_GOLD = np.array((0.93, 0.80, 0.48), np.float32)
_FULL, _GOATEE, _MOUSTACHE = range(3)
STUBBLE = 0.2
PLACE = (-0.6, 0.6, -0.8, 0.6)
MOUTH = (-0.28, 0.28, 0.0, 0.46)


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """Where a head and its parts are, in picture coordinates."""

    x: Floats
    y: Floats
    a: Floats
    b: Floats
    eye_y: Floats
    eye_a: Floats
    eye_b: Floats
    nose_y: Floats
    mouth_y: Floats


def face_of(people: People) -> Face:
    """Where the face of each person is."""
    y = people.shift_y - np.float32(0.10)
    nose_y = y + people.height * people.nose_length
    return Face(
        x=people.shift_x,
        y=y,
        a=people.width,
        b=people.height,
        eye_y=y - people.height * people.eye_level,
        eye_a=people.eye_size,
        eye_b=people.eye_size * people.eye_open,
        nose_y=nose_y,
        mouth_y=nose_y + people.height * np.float32(0.255),
    )


def head(people: People, face: Face, size_px: int) -> Floats:
    """An egg that narrows towards the chin, the less the squarer the jaw; in its window."""
    place = window(size_px, *PLACE)
    v = (place.y - wide(face.y)) * wide(1 / face.b)
    below, above = np.maximum(v, 0), np.minimum(v, 0)
    v2, below2 = v * v, below * below
    narrow = 1 - (np.float32(0.42) - np.float32(0.30) * wide(people.jaw)) * below2
    narrow -= np.float32(0.06) * above * above
    bulge = (v - np.float32(0.22)) * np.float32(1.6)
    narrow += wide(people.cheek) * np.maximum(1 - bulge * bulge, 0)
    # Far below the chin it would pass through zero; at this width the egg has long been closed.
    narrow = np.maximum(narrow, np.float32(0.3))
    flat = v2 + wide(people.chin) * below2 * (below2 - 1)
    u = (place.x - wide(face.x)) * (wide(1 / face.a) / narrow)
    sharpness = wide(face.a) * np.float32(0.5 / place.edge)
    return edge((1 - u * u - flat) * sharpness)


def ears(canvas: Floats, people: People, face: Face, size_px: int, shown: Floats) -> None:
    """Both ears, and what hangs from them."""
    place = window(size_px, -0.58, 0.58, -0.38, 0.24)
    a, b = face.a * people.ear, face.b * (people.ear + np.float32(0.05))
    y = face.y + np.float32(0.02)
    x = np.abs(place.x - wide(face.x)) - wide(face.a * np.float32(0.98))
    lobe = y + b * np.float32(1.15)
    zero = np.zeros_like(y)
    ear = _mirrored(place.edge, x, place.y, zero, y, a, b)
    paint(canvas, place, ear * wide(shown), people.skin * np.float32(0.90))
    inner = _mirrored(place.edge, x, place.y, a * np.float32(0.25), y, a * 0.5, b * 0.6)
    shade(canvas, place, inner * wide(shown), np.full_like(y, 0.16))
    radius = np.full_like(y, 0.020)
    ring = _mirrored(place.edge, x, place.y, a * np.float32(0.2), lobe, radius, radius)
    gold = np.broadcast_to(_GOLD, people.skin.shape)
    paint(canvas, place, ring * wide(shown * people.earring), gold)


def _mirrored(
    width: float, x: Floats, down: Floats, at_x: Floats, at_y: Floats, a: Floats, b: Floats
) -> Floats:
    """An ellipse in coordinates that both halves of the picture share."""
    u, v = (x - wide(at_x)) * wide(1 / a), (down - wide(at_y)) * wide(1 / b)
    return edge((1 - u * u - v * v) * wide(np.minimum(a, b) * np.float32(0.5 / width)))


def beard(canvas: Floats, people: People, face: Face, size_px: int, inside: Floats) -> Floats:
    """Stubble, a full beard, a goatee or a moustache; returns its mask, in the window of a head."""
    place = window(size_px, *PLACE)
    low = window(size_px, -0.6, 0.6, -0.2, 0.6)
    first = low.rows.start - place.rows.start
    mask = np.zeros_like(inside)
    if not people.beard.any():
        return mask
    part = mask[:, first:]
    v = (low.y - wide(face.y)) * wide(1 / face.b)
    u = np.abs(low.x - wide(face.x)) * wide(1 / face.a)
    mouth = wide((face.mouth_y - face.y) / face.b)
    # The line falls from the ear along the cheek and rises a little towards the moustache.
    side = np.maximum(u - np.float32(0.52), 0)
    line = mouth - np.float32(0.15) + np.float32(0.30) * u * u - np.float32(5.5) * side * side
    part += soft(low, (v - line) * wide(face.b), 2.6)
    part *= np.clip(v * 5, 0, 1)
    stubble = people.beard < STUBBLE
    shape = people.beard_shape
    chin = 1 - (u * np.float32(2.5)) ** 2 - ((v - mouth - np.float32(0.15)) * np.float32(2.7)) ** 2
    goatee = soft(low, chin * np.float32(0.12), 1.5)
    lip = v - mouth + np.float32(0.09) - np.float32(0.35) * u * u
    moustache = soft(low, np.float32(0.030) - np.abs(lip) * wide(face.b), 1.2)
    moustache *= np.clip((np.float32(0.42) - u) * 12, 0, 1)
    for one, kind in ((goatee, _GOATEE), (moustache, _MOUSTACHE)):
        worn = wide(((shape == kind) & ~stubble).astype(np.float32))
        part += worn * (one - part)
    length = np.where(stubble, 0, people.beard_length * people.beard).astype(np.float32)
    grown = (length * (shape == _FULL)).astype(np.float32)
    below = ellipse(
        low, face.x, face.y + face.b * 0.45, face.a * 0.80, face.b * (0.50 + 0.20 * grown), 1.5
    )
    part *= np.maximum(inside[:, first:], below * wide((grown > 0).astype(np.float32)))
    strength = np.where(stubble, people.beard * 1.6, 0.55 + 0.4 * people.beard)
    mask *= wide((strength * (people.beard > 0)).astype(np.float32))
    paint(canvas, place, mask, people.hair * np.float32(0.80))
    return mask


def mouth(canvas: Floats, people: People, face: Face, size_px: int) -> Floats:
    """Two lips along a curve, between them a line or teeth; returns the mask in its window."""
    place = window(size_px, *MOUTH)
    x = (place.x - wide(face.x)) * wide(1 / people.mouth)
    inside = np.maximum(1 - x * x, 0)
    line = wide(face.mouth_y) - wide(people.smile) * (x * x - np.float32(0.5))
    below = place.y - line
    half = wide(people.teeth) * inside
    bow = np.maximum(1 - np.abs(x) * np.float32(4), 0) * np.float32(0.28)
    upper = half + wide(people.upper_lip) * inside * (1 - bow)
    lower = half + wide(people.lower_lip) * inside * (np.float32(1.5) - np.float32(0.5) * inside)
    presence = np.minimum(inside * 5, 1)
    under = below - wide(people.lower_lip + people.teeth + np.float32(0.022))
    hollow = np.maximum(1 - np.abs(under) * 30, 0) * np.maximum(1 - (x * np.float32(1.6)) ** 2, 0)
    shade(canvas, place, hollow, np.full_like(people.smile, 0.13))
    lips = soft(place, np.minimum(lower - below, below + upper), 1)
    lips *= presence
    paint(canvas, place, lips, people.lips)
    shade(canvas, place, lips * (below < 0), np.full_like(people.smile, 0.12))
    between = band(place, below + half, np.full_like(people.mouth, 0.004)) * presence
    paint(canvas, place, between * np.float32(0.75), people.lips * np.float32(0.45))
    shown = wide((people.teeth > 0).astype(np.float32)) * np.minimum(inside * 2, 1)
    teeth = soft(place, half - np.abs(below), 0.8) * shown
    paint(canvas, place, teeth, np.broadcast_to(_TEETH, people.skin.shape))
    return lips


def nose(canvas: Floats, people: People, face: Face, size_px: int) -> None:
    """A shadow beside the ridge, away from the light, one below the tip, and two nostrils."""
    place = window(size_px, -0.2, 0.2, -0.3, 0.25)
    tip = face.nose_y
    side = -people.light / np.maximum(np.abs(people.light), np.float32(0.01))
    x = (place.x - wide(face.x)) * wide(1 / people.nose)
    along = (place.y - wide(face.eye_y)) * wide(1 / (tip - face.eye_y))
    ridge = np.maximum(1 - (x * wide(side) - np.float32(0.55)) ** 2 * np.float32(2.5), 0)
    ridge = ridge * np.clip(along * 2, 0, 1) * np.clip((1 - along) * 6, 0, 1)
    shade(canvas, place, ridge, np.float32(0.10) + np.float32(0.10) * np.abs(people.light))
    wings = ellipse(place, face.x, tip, people.nose * np.float32(1.05), people.nose * 0.40, 1.5)
    shade(canvas, place, wings, np.full_like(people.nose, 0.15))
    down = (place.y - wide(tip + people.nose * np.float32(0.10))) * wide(1 / people.nose)
    out = np.abs(x) - np.float32(0.48)
    nostrils = np.maximum(1 - out * out * 14 - down * down * 34, 0)
    shade(canvas, place, np.minimum(nostrils * 2, 1), np.full_like(people.nose, 0.34))
    glow = ellipse(
        place,
        face.x - side * people.nose * 0.15,
        tip - people.nose * 0.55,
        people.nose * np.float32(0.40),
        people.nose * np.float32(0.34),
        2,
    )
    shade(canvas, place, glow, np.full_like(people.nose, -0.07))
