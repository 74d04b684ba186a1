"""Which faces become pairs: Table 8's edges, every reason, and where masks lie."""

from __future__ import annotations

import numpy as np
import pytest

from models.faces.detection import SeenFace, clearness
from schemas.audit import Box
from schemas.facepairs import TABLE_8, FacePairSettings, FaceRules, InpaintSettings, PairFace
from tasks.facepairs.faces import faces_of_use, is_finding, judged, mask_of, noise_factor

SETTINGS = FacePairSettings(inpaint=InpaintSettings(model="m"), faces=3)
GREY = np.full((200, 200, 3), 128, np.uint8)


def box(x: int, y: int, width: int, height: int) -> Box:
    return Box(x=x, y=y, width=width, height=height)


@pytest.mark.parametrize(
    ("share", "factor"),
    [(1e-6, 0.06), (0.005, 0.06), (0.0051, 0.1), (0.01, 0.1), (0.02, 0.2), (0.1, 0.2), (0.11, 0.4)],
)
def test_table_8(share: float, factor: float) -> None:
    assert noise_factor(share, TABLE_8) == factor
    assert noise_factor(1.0, TABLE_8) == 0.4


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (box(300, 300, 40, 40), "box outside the picture"),
        (box(-20, 50, 40, 40), "box outside the picture"),
        (box(20, 20, 0, 40), "box outside the picture"),
        (box(-9, 50, 40, 40), "at the border"),
        (box(0, 50, 40, 40), "at the border"),
        (box(160, 50, 40, 40), "at the border"),
        (box(50, 160, 40, 40), "at the border"),
        (box(50, 50, 19, 60), "face too small"),
        (box(50, 50, 60, 19), "face too small"),
        (box(195, 50, 19, 19), "box outside the picture"),
        (box(50, 50, 60, 60), "blurred"),
    ],
)
def test_why_a_face_is_of_no_use(given: Box, told: str) -> None:
    assert judged(GREY, given, SETTINGS, clearness) == told
    assert is_finding(told)


def test_a_face_of_use_has_its_share_and_noise() -> None:
    assert judged(GREY, box(50, 60, 20, 40), SETTINGS, lambda _: 31.0) == PairFace(
        50, 60, 20, 40, share=0.02, factor=0.2
    )
    # One pixel within the border is enough; a box that sticks out a little is none.
    assert isinstance(judged(GREY, box(1, 1, 40, 40), SETTINGS, lambda _: 30.0), PairFace)
    rules = FaceRules(border_px=0)
    wide = FacePairSettings(inpaint=SETTINGS.inpaint, rules=rules)
    assert isinstance(judged(GREY, box(0, 160, 40, 40), wide, lambda _: 30.0), PairFace)
    shares = FacePairSettings(inpaint=SETTINGS.inpaint, rules=FaceRules(min_share=0.03))
    assert judged(GREY, box(50, 60, 20, 40), shares, lambda _: 31.0) == "face too small"


def test_every_planned_face_has_an_outcome() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    seen = [SeenFace(box(20, 20, 60, 60), 0.99), SeenFace(box(120, 120, 50, 50), 0.95)]
    first, second, third = faces_of_use(noise, seen, SETTINGS)
    assert isinstance(first, PairFace)
    assert isinstance(second, PairFace)
    assert (first.width, second.width, third) == (60, 50, "no 3rd face")
    unsure = [SeenFace(one.box, 0.5) for one in seen]
    assert faces_of_use(noise, unsure, SETTINGS) == ["no face"] * 3
    assert faces_of_use(noise, [seen[0], unsure[1]], SETTINGS)[1:] == ["no 2nd face", "no 3rd face"]
    assert is_finding("no 2nd face")
    assert not is_finding("no source: source is black")
    assert not is_finding("bad is black")


def test_a_mask_is_the_box_and_its_margin() -> None:
    face = PairFace(8, 40, 20, 30, share=0.1, factor=0.2)
    plain = mask_of(face, 64, 0.0)
    assert plain.sum() == 20 * 24
    assert plain[40:64, 8:28].all()
    wider = mask_of(face, 64, 0.5)
    assert wider[25:64, 0:38].all()
    assert wider.sum() == 39 * 38


def test_clearness_is_of_the_face_not_of_its_size() -> None:
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)
    large = np.kron(small[:28, :28], np.ones((8, 8, 1), np.uint8))
    assert clearness(GREY) == 0
    assert clearness(small) > 1000
    # Of 224 px, shrunk to 112, each of its squares is four pixels.
    assert 100 < clearness(large) < clearness(small)
