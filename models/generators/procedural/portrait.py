"""The flat picture of a person: background, clothes, neck, hair, head, and the parts of a face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.generators.procedural import clothes, eyes, features, hair
from models.generators.procedural.canvas import Window, blank, cut, paint, shade, wide, window
from models.generators.procedural.chance import Floats
from models.generators.procedural.features import Face, face_of
from models.generators.procedural.hair import Hair
from models.generators.procedural.people import People
from schemas.truth import HAIR_STYLES

# Whose ears hair does not cover.
_EARS_SHOWN = np.array([style in ("bald", "short", "tied") for style in HAIR_STYLES], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """A painted batch and where its parts are, for what is laid over it later."""

    canvas: Floats
    skin: Floats
    strands: Floats
    clothes: Floats
    face: Face
    hair: Hair


def paint_portrait(people: People, size_px: int) -> Portrait:
    """The flat pictures of a batch, (batch, 3, size, size), in 0..1."""
    face = face_of(people)
    locks = hair.hair_of(people, face, size_px)
    bust, around = window(size_px, *features.PLACE), window(size_px, *hair.PLACE)
    canvas = _background(people, window(size_px))
    behind = hair.paint_behind(canvas, people, face, locks, size_px)
    worn, skin = clothes.body(canvas, people, face, size_px)
    neck = clothes.neck(canvas, people, face, size_px, worn)
    features.ears(canvas, people, face, size_px, _EARS_SHOWN[people.hair_style])
    head = features.head(people, face, size_px)
    paint(canvas, bust, head, people.skin)
    _light(canvas, people, face, bust, head)
    beard = features.beard(canvas, people, face, size_px, head)
    features.nose(canvas, people, face, size_px)
    lips = features.mouth(canvas, people, face, size_px)
    eyes.eyes(canvas, people, face, size_px)
    _shadow_of_hair(canvas, bust, around, locks.front, head)
    hair.paint_front(canvas, people, locks, size_px)
    eyes.glasses(canvas, people, face, size_px)

    np.maximum(skin, neck, out=skin)
    part = cut(skin, bust)
    np.maximum(part, head, out=part)
    covered = np.minimum(skin + worn, 1)
    strands = blank(canvas)
    part = cut(strands, around)
    part += behind * (1 - cut(covered, around))
    np.maximum(part, locks.front, out=part)
    cut(skin, around)[:] *= 1 - locks.front
    cut(worn, around)[:] *= 1 - locks.front
    cut(skin, bust)[:] *= 1 - beard
    # Hair of a beard is shorter, and shines less.
    beard *= np.float32(0.6)
    part = cut(strands, bust)
    np.maximum(part, beard, out=part)
    cut(strands, window(size_px, *features.MOUTH))[:] *= 1 - lips
    return Portrait(canvas=canvas, skin=skin, strands=strands, clothes=worn, face=face, hair=locks)


def _shadow_of_hair(
    canvas: Floats, bust: Window, around: Window, front: Floats, head: Floats
) -> None:
    """What hangs over a face darkens it a little further down."""
    down = max(1, round(0.045 * canvas.shape[2] / 2))
    rows = bust.rows.start - around.rows.start
    columns = bust.columns.start - around.columns.start
    height, width = head.shape[1:]
    above = front[:, rows - down : rows - down + height, columns : columns + width]
    shade(canvas, bust, above * head, np.full(len(canvas), 0.12, np.float32))


def _background(people: People, whole: Window) -> Floats:
    """A colour that is lighter on the side of the light and darker below."""
    glow = 1 + np.float32(0.10) * (
        whole.x * wide(people.light) - whole.y - np.float32(0.4) * whole.x * whole.x
    )
    return people.background[:, :, None, None] * glow[:, None]


def _light(canvas: Floats, people: People, face: Face, place: Window, head: Floats) -> None:
    """The side away from the light is darker, and so is the rim; cheeks are a little red."""
    u = (place.x - wide(face.x)) * wide(1 / face.a)
    v = (place.y - wide(face.y)) * wide(1 / face.b)
    away = np.clip(-u * wide(people.light), -0.5, 1)
    aside = np.abs(u) - np.float32(0.52)
    rim = np.maximum(u * u + v * v - np.float32(0.45), 0)
    shade(
        canvas,
        place,
        head * (np.float32(0.20) * away + np.float32(0.16) * rim),
        np.ones_like(people.light),
    )
    down = v - np.float32(0.28)
    blush = np.maximum(1 - (aside * aside + down * down) * 9, 0) * head
    for channel in (1, 2):
        cut(canvas[:, channel], place)[:] *= 1 - blush * np.float32(0.10)
