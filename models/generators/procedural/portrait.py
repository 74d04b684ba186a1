"""The flat picture of a person: background, clothes, neck, hair, head, and the parts of a face."""

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
from schemas.truth import HAIR_STYLES

_BALD, _SHORT, _CURLY, _BOB, _LONG = range(len(HAIR_STYLES))
_SUIT, _ROUND_NECK, _OPEN_COLLAR = range(3)
_DARK = np.array((0.10, 0.07, 0.07), np.float32)
_WHITE_OF_EYE = np.array((0.95, 0.94, 0.93), np.float32)
_FRAME = np.array((0.14, 0.12, 0.12), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """A painted batch and where its parts are, for what is laid over it later."""

    canvas: Floats
    skin: Floats
    hair: Floats
    clothes: Floats
    face: Face


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


def paint_portrait(people: People, size_px: int) -> Portrait:
    """The flat pictures of a batch, (batch, 3, size, size), in 0..1."""
    whole = window(size_px)
    face = _face(people)
    canvas = _background(people, whole)
    head = _head(people, face, whole)
    back = _hair_behind(people, face, whole)
    paint(canvas, whole, back, people.hair * np.float32(0.80))
    clothes = _body(canvas, people, face, size_px)
    neck = _neck(canvas, people, face, size_px)
    _ears(canvas, people, face, size_px)
    paint(canvas, whole, head, people.skin)
    _light(canvas, people, face, whole, head)
    _beard(canvas, people, face, size_px, head)
    _mouth(canvas, people, face, size_px)
    _nose(canvas, people, face, size_px)
    _eyes(canvas, people, face, size_px)
    front = _hair_in_front(people, face, whole, head)
    paint(canvas, whole, front, people.hair)
    _glasses(canvas, people, face, size_px)
    hair = np.maximum(front, back * (1 - np.maximum(head, np.maximum(neck, clothes))))
    skin = np.maximum(head * (1 - front), neck)
    return Portrait(canvas=canvas, skin=skin, hair=hair, clothes=clothes, face=face)


def _face(people: People) -> Face:
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


def _background(people: People, whole: Window) -> Floats:
    """A colour that is lighter on the side of the light and darker below."""
    glow = 1 + np.float32(0.10) * (
        whole.x * wide(people.light) - whole.y - np.float32(0.4) * whole.x * whole.x
    )
    return people.background[:, :, None, None] * glow[:, None]


def _head(people: People, face: Face, whole: Window) -> Floats:
    """An egg that narrows towards the chin, the less the squarer the jaw."""
    v = (whole.y - wide(face.y)) * wide(1 / face.b)
    below = np.maximum(v, 0)
    narrow = 1 - (np.float32(0.42) - np.float32(0.30) * wide(people.jaw)) * below * below
    u = (whole.x - wide(face.x)) * (wide(1 / face.a) / narrow)
    sharpness = wide(face.a) * np.float32(0.5 / whole.edge)
    return edge((1 - u * u - v * v) * sharpness)


def _hair_behind(people: People, face: Face, whole: Window) -> Floats:
    """Long hair falls on the shoulders, a bob to the chin, short hair only rims the head."""
    style = people.hair_style
    volume = people.hair_volume * np.where(style == _CURLY, np.float32(1.9), np.float32(1))
    low = np.select(
        [style == _LONG, style == _BOB, style == _CURLY], [0.62, 0.30, 0.20], 0.10
    ).astype(np.float32)
    width = face.a + volume * np.where(style == _SHORT, np.float32(0.15), np.float32(0.8))
    top = face.y - face.b - volume * np.float32(0.8)
    centre = (top + face.y + low) / 2
    half = (face.y + low - top) / 2
    v = (whole.y - wide(centre)) * wide(1 / half)
    u = (whole.x - wide(face.x)) * wide(1 / width)
    # The fourth power makes long hair fall straight instead of closing like an egg.
    v2 = v * v
    straight = wide(np.isin(style, (_LONG, _BOB)).astype(np.float32))
    rim = v2 * (1 - straight + straight * v2)
    sharpness = wide(width) * np.float32(0.5 / whole.edge)
    return edge((1 - u * u - rim) * sharpness) * wide((style != _BALD).astype(np.float32))


def _body(canvas: Floats, people: People, face: Face, size_px: int) -> Floats:
    """Shoulders in clothes, with the collar of a suit, a round neck or an open shirt."""
    place = window(size_px, top=0.3)
    x = place.x - wide(face.x)
    x2 = x * x
    slope = np.float32(0.50) + np.float32(0.50) * x2 + np.float32(0.55) * x2 * x2
    body = edge((place.y - wide(people.shift_y) - slope) * np.float32(1 / place.edge))
    paint(canvas, place, body, people.clothes)
    shade(canvas, place, body * x, people.light * np.float32(-0.22))
    middle = window(size_px, -0.5, 0.5, 0.3)
    across = np.abs(middle.x - wide(face.x))
    down = middle.y - wide(people.shift_y + np.float32(0.42))
    inside = body[:, :, middle.columns]
    suit = wide((people.collar == _SUIT).astype(np.float32))
    open_collar = wide((people.collar == _OPEN_COLLAR).astype(np.float32))
    opening = np.float32(0.32) - np.float32(0.55) * down
    shirt = edge((opening - across) * np.float32(1 / middle.edge)) * inside * suit
    paint(canvas, middle, shirt, people.shirt)
    lapel = edge((np.float32(0.05) - np.abs(across - opening)) * np.float32(1 / middle.edge))
    shade(canvas, middle, lapel * inside * suit, np.full_like(people.light, 0.28))
    tie = edge((np.float32(0.035) + np.float32(0.05) * down - across) * np.float32(1 / middle.edge))
    below_knot = edge((down - np.float32(0.16)) * np.float32(1 / middle.edge))
    paint(canvas, middle, tie * below_knot * inside * suit, people.clothes[:, ::-1] * 0.8)
    neckline = np.float32(0.20) - np.float32(0.55) * down
    bare = edge((neckline - across) * np.float32(1 / middle.edge)) * inside * open_collar
    paint(canvas, middle, bare, people.skin * np.float32(0.93))
    clothes = np.zeros(canvas[:, 0].shape, np.float32)
    clothes[:, place.rows] = body
    clothes[:, middle.rows, middle.columns] *= 1 - np.maximum(bare, shirt)
    return clothes


def _neck(canvas: Floats, people: People, face: Face, size_px: int) -> Floats:
    """A neck that widens into the shoulders, in the shadow of the chin."""
    place = window(size_px, -0.42, 0.42, 0.1, 0.72)
    chin = face.y + face.b
    down = place.y - wide(chin)
    half = wide(face.a * np.float32(0.52)) + np.float32(0.9) * np.maximum(down, 0) ** 2
    neck = edge((half - np.abs(place.x - wide(face.x))) * np.float32(1 / place.edge))
    hem = chin + np.float32(0.20)
    x = place.x - wide(face.x)
    end = wide(hem) - np.float32(1.1) * x * x
    neck *= edge((end - place.y) * np.float32(1 / place.edge))
    paint(canvas, place, neck, people.skin * np.float32(0.94))
    shadow = neck * np.clip(1 - down * np.float32(4.5), 0, 1)
    shade(canvas, place, shadow, np.full_like(people.light, 0.30))
    mask = np.zeros(canvas[:, 0].shape, np.float32)
    mask[:, place.rows, place.columns] = neck
    return mask


def _ears(canvas: Floats, people: People, face: Face, size_px: int) -> None:
    place = window(size_px, -0.56, 0.56, -0.35, 0.2)
    a, b = face.a * np.float32(0.16), face.b * np.float32(0.20)
    y = face.y + np.float32(0.02)
    shown = wide((people.hair_style < _BOB).astype(np.float32))
    for side in (-1, 1):
        x = face.x + np.float32(side) * face.a * np.float32(0.98)
        paint(canvas, place, ellipse(place, x, y, a, b) * shown, people.skin * np.float32(0.90))


def _light(canvas: Floats, people: People, face: Face, whole: Window, head: Floats) -> None:
    """The side away from the light is darker, and so is the rim; cheeks are a little red."""
    u = (whole.x - wide(face.x)) * wide(1 / face.a)
    v = (whole.y - wide(face.y)) * wide(1 / face.b)
    away = np.clip(-u * wide(people.light), -0.5, 1)
    rim = np.maximum(u * u + v * v - np.float32(0.45), 0)
    shade(canvas, whole, head * (np.float32(0.20) * away + np.float32(0.16) * rim), _ones(people))
    blush = np.maximum(
        1 - ((np.abs(u) - np.float32(0.52)) ** 2 + (v - np.float32(0.28)) ** 2) * 9, 0
    ) * np.float32(0.10)
    canvas[:, 1] *= 1 - blush * head
    canvas[:, 2] *= 1 - blush * head


def _beard(canvas: Floats, people: People, face: Face, size_px: int, head: Floats) -> None:
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


def _mouth(canvas: Floats, people: People, face: Face, size_px: int) -> None:
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


def _nose(canvas: Floats, people: People, face: Face, size_px: int) -> None:
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


def _eyes(canvas: Floats, people: People, face: Face, size_px: int) -> None:
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


def _hair_in_front(people: People, face: Face, whole: Window, head: Floats) -> Floats:
    """Over the forehead down to the hairline, and down the sides for longer hair."""
    style = people.hair_style
    u = (whole.x - wide(face.x)) * wide(1 / face.a)
    v = (whole.y - wide(face.y)) * wide(1 / face.b)
    volume = people.hair_volume * np.where(style == _SHORT, np.float32(0.55), np.float32(0.8))
    width, height = face.a + volume * np.float32(0.7), face.b + volume
    cap = ellipse(whole, face.x, face.y, width, height)
    swept = u - wide(people.parting)
    line = np.float32(-0.52) + np.float32(0.16) * np.abs(swept) + np.float32(0.35) * u * u * u * u
    sides = np.select([style == _LONG, style == _BOB, style == _CURLY], [0.55, 0.5, 0.25], 0.0)
    line = line + wide(sides.astype(np.float32)) * np.maximum(np.abs(u) - np.float32(0.72), 0) * 8
    fringe = edge((line - v) * wide(face.b) * np.float32(1 / whole.edge))
    return cap * fringe * wide((style != _BALD).astype(np.float32))


def _glasses(canvas: Floats, people: People, face: Face, size_px: int) -> None:
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


def _ones(people: People) -> Floats:
    return np.ones_like(people.light)
