"""The parts of a face, and where they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.generators.procedural.canvas import (
    Window,
    band,
    edge,
    ellipse,
    paint,
    shade,
    wide,
    window,
)
from models.generators.procedural.chance import Floats
from models.generators.procedural.people import People

_DARK = np.array((0.10, 0.07, 0.07), np.float32)
_WHITE_OF_EYE = np.array((0.95, 0.94, 0.93), np.float32)
_FRAME = np.array((0.14, 0.12, 0.12), np.float32)


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
    mouth_y: Floats


def face_of(people: People) -> Face:
    """Where the face of each person is."""
    y = people.shift_y - np.float32(0.10)
    return Face(
        x=people.shift_x,
        y=y,
        a=people.width,
        b=people.height,
        eye_y=y - people.height * np.float32(0.06),
        eye_a=people.eye_size,
        eye_b=people.eye_size * np.float32(0.52),
        mouth_y=y + people.height * np.float32(0.56),
    )


def beard(canvas: Floats, people: People, face: Face, size_px: int, head: Floats) -> None:
    """Around the mouth and along the jaw; the stronger the fuller."""
    place = window(size_px, -0.5, 0.5, 0.0, 0.55)
    v = (place.y - wide(face.y)) * wide(1 / face.b)
    u = np.abs(place.x - wide(face.x)) * wide(1 / face.a)
    upper = np.float32(0.42) - np.float32(0.50) * u * u
    inner = head[:, place.rows, place.columns] * edge(
        (v - upper) * wide(face.b) * np.float32(1 / place.edge)
    )
    strength = np.clip(people.beard * 2, 0, 0.85).astype(np.float32)
    paint(canvas, place, inner * wide(strength), people.hair * np.float32(0.85))


def mouth(canvas: Floats, people: People, face: Face, size_px: int) -> None:
    """Two lips along a curve, and the line between them."""
    place = window(size_px, -0.26, 0.26, 0.0, 0.42)
    x = (place.x - wide(face.x)) * wide(1 / people.mouth)
    inside = np.maximum(1 - x * x, 0)
    line = wide(face.mouth_y) - wide(people.smile) * (x * x - np.float32(0.5))
    below = place.y - line
    full = np.float32(0.034) * inside
    lips = edge((full - np.abs(below - np.float32(0.006))) * np.float32(1 / place.edge))
    lips *= np.minimum(inside * 6, 1)
    paint(canvas, place, lips, people.lips)
    between = band(place, below, np.full_like(people.mouth, 0.004)) * np.minimum(inside * 4, 1)
    paint(canvas, place, between * np.float32(0.75), people.lips * np.float32(0.45))


def nose(canvas: Floats, people: People, face: Face, size_px: int) -> None:
    """A shadow beside the ridge, away from the light, and one below the tip."""
    place = window(size_px, -0.2, 0.2, -0.3, 0.25)
    tip = face.y + face.b * np.float32(0.30)
    side = -people.light / np.maximum(np.abs(people.light), np.float32(0.01))
    x = (place.x - wide(face.x)) * wide(side) * wide(1 / people.nose)
    along = (place.y - wide(face.eye_y)) * wide(1 / (tip - face.eye_y))
    ridge = np.maximum(1 - (x - np.float32(0.55)) ** 2 * np.float32(2.5), 0)
    ridge = ridge * np.clip(along * 3, 0, 1) * np.clip((1 - along) * 6, 0, 1)
    shade(canvas, place, ridge, np.float32(0.10) + np.float32(0.10) * np.abs(people.light))
    wings = ellipse(place, face.x, tip, people.nose * np.float32(1.05), people.nose * 0.38, 1.5)
    shade(canvas, place, wings, np.full_like(people.nose, 0.22))
    glow = ellipse(
        place,
        face.x - side * people.nose * 0.15,
        tip - people.nose * 0.55,
        people.nose * np.float32(0.40),
        people.nose * np.float32(0.34),
        2,
    )
    shade(canvas, place, glow, np.full_like(people.nose, -0.07))


def eyes(canvas: Floats, people: People, face: Face, size_px: int) -> None:
    """Both eyes, and the brows above them."""
    for side in (-1, 1):
        place = window(size_px, *((-0.36, -0.02) if side < 0 else (0.02, 0.36)), -0.36, 0.1)
        x = face.x + np.float32(side) * people.eye_gap
        tilt = np.float32(side) * people.eye_tilt
        u = place.x - wide(x)
        # A tilted eye is a sheared one.
        leaning = place.y - wide(face.eye_y) + wide(tilt) * u
        _eye(canvas, place, people, face, u, leaning)
        arch = leaning + wide(face.eye_b * np.float32(2.35)) - np.float32(2.2) * u * u
        tapered = np.clip((wide(face.eye_a * 1.45) - np.abs(u)) * np.float32(12), 0, 1)
        brow = band(place, arch, people.brow) * tapered
        paint(canvas, place, brow * np.float32(0.85), people.hair * np.float32(0.62))


def _eye(
    canvas: Floats, place: Window, people: People, face: Face, u: Floats, leaning: Floats
) -> None:
    a, b = wide(1 / face.eye_a), wide(1 / face.eye_b)
    sharpness = wide(face.eye_b) * np.float32(0.5 / place.edge)
    almond = 1 - (u * a) ** 2 - (leaning * b) ** 2
    hollow = np.clip(
        1 - (u * a * np.float32(0.62)) ** 2 - (leaning * b * np.float32(0.5)) ** 2, 0, 1
    )
    shade(canvas, place, hollow, np.full_like(people.brow, 0.12))
    white = edge(almond * sharpness)
    paint(canvas, place, white, np.broadcast_to(_WHITE_OF_EYE, people.skin.shape))
    radius = face.eye_b * np.float32(0.92)
    distance = 1 - (u * u + leaning * leaning) * wide(1 / (radius * radius))
    disc = wide(radius) * np.float32(0.5 / place.edge)
    paint(canvas, place, edge(distance * disc) * white, people.iris)
    pupil = (distance - np.float32(0.78)) * disc * 3
    dark = np.broadcast_to(_DARK, people.skin.shape)
    paint(canvas, place, edge(pupil) * white, dark)
    # The upper lid is the upper part of the almond's edge.
    lid = edge(np.float32(0.9) - np.abs(almond) * sharpness * np.float32(1.2))
    upper = np.clip(-leaning * b * 2 + np.float32(0.4), 0, 1)
    paint(canvas, place, lid * upper * np.float32(0.8), dark)


def glasses(canvas: Floats, people: People, face: Face, size_px: int) -> None:
    """Round glasses, for those who wear some."""
    if not people.glasses.any():
        return
    place = window(size_px, -0.46, 0.46, -0.36, 0.14)
    worn = wide(people.glasses * np.float32(0.85))
    frame = np.broadcast_to(_FRAME, people.skin.shape)
    radius = people.eye_gap * np.float32(0.72)
    y = wide(face.eye_y + np.float32(0.012))
    x = place.x - wide(face.x)
    across = (np.abs(x) - wide(people.eye_gap)) * wide(1 / radius)
    down = (place.y - y) * wide(1 / (radius * np.float32(0.82)))
    ring = (1 - across * across - down * down) * wide(radius) * np.float32(0.5)
    paint(canvas, place, band(place, ring, np.full_like(radius, 0.010)) * worn, frame)
    bridge = band(place, place.y - y, np.full_like(radius, 0.009))
    outside = np.clip((np.abs(across) - np.float32(0.95)) * 12, 0, 1)
    paint(canvas, place, bridge * outside * worn * (np.abs(x) < wide(face.a)), frame)
