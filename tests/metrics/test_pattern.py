"""Nets and fine detail on drawn portraits: what each measure sees, and what it does not."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from PIL import Image, ImageFilter

from metrics.pattern import net_pattern
from metrics.spectrum import WINDOW, detail, frequencies, power
from models.generators.procedural.painter import paint_pairs
from models.generators.procedural.people import draw_people

SIDE = 256


@lru_cache
def portraits() -> tuple[np.ndarray, np.ndarray]:
    people = draw_people([f"A portrait of Name Number{n}" for n in range(4)], range(4))
    return paint_pairs(people, range(4), SIDE)


def netted(picture: np.ndarray, strength: float, period: float, hair_only: bool = False):
    y, x = np.mgrid[:SIDE, :SIDE]
    net = strength * (np.cos(2 * np.pi * x / period) + np.cos(2 * np.pi * y / period))
    if hair_only:
        net *= (y < 0.3 * SIDE) & (abs(x - SIDE / 2) < 0.2 * SIDE)
    return np.clip(picture + net[..., None], 0, 255).round().astype(np.uint8)


def filtered(picture: np.ndarray, what: ImageFilter.Filter) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).filter(what))


@pytest.mark.parametrize("with_source", [True, False])
def test_only_nets_are_nets(with_source: bool) -> None:
    rng = np.random.default_rng(0)
    for source, target in zip(*portraits(), strict=True):
        beside = source if with_source else None
        harmless = [
            source,
            target,
            filtered(source, ImageFilter.GaussianBlur(1)),
            filtered(source, ImageFilter.UnsharpMask(2, 150, 0)),
            np.clip(source + rng.normal(0, 6, source.shape), 0, 255).astype(np.uint8),
        ]
        assert max(net_pattern(one, beside).share for one in harmless) < 1e-3
        for period in (2, 4):
            found = net_pattern(netted(source, 3, period), beside)
            assert found.share > 0.02
            assert found.period_px == pytest.approx(period)
        hair = net_pattern(netted(source, 8, 4, hair_only=True), beside)
        assert hair.share > 0.02
        assert hair.period_px == pytest.approx(4)


def test_a_stronger_net_is_more() -> None:
    source = portraits()[0][0]
    shares = [net_pattern(netted(source, strength, 4), source).share for strength in (0, 1, 3, 9)]
    assert shares == sorted(set(shares))
    assert shares[0] == 0


def test_the_sources_own_stripes_are_no_net() -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    shirt = np.broadcast_to((128 + 60 * np.cos(np.pi * x / 2))[..., None], (SIDE, SIDE, 3))
    striped = np.where(y[..., None] > 180, shirt, portraits()[0][0]).astype(np.uint8)
    assert net_pattern(striped).share > 0.1
    sharper = filtered(striped, ImageFilter.UnsharpMask(2, 60, 0))
    assert net_pattern(sharper, striped).share < 1e-3


def test_flat_pictures_have_none_and_sizes_are_checked() -> None:
    flat = np.full((64, 64, 3), 90, np.uint8)
    assert net_pattern(flat).share == 0
    assert net_pattern(flat, flat).period_px is None
    with pytest.raises(ValueError, match="of one size"):
        net_pattern(flat, flat[:40])
    with pytest.raises(ValueError, match=f"64 x 31 px: .* at least {WINDOW} px"):
        net_pattern(flat[:31])
    with pytest.raises(ValueError, match="should be uint8"):
        detail(flat.astype(np.float64))


def test_power_adds_up_to_the_mean_square() -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (512, 512), dtype=np.uint8)
    found, windows = power(np.repeat(noise[..., None], 3, axis=2))
    assert windows == 31**2
    assert found.sum() == pytest.approx(noise.astype(np.float64).var(), rel=0.02)
    # Of white noise each place has the same, but what the window's mean took.
    assert found[frequencies() > 0.2].std() < 0.1 * found[frequencies() > 0.2].mean()


@pytest.mark.parametrize(("period", "octave"), [(3, "finest"), (6, "fine"), (12, "middle")])
def test_detail_is_told_in_levels_by_octave(period: float, octave: str) -> None:
    waves = 128 + 40 * np.cos(2 * np.pi * np.arange(240) / period)
    found = detail(np.broadcast_to(waves[None, :, None], (240, 240, 3)).round().astype(np.uint8))
    told = {name: getattr(found, name) for name in ("finest", "fine", "middle")}
    assert told.pop(octave) == pytest.approx(40 / np.sqrt(2), rel=0.05)
    assert max(told.values()) < 8
    assert found.high == pytest.approx(np.hypot(found.finest, found.fine))


def test_targets_have_more_of_it_and_blur_has_less() -> None:
    for source, target in zip(*portraits(), strict=True):
        blurred = filtered(source, ImageFilter.GaussianBlur(1))
        assert detail(target).high > 1.2 * detail(source).high
        assert detail(blurred).high < 0.8 * detail(source).high
