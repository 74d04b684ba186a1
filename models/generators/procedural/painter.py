"""The painter's entry points: people out of prompts and seeds, pictures out of people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.generators.procedural.chance import Floats, seed_array, white, windows_of
from models.generators.procedural.detail import finish, gap_of_each
from models.generators.procedural.people import People, draw_people
from models.generators.procedural.portrait import paint_portrait

# To be raised whenever a picture changes: a dataset begun with one revision refuses another.
PAINTER_REVISION = "3"
# Spread of a source's grain in shares of brightness: a level or so. A head is a function of its
# source, so without any grain it would have nothing to make pores and strands of.
GRAIN = 0.006
# Float bytes of a canvas that is worked on at once: what stays in a core's own cache is faster.
CHUNK_BYTES = 1 << 20

GapKind = Literal["constant", "shuffled"]
Levels = npt.NDArray[np.uint8]


def paint_source(people: People, size_px: int) -> Levels:
    """The flat, soft pictures of these people: (batch, size, size, 3)."""
    _check_size(size_px)
    parts = [
        to_levels(_grained(paint_portrait(part, size_px).canvas, part))
        for _, part in _chunks(people, size_px)
    ]
    return np.concatenate(parts)


def paint_pairs(
    people: People, seeds: Sequence[int], size_px: int, gap: float = 1, kind: GapKind = "constant"
) -> tuple[Levels, Levels]:
    """Sources, and for each its target: the same person with detail, slightly moved."""
    _check_size(size_px)
    strengths = gap_strengths(seeds, gap, kind)
    numbers = seed_array(seeds)
    sources, targets = [], []
    for where, part in _chunks(people, size_px):
        portrait, gaps = paint_portrait(part, size_px), strengths[where]
        sources.append(to_levels(_grained(portrait.canvas, part)))
        finished = finish(portrait, part, numbers[where], gaps, size_px)
        # Detail comes in the place of the grain; without a gap the source is left as it is.
        targets.append(to_levels(_grained(finished, part, np.maximum(1 - gaps, 0))))
    return np.concatenate(sources), np.concatenate(targets)


def paint_target(
    people: People, seeds: Sequence[int], size_px: int, gap: float = 1, kind: GapKind = "constant"
) -> Levels:
    """The targets alone."""
    return paint_pairs(people, seeds, size_px, gap, kind)[1]


def paint_teacher(
    prompts: Sequence[str], seeds: Sequence[int], size_px: int, gap: float = 1
) -> Levels:
    """The slow model's own pictures: other renditions of the prompts, as finished as targets."""
    return paint_target(draw_people(prompts, seeds), seeds, size_px, gap)


def gap_strengths(seeds: Sequence[int], gap: float, kind: GapKind) -> Floats:
    """How strong the gap of each target is."""
    return gap_of_each(seed_array(seeds), gap, kind == "shuffled")


def to_levels(canvas: Floats) -> Levels:
    """A canvas (batch, 3, height, width) in 0..1 as pixels (batch, height, width, 3)."""
    levels = canvas * np.float32(255)
    levels += np.float32(0.5)
    np.clip(levels, 0, 255, out=levels)
    pixels = np.empty((len(canvas), *canvas.shape[2:], 3), np.uint8)
    np.copyto(pixels.transpose(0, 3, 1, 2), levels, casting="unsafe")
    return pixels


def _grained(canvas: Floats, people: People, share: Floats | float = 1.0) -> Floats:
    """The canvas with faint noise, alike in all three channels; a share of it for each picture."""
    size_px = canvas.shape[2]
    light = windows_of(white(size_px), people.grain_down, people.grain_across, size_px, size_px)
    light *= (np.float32(GRAIN) * np.ones_like(people.width) * share)[:, None, None]
    light += 1
    return canvas * light[:, None]


def _chunks(people: People, size_px: int) -> Iterator[tuple[slice, People]]:
    each = max(1, CHUNK_BYTES // (size_px * size_px * 3 * 4))
    for start in range(0, len(people.age), each):
        where = slice(start, start + each)
        yield where, People(**{f.name: getattr(people, f.name)[where] for f in fields(people)})


def _check_size(size_px: int) -> None:
    if size_px % 16 or not 64 <= size_px <= 2048:
        raise ValueError(f"size_px = {size_px}: should be a multiple of 16 from 64 to 2048")
