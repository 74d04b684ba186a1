"""Which faces of a picture become pairs, and why others do not; where their masks are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.faces.detection import Bgr, SeenFace, clearness
from schemas.audit import Box
from schemas.facepairs import FacePairSettings, NoiseStep, PairFace

NO_FACE = "no face"
OUTSIDE = "box outside the picture"
BORDER = "at the border"
SMALL = "face too small"
BLURRED = "blurred"
# Findings about a picture; everything else that a row fails with is a fault.
FINDINGS = frozenset({NO_FACE, OUTSIDE, BORDER, SMALL, BLURRED})
_ORDINALS = {1: "1st", 2: "2nd", 3: "3rd"}


def is_finding(reason: str) -> bool:
    """Whether this is about the picture's faces, and no fault of anything."""
    return reason in FINDINGS or (reason.startswith("no ") and reason.endswith(" face"))


def faces_of_use(
    bgr: Bgr, seen: Sequence[SeenFace], settings: FacePairSettings
) -> list[PairFace | str]:
    """For each planned row of a picture its face, or why there is none of use; largest first."""
    sure = [face for face in seen if face.confidence >= settings.rules.min_confidence]
    found: list[PairFace | str] = []
    for number in range(1, settings.faces + 1):
        if number > len(sure):
            found.append(NO_FACE if not sure else f"no {_ORDINALS.get(number, f'{number}th')} face")
        else:
            found.append(judged(bgr, sure[number - 1].box, settings, clearness))
    return found


def judged(
    bgr: Bgr, box: Box, settings: FacePairSettings, clear: Callable[[Bgr], float]
) -> PairFace | str:
    """A box as a face of use, or why it is none."""
    rules = settings.rules
    height, width = bgr.shape[:2]
    left, top = max(0, box.x), max(0, box.y)
    right, bottom = min(width, box.x + box.width), min(height, box.y + box.height)
    whole = box.width * box.height
    inside = max(0, right - left) * max(0, bottom - top)
    if whole <= 0 or whole - inside > rules.max_outside * whole:
        return OUTSIDE
    share = inside / (width * height)
    if min(right - left, bottom - top) < rules.min_side_px or share < rules.min_share:
        return SMALL
    if min(box.x, box.y, width - box.x - box.width, height - box.y - box.height) < rules.border_px:
        return BORDER
    if clear(np.ascontiguousarray(bgr[top:bottom, left:right])) < rules.min_clearness:
        return BLURRED
    factor = noise_factor(share, settings.noise)
    return PairFace(left, top, right - left, bottom - top, share, factor)


def noise_factor(share: float, noise: Sequence[NoiseStep]) -> float:
    """The noise factor of a face that takes this share of its picture (Table 8)."""
    return next(step.factor for step in noise if share <= step.up_to)


def mask_of(face: PairFace, size_px: int, margin: float) -> NDArray[np.bool_]:
    """Where a face is painted anew: its box and the margin around it, within the picture."""
    across, down = round(margin * face.width), round(margin * face.height)
    mask = np.zeros((size_px, size_px), bool)
    top, left = max(0, face.y - down), max(0, face.x - across)
    mask[top : face.y + face.height + down, left : face.x + face.width + across] = True
    return mask
