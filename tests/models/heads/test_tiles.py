"""Pictures of any size: in tiles what they are in one piece, as far as the head lets them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.heads.build import build_network
from models.heads.enhancer import Enhancer
from models.heads.tiles import TiledEnhancer, blended, places
from schemas.head import NetworkSettings, ResnetSettings, UnetSettings

TILE, OVERLAP = 128, 48


def enhancer(kind: NetworkSettings, spread: float = 0.05) -> Enhancer:
    network = build_network(kind, seed=0)
    chance = torch.Generator().manual_seed(1)
    torch.nn.init.normal_(network.last.weight, std=spread, generator=chance)
    return Enhancer(network)


def drawn(height: int, width: int) -> np.ndarray:
    """Slopes with grain: what a head of norms sees differs from tile to tile."""
    chance = np.random.default_rng(0)
    rows, columns = np.mgrid[0:height, 0:width]
    slopes = np.stack([rows * 200 / height, columns * 200 / width, 100 + 0 * rows], 2)
    return np.clip(slopes + chance.normal(20, 12, slopes.shape), 0, 255).astype(np.uint8)


def apart(kind: NetworkSettings, height: int, width: int) -> np.ndarray:
    """Levels between one piece and tiles."""
    enhance, picture = enhancer(kind), drawn(height, width)
    (whole,) = TiledEnhancer(enhance, 1024, OVERLAP)([picture])
    (tiled,) = TiledEnhancer(enhance, TILE, OVERLAP)([picture])
    assert tiled.shape == whole.shape == picture.shape
    assert np.abs(whole.astype(int) - picture).max() > 10
    return np.abs(whole.astype(int) - tiled)


# They see 13, 15 and 10 pixels far: less than the third of an overlap that is thrown away.
NEAR = {
    "resnet": ResnetSettings(width=8, num_blocks=2, norm="none", halvings=1, residual_output=True),
    "without halvings": ResnetSettings(
        width=8, num_blocks=4, norm="none", halvings=0, detail_gain=2.0, residual_output=True
    ),
    "unet": UnetSettings(width=8, levels=2, norm="none", attention="none", residual_output=True),
}


@pytest.mark.parametrize("kind", NEAR.values(), ids=NEAR)
@pytest.mark.parametrize(("height", "width"), [(300, 131), (129, 413), (64, 257)])
def test_a_head_that_sees_near_makes_the_same_picture(
    kind: NetworkSettings, height: int, width: int
) -> None:
    # One level where a sum in another order is rounded the other way.
    assert apart(kind, height, width).max() <= 1


FAR = {
    "instance norm": ResnetSettings(width=8, num_blocks=1, residual_output=True),
    "esa": ResnetSettings(width=8, num_blocks=1, attention="esa", residual_output=True),
    "unet": UnetSettings(width=8, levels=3, residual_output=True),
}


@pytest.mark.parametrize("kind", FAR.values(), ids=FAR)
def test_a_head_that_sees_everything_passes_over_without_a_seam(kind: NetworkSettings) -> None:
    """Tiles differ from the whole; at no seam is a step larger than inside of tiles."""
    enhance, picture = enhancer(kind, 0.02), drawn(128, 416)
    (tiled,) = TiledEnhancer(enhance, TILE, OVERLAP)([picture])
    (whole,) = TiledEnhancer(enhance, 1024, OVERLAP)([picture])
    change = tiled.astype(float) - whole
    assert np.abs(change).max() > 1
    # Means over columns and channels, so that grain does not hide a seam.
    steps = np.abs(np.diff(change.mean((0, 2))))
    starts = [place.start for place in places(416, TILE, OVERLAP, enhance.divisor)][1:]
    ends = [place.stop for place in places(416, TILE, OVERLAP, enhance.divisor)][:-1]
    at_seams = [steps[edge - 1] for edge in (*starts, *ends)]
    assert max(at_seams) <= np.quantile(steps, 0.95) + 0.05


def test_a_seam_would_be_seen() -> None:
    """The test above can fail: tiles side by side, without a blend, do show."""
    kind = FAR["instance norm"]
    enhance, picture = enhancer(kind, 0.02), drawn(128, 384)
    (whole,) = TiledEnhancer(enhance, 1024, OVERLAP)([picture])
    bare = np.concatenate([enhance([picture[:, x : x + TILE]])[0] for x in (0, 128, 256)], 1)
    steps = np.abs(np.diff((bare.astype(float) - whole).mean((0, 2))))
    assert max(steps[127], steps[255]) > np.quantile(steps, 0.95) + 0.05


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2, 3), (59, 60)])
def test_pictures_too_small_for_the_head_are_mirrored(size: tuple[int, int]) -> None:
    enhance = TiledEnhancer(enhancer(FAR["esa"]), TILE, OVERLAP)
    (made,) = enhance([drawn(*size)])
    assert made.shape == (*size, 3)


def test_company_changes_nothing_but_the_last_digit() -> None:
    enhance = TiledEnhancer(enhancer(NEAR["resnet"]), TILE, OVERLAP)
    pictures = [drawn(40, 40), drawn(200, 140), drawn(40, 40), drawn(33, 33)]
    together = enhance(pictures, batch_size=3)
    for picture, made in zip(pictures, together, strict=True):
        assert np.abs(enhance([picture])[0].astype(int) - made).max() <= 1


@settings(max_examples=300)
@given(st.data())
def test_tiles_cover_everything_and_share_the_overlap(data: st.DataObject) -> None:
    step = data.draw(st.sampled_from([1, 2, 4, 32]))
    tile = step * data.draw(st.integers(2, 16))
    overlap = data.draw(st.integers(1, tile // 2))
    length = step * data.draw(st.integers(1, 60))
    found = places(length, tile, overlap, step)
    assert (found[0].start, found[-1].stop) == (0, length)
    assert all(place.start % step == 0 for place in found)
    for one, other in pairwise(found):
        assert one.start < other.start
        assert one.stop - other.start >= overlap
        assert other.stop - other.start == tile


def test_a_blend_begins_with_one_and_ends_with_the_other() -> None:
    one, other = np.zeros((2, 9, 3), np.float32), np.full((2, 9, 3), 90, np.float32)
    along = blended(one, other, axis=1)[0, :, 0]
    assert along.tolist() == pytest.approx([0, 0, 0, 15, 45, 75, 90, 90, 90])


def test_wrong_sizes_of_tiles_are_named() -> None:
    enhance = enhancer(NEAR["resnet"])
    with pytest.raises(ValueError, match="tile_px = 129: should be a multiple of 2"):
        TiledEnhancer(enhance, 129, OVERLAP)
    for overlap in (0, 65):
        with pytest.raises(ValueError, match=f"overlap_px = {overlap}: should be at least 1"):
            TiledEnhancer(enhance, 128, overlap)
