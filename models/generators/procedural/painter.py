"""The painter's entry points: people out of prompts and seeds, pictures out of people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.generators.procedural.chance import Floats, seed_array
from models.generators.procedural.detail import finish, gap_of_each
from models.generators.procedural.people import People, draw_people
from models.generators.procedural.portrait import paint_portrait

# To be raised whenever a picture changes: a dataset begun with one revision refuses another.
PAINTER_REVISION = "2"
# Float bytes of a canvas that is worked on at once: what stays in a core's own cache is faster.
CHUNK_BYTES = 1 << 20

GapKind = Literal["constant", "shuffled"]
Levels = npt.NDArray[np.uint8]


def paint_source(people: People, size_px: int) -> Levels:
    """The flat, soft pictures of these people: (batch, size, size, 3)."""
    _check_size(size_px)
    parts = [
        to_levels(paint_portrait(part, size_px).canvas) for _, part in _chunks(people, size_px)
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
        portrait = paint_portrait(part, size_px)
        sources.append(to_levels(portrait.canvas))
        finished = finish(portrait, part, numbers[where], strengths[where], size_px)
        targets.append(to_levels(finished))
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


def _chunks(people: People, size_px: int) -> Iterator[tuple[slice, People]]:
    each = max(1, CHUNK_BYTES // (size_px * size_px * 3 * 4))
    for start in range(0, len(people.age), each):
        where = slice(start, start + each)
        yield where, People(**{f.name: getattr(people, f.name)[where] for f in fields(people)})


def _check_size(size_px: int) -> None:
    if size_px % 16 or not 64 <= size_px <= 2048:
        raise ValueError(f"size_px = {size_px}: should be a multiple of 16 from 64 to 2048")
