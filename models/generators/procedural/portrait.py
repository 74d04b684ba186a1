"""The flat picture of a person: background, clothes, neck, hair, head, and the parts of a face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.generators.procedural import features
from models.generators.procedural.canvas import (
    Window,
    edge,
    ellipse,
    paint,
    shade,
    wide,
    window,
)
from models.generators.procedural.chance import Floats
from models.generators.procedural.features import Face, face_of
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


def paint_portrait(people: People, size_px: int) -> Portrait:
    """The flat pictures of a batch, (batch, 3, size, size), in 0..1."""
    whole = window(size_px)
    face = face_of(people)
    canvas = _background(people, whole)
    head = _head(people, face, whole)
    back = _hair_behind(people, face, whole)
    paint(canvas, whole, back, people.hair * np.float32(0.80))
    clothes = _body(canvas, people, face, size_px)
    neck = _neck(canvas, people, face, size_px)
    _ears(canvas, people, face, size_px)
    paint(canvas, whole, head, people.skin)
    _light(canvas, people, face, whole, head)
    features.beard(canvas, people, face, size_px, head)
    features.mouth(canvas, people, face, size_px)
    features.nose(canvas, people, face, size_px)
    features.eyes(canvas, people, face, size_px)
    front = _hair_in_front(people, face, whole, head)
    paint(canvas, whole, front, people.hair)
    features.glasses(canvas, people, face, size_px)
    hair = np.maximum(front, back * (1 - np.maximum(head, np.maximum(neck, clothes))))
    skin = np.maximum(head * (1 - front), neck)
    return Portrait(canvas=canvas, skin=skin, hair=hair, clothes=clothes, face=face)


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
    # Far below the chin it would pass through zero; at this width the egg has long been closed.
    narrow = np.maximum(narrow, np.float32(0.3))
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


def _ones(people: People) -> Floats:
    return np.ones_like(people.light)
