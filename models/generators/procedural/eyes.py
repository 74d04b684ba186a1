"""Eyes, brows and glasses: both sides at once, in coordinates that the two halves share."""

from __future__ import annotations

import numpy as np

from models.generators.procedural.canvas import Window, band, paint, shade, soft, wide, window
from models.generators.procedural.chance import Floats
from models.generators.procedural.features import Face
from models.generators.procedural.people import People

_DARK = np.array((0.10, 0.07, 0.07), np.float32)
_WHITE_OF_EYE = np.array((0.94, 0.93, 0.92), np.float32)
_FRAME = np.array((0.14, 0.12, 0.12), np.float32)


def eyes(canvas: Floats, people: People, face: Face, size_px: int) -> None:
    """Both eyes, and the brows above them."""
    place = window(size_px, -0.38, 0.38, -0.38, 0.08)
    outwards = np.abs(place.x - wide(face.x)) - wide(people.eye_gap)
    level = place.y - wide(face.eye_y)
    # A tilted eye is a sheared one.
    leaning = level + wide(people.eye_tilt) * outwards
    u = outwards * wide(1 / face.eye_a)
    upper = wide(face.eye_b) * (1 - u * u)
    _sockets(canvas, place, people, u, leaning, face)
    white = soft(place, np.minimum(leaning + upper, np.float32(0.72) * upper - leaning), 0.8)
    paint(canvas, place, white, np.broadcast_to(_WHITE_OF_EYE, people.skin.shape))
    _iris(canvas, place, people, face, outwards, leaning, white)
    _lids(canvas, place, people, u, leaning + upper)
    _brows(canvas, place, people, outwards, level)


def _sockets(
    canvas: Floats, place: Window, people: People, u: Floats, leaning: Floats, face: Face
) -> None:
    """The hollow that an eye lies in, deeper below it with the years."""
    v = leaning * wide(1 / face.eye_a)
    hollow = np.maximum(1 - u * u * np.float32(0.42) - v * v * np.float32(0.9), 0)
    shade(canvas, place, hollow, np.full_like(people.brow, 0.11))
    low = v - np.float32(0.85) + np.float32(0.25) * u * u
    bag = np.maximum(1 - low * low * 12, 0) * np.maximum(1 - u * u, 0)
    shade(canvas, place, bag, np.float32(0.03) + np.float32(0.10) * people.wrinkles)


def _iris(
    canvas: Floats,
    place: Window,
    people: People,
    face: Face,
    outwards: Floats,
    leaning: Floats,
    white: Floats,
) -> None:
    radius = face.eye_a * np.float32(0.46)
    down = leaning + wide(face.eye_b * np.float32(0.14))
    distance = 1 - (outwards * outwards + down * down) * wide(1 / (radius * radius))
    size = wide(radius * np.float32(0.5))
    disc = soft(place, distance * size, 0.8)
    disc *= white
    paint(canvas, place, disc, people.iris)
    # Lighter below, darker at its rim and under the lid.
    glow = np.minimum(np.abs(distance - np.float32(0.4)) * np.float32(1.2), 1) - np.float32(0.45)
    glow -= down * wide(np.float32(0.55) / radius)
    shade(canvas, place, disc * glow, np.full_like(people.brow, 0.55))
    pupil = soft(place, (distance - np.float32(0.80)) * size, 0.5) * white
    paint(canvas, place, pupil, np.broadcast_to(_DARK, people.skin.shape))


def _lids(canvas: Floats, place: Window, people: People, u: Floats, above: Floats) -> None:
    """Lashes along the upper edge, a shadow under them, and the crease over them."""
    within = np.clip((np.float32(1.12) - np.abs(u)) * 6, 0, 1)
    under = np.maximum(1 - np.abs(above - np.float32(0.014)) * 50, 0) * within
    shade(canvas, place, under, np.full_like(people.brow, 0.28))
    lashes = band(place, above, people.lashes) * within
    paint(canvas, place, lashes * np.float32(0.85), np.broadcast_to(_DARK, people.skin.shape))
    crease = np.maximum(1 - np.abs(above + np.float32(0.026)) * 80, 0) * within
    shade(canvas, place, crease, people.crease)


def _brows(canvas: Floats, place: Window, people: People, outwards: Floats, level: Floats) -> None:
    """Arches that taper outwards."""
    raised = level + wide(people.brow_height) + wide(people.brow_tilt) * outwards
    further = outwards - np.float32(0.02)
    raised -= wide(people.brow_arch) * further * further
    thick = wide(people.brow) * (1 - np.clip(outwards * 6, -0.2, 0.65))
    ends = np.clip((np.float32(0.115) - np.abs(outwards)) * 18, 0, 1)
    brow = soft(place, thick - np.abs(raised), 1) * ends
    paint(canvas, place, brow * np.float32(0.88), people.brow_colour)


def glasses(canvas: Floats, people: People, face: Face, size_px: int) -> None:
    """Round to rather square glasses, for those who wear some."""
    if not people.glasses.any():
        return
    place = window(size_px, -0.50, 0.50, -0.36, 0.14)
    worn = wide(people.glasses * np.float32(0.85))
    frame = np.broadcast_to(_FRAME, people.skin.shape) + people.clothes * np.float32(0.25)
    radius = people.eye_gap * np.float32(0.76)
    y = wide(face.eye_y + np.float32(0.012))
    x = place.x - wide(face.x)
    across = (np.abs(x) - wide(people.eye_gap)) * wide(1 / radius)
    down = (place.y - y) * wide(1 / (radius * np.float32(0.80)))
    across2, down2 = across * across, down * down
    square = wide(people.curl_down)
    ring = 1 - across2 - down2 + square * (across2 * (1 - across2) + down2 * (1 - down2))
    ring *= wide(radius * (np.float32(0.5) - np.float32(0.2) * people.curl_down))
    paint(canvas, place, band(place, ring, np.full_like(radius, 0.009)) * worn, frame)
    bridge = band(place, place.y - y + np.float32(0.02), np.full_like(radius, 0.008))
    outside = np.clip((np.abs(across) - np.float32(0.95)) * 12, 0, 1)
    paint(canvas, place, bridge * outside * worn * (np.abs(x) < wide(face.a)), frame)
