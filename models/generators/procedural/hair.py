"""Hair: its outline, the opening that the face looks out of, and the way its strands run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.generators.procedural.canvas import (
    edge,
    ellipse,
    paint,
    shade,
    wave,
    wide,
    window,
)
from models.generators.procedural.chance import Floats, lumps, windows_of
from models.generators.procedural.features import Face
from models.generators.procedural.people import People
from schemas.truth import HAIR_STYLES

_BALD, _SHORT, _CURLY, _BOB, _LONG, _TIED = range(len(HAIR_STYLES))
# By style: how much of the volume the sides have; where hair ends below the middle of the face, and
# how much further the longest does, in heads; how straight it falls; half the width of the face's
# opening, and how fast that widens downwards; how strongly it is painted, and how dark behind.
_STYLES = np.array(
    [
        (0.0, 0.30, 0.0, 0.0, 0.94, 1.6, 0.00, 0.0),
        (0.25, 0.18, 0.14, 0.0, 0.90, 0.55, 1.0, 0.0),
        (1.5, 0.35, 0.65, 0.1, 0.86, 0.10, 1.0, 0.74),
        (0.95, 0.75, 0.30, 0.9, 0.84, -0.02, 1.0, 0.66),
        (0.95, 1.25, 0.55, 1.0, 0.83, -0.04, 1.0, 0.66),
        (0.10, 0.15, 0.10, 0.0, 0.88, 0.60, 1.0, 0.0),
    ],
    np.float32,
)
# Strands run around the face, away from the crown, or along the edges of curls.
_FLOW = np.array(
    [(0.0, 1.0), (0.15, 0.85), (0.6, 0.4), (1.0, 0.0), (1.0, 0.0), (0.0, 1.0)], np.float32
)
_RAGGED = np.array([0.06, 0.05, 0.10, 0.01, 0.01, 0.02], np.float32)
_CURL_TURNS = 0.12
PLACE = (-0.8, 0.8, -1.0, 0.85)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hair:
    """Hair in its window: masks behind and in front of the head, and coordinates of its strands."""

    behind: Floats
    front: Floats
    across: Floats
    down: Floats
    curls: Floats


def hair_of(people: People, face: Face, size_px: int) -> Hair:
    """The hair of each person."""
    place = window(size_px, *PLACE)
    style = _STYLES[people.hair_style].T
    straight, strength, dark = style[3], style[6], style[7]
    curly = (people.hair_style == _CURLY).astype(np.float32)
    height, width = place.y.shape[1], place.x.shape[2]
    curls = windows_of(lumps(size_px), people.curl_down, people.curl_across, height, width)
    v = (place.y - wide(face.y)) * wide(1 / face.b)
    u = (place.x - wide(face.x)) * wide(1 / face.a)
    loose = people.hair_wave * (straight + curly * np.float32(0.5))
    u = u + wide(loose) * wave(v * np.float32(2.6) + wide(people.curl_down * 2))
    above, below = np.minimum(v, 0), np.maximum(v, 0)
    outline = _outline(people, face, u, above, below)
    tilted = u + wide(people.parting * np.float32(0.6)) * above
    opening = _opening(people, tilted, above, below)
    ragged = curls * wide(_RAGGED[people.hair_style])
    outline += ragged
    opening += ragged
    sharp = wide(face.a) * np.float32(0.5 / place.edge)
    whole = edge(outline * sharp)
    shaved = np.maximum(0, people.fringe) * np.float32(0.35)
    strength = np.where(people.hair_style == _BALD, shaved, strength)
    front = whole * edge(opening * -sharp) * wide(strength)
    behind = whole * wide((dark > 0).astype(np.float32))
    return Hair(behind=behind, front=front, across=tilted, down=v, curls=curls)


def _outline(people: People, face: Face, u: Floats, above: Floats, below: Floats) -> Floats:
    """Round over the crown; below it closes like an egg, or falls straight to an end."""
    side, low, longer, straight = _STYLES[people.hair_style].T[:4]
    curly = (people.hair_style == _CURLY).astype(np.float32)
    bald = people.hair_style == _BALD
    short = (people.hair_style == _SHORT).astype(np.float32)
    more = curly * people.hair_length + short * (np.float32(1.5) * people.hair_length - 0.75)
    volume = people.hair_volume * (1 + more)
    crown = face.b / (face.b + np.where(bald, np.float32(0), volume))
    wider = face.a / (face.a + volume * side)
    across = u * wide(wider)
    # A parting makes one side higher.
    lean = 1 - wide(people.parting * np.float32(0.16)) * across
    up = above * wide(crown) * lean
    fall = below * wide(1 / (low + longer * people.hair_length))
    fall *= fall
    # The fourth power makes long hair fall straight instead of closing like an egg.
    fall *= 1 + wide(straight) * (fall - 1)
    return 1 - across * across - up * up - fall


def _opening(people: People, tilted: Floats, above: Floats, below: Floats) -> Floats:
    """What the face looks out of: an arch up to the hairline, open downwards."""
    straight, half, flare = _STYLES[people.hair_style].T[3:6]
    top = above * wide(1 / people.hairline)
    top *= top
    fringe = np.clip(people.fringe, 0, 1) * (straight > 0)
    top *= 1 + wide(fringe) * (top - 1)
    aside = tilted / (wide(half) + wide(flare) * below)
    return 1 - aside * aside - top


def paint_behind(canvas: Floats, people: People, face: Face, hair: Hair, size_px: int) -> Floats:
    """Hair behind the head, with a bun or a tail where it is tied; returns its mask."""
    place = window(size_px, *PLACE)
    tied = people.hair_style == _TIED
    high = people.hair_length < 0.6
    side = np.where(people.parting < 0, np.float32(-1), np.float32(1))
    x = face.x + side * face.a * np.where(high, np.float32(0.12), np.float32(0.92))
    y = face.y + face.b * np.where(high, np.float32(-1.16), np.float32(0.85))
    radius = np.float32(0.085) + people.hair_volume * np.float32(0.5)
    bun = ellipse(place, x, y, radius, radius * np.where(high, np.float32(0.85), np.float32(2.6)))
    behind = np.maximum(hair.behind, bun * wide(tied.astype(np.float32)))
    dark = np.where(tied, np.float32(0.86), _STYLES[people.hair_style].T[7])
    paint(canvas, place, behind, people.hair * dark[:, None])
    return behind


def paint_front(canvas: Floats, people: People, hair: Hair, size_px: int) -> None:
    """Hair before the head, lighter where the lamp meets it and darker towards the ends."""
    place = window(size_px, *PLACE)
    paint(canvas, place, hair.front, people.hair)
    level = hair.down + np.float32(0.78) - np.float32(0.12) * hair.across * hair.across
    sheen = np.maximum(1 - level * level * 5, 0)
    # Squared, it begins softly.
    sheen *= sheen
    sheen *= wide(people.light * np.float32(0.18)) * hair.across + np.float32(0.16)
    sheen += hair.across * wide(people.light * np.float32(0.10))
    sheen -= np.clip(hair.down, -0.4, 1) * np.float32(0.10)
    shade(canvas, place, hair.front * sheen, np.full_like(people.light, -1))


def strands(people: People, face: Face, hair: Hair, size_px: int) -> Floats:
    """A number for each pixel that is level along a strand, in widths of a strand."""
    around, away = _FLOW[people.hair_style].T
    above = np.minimum(hair.down, 0)
    run: Floats = np.sqrt(hair.across * hair.across + above * above)
    run *= wide(around)
    run += wide(away) * hair.across / np.maximum(hair.down + np.float32(1.75), np.float32(0.4))
    run += wide((people.hair_style == _CURLY) * np.float32(_CURL_TURNS)) * hair.curls
    width_px = np.float32(1.25 + size_px / 400)
    run *= wide(face.a * (np.float32(size_px / 2) / width_px))
    return run
