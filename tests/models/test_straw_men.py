"""What an editor's filters do to pictures."""

from __future__ import annotations

import numpy as np
import pytest

from models.straw_men import GRAINS, UNSHARP_MASKS, filtered, grained, sharpened
from schemas.measure import ByGrain, BySharpening


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 190, (48, 40, 3), dtype=np.uint8)


def test_an_unsharp_mask_makes_differences_larger_and_leaves_flat_places_alone() -> None:
    flat = np.full((20, 20, 3), 77, np.uint8)
    assert (sharpened(flat, 2.0, 1.0) == flat).all()
    before = picture()
    after = sharpened(before, 0.5, 1.0)
    assert after.std() > 1.2 * before.std()
    assert after.mean() == pytest.approx(before.mean(), abs=1)


def test_grain_is_grey_of_the_asked_strength_and_always_the_same() -> None:
    flat = np.full((64, 64, 3), 128, np.uint8)
    once = grained(flat, 4.0, "a")
    assert (once[..., 0] == once[..., 1]).all()
    assert once[..., 0].astype(float).std() == pytest.approx(4.0, rel=0.05)
    assert (grained(flat, 4.0, "a") == once).all()
    assert (grained(flat, 4.0, "b") != once).any()


def test_a_filter_is_its_settings() -> None:
    before = picture()
    mask, grain = BySharpening(amount=1.0, radius_px=2.0), ByGrain(levels=1.0)
    assert (filtered(mask, before, "a") == sharpened(before, 1.0, 2.0)).all()
    assert (filtered(grain, before, "a") == grained(before, 1.0, "a")).all()
    assert len(set(UNSHARP_MASKS)) == 12
    assert len(set(GRAINS)) == 4
