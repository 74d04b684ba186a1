from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.facescore.pixels import face_crop, shown
from schemas.audit import Box

PICTURE = np.arange(40 * 60 * 3, dtype=np.uint32).astype(np.uint8).reshape(40, 60, 3)


def test_a_face_has_a_pixel_of_margin() -> None:
    crop = face_crop(PICTURE, Box(x=10, y=5, width=20, height=12), 1)
    assert crop is not None
    np.testing.assert_array_equal(crop, PICTURE[4:18, 9:31])


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        (Box(x=0, y=0, width=8, height=8), slice(0, 9), slice(0, 9)),
        (Box(x=-5, y=-3, width=20, height=20), slice(0, 18), slice(0, 16)),
        (Box(x=50, y=30, width=50, height=50), slice(29, 40), slice(49, 60)),
        (Box(x=-9, y=-9, width=500, height=500), slice(0, 40), slice(0, 60)),
    ],
)
def test_what_lies_outside_is_left_off(box: Box, rows: slice, columns: slice) -> None:
    crop = face_crop(PICTURE, box, 1)
    assert crop is not None
    np.testing.assert_array_equal(crop, PICTURE[rows, columns])


@pytest.mark.parametrize(
    "box",
    [
        Box(x=10, y=10, width=0, height=9),
        Box(x=10, y=10, width=9, height=-4),
        Box(x=70, y=10, width=9, height=9),
        Box(x=-30, y=10, width=9, height=9),
        Box(x=59, y=39, width=0, height=0),
    ],
)
def test_boxes_without_a_face_are_none(box: Box) -> None:
    assert face_crop(PICTURE, box, 1) is None


@given(st.integers(-99, 99), st.integers(-99, 99), st.integers(-9, 99), st.integers(-9, 99))
def test_a_crop_is_never_empty(x: int, y: int, width: int, height: int) -> None:
    crop = face_crop(PICTURE, Box(x=x, y=y, width=width, height=height), 1)
    assert crop is None or min(crop.shape[:2]) >= 2


def test_pixels_have_the_mean_and_spread_of_clip() -> None:
    grey = np.full((32, 32, 3), 128, np.uint8)
    mean, spread = 0.48145466, 0.26862954
    made = shown(grey, 32)
    assert made.shape == (3, 32, 32)
    assert made[0].unique().item() == pytest.approx((128 / 255 - mean) / spread, abs=1e-6)


def test_the_middle_of_the_longer_side_is_seen() -> None:
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:64] = 255
    assert shown(wide, 32).min() > 1.9
    tall = np.ascontiguousarray(wide.transpose(1, 0, 2))
    torch.testing.assert_close(shown(tall, 32), shown(wide, 32).transpose(1, 2))


def test_other_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="a face is float64 of"):
        shown(np.zeros((4, 4, 3)), 32)  # type: ignore[arg-type]
