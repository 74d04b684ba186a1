"""Single measures against their definitions, written out plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from metrics.frechet import frechet_distance, gaussian, gaussian_distance, too_few
from metrics.identity import identity_kept
from metrics.kernels import cmmd, kid, whole_kid
from metrics.neighbours import precision_recall
from metrics.psnr import psnr
from metrics.ssim import ssim


def drawn(num: int, width: int, seed: int, mean: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return mean + rng.normal(size=(num, width)) @ rng.normal(size=(width, width))


@pytest.mark.parametrize("shape", [((90, 80), 5), ((6, 70), 12), ((9, 7), 20), ((2, 2), 3)])
def test_frechet_is_its_definition(shape: tuple[tuple[int, int], int]) -> None:
    (num, other_num), width = shape
    one, other = drawn(num, width, 1), drawn(other_num, width, 2, 0.5)
    here, there = (np.cov(x, rowvar=False) for x in (one, other))
    # By scipy's root of the product where that is not singular, else of what is a little off it.
    little = 1e-12 * np.eye(width)
    root = np.trace(sqrtm((here + little) @ (there + little))).real
    wanted = np.square(one.mean(0) - other.mean(0)).sum() + np.trace(here + there) - 2 * root
    assert frechet_distance(one, other) == pytest.approx(wanted, rel=1e-4)
    assert frechet_distance(other, one) == pytest.approx(frechet_distance(one, other))
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-5)


def test_frechet_of_features_that_never_vary() -> None:
    one, other = drawn(40, 4, 1), drawn(40, 4, 2)
    flat = [np.column_stack([x, np.full(40, 3.0), x[:, 0]]) for x in (one, other)]
    # The last is the first again, so each feature of it counts; the constant one does not.
    assert frechet_distance(*flat) > frechet_distance(one, other)
    assert frechet_distance(flat[0][:, :5], flat[1][:, :5]) == pytest.approx(
        frechet_distance(one, other), rel=1e-6
    )


def test_frechet_by_other_eigenvalues() -> None:
    asked = []

    def counted(symmetric: np.ndarray) -> np.ndarray:
        asked.append(symmetric.shape)
        return np.linalg.eigvalsh(symmetric)

    one, other = gaussian(drawn(50, 6, 1)), gaussian(drawn(50, 6, 2))
    assert gaussian_distance(one, other, counted) == gaussian_distance(one, other)
    assert asked == [(6, 6)]


def test_frechet_refuses_and_warns() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 4\).*at least two rows"):
        frechet_distance(np.zeros((1, 4)), np.zeros((3, 4)))
    broken = drawn(20, 4, 1)
    broken[3, 2] = np.nan
    with pytest.raises(ValueError, match="no finite numbers"):
        frechet_distance(broken, drawn(20, 4, 1))
    assert too_few(2049, 2048) is None
    assert "2,048 pictures for 2,048 features" in (too_few(2048, 2048) or "")
    assert "take more than 2,048 pictures" in (too_few(100, 2048) or "")


def test_kid_is_its_definition_and_unbiased() -> None:
    one, other = drawn(30, 5, 1), drawn(40, 5, 2)

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 5 + 1) ** 3)

    within = [
        np.mean([kernel(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j])
        for s in (one, other)
    ]
    between = np.mean([kernel(x, y) for x in one for y in other])
    assert whole_kid(one, other) == pytest.approx(sum(within) - 2 * between)
    few = kid(one, other, subsets=400, subset_size=25, seed=3)
    assert few.value == pytest.approx(whole_kid(one, other), abs=4 * few.spread / 20)
    assert (few.subsets, few.subset_size) == (400, 25)
    rng = np.random.default_rng(0)
    same = [whole_kid(rng.normal(size=(20, 4)), rng.normal(size=(20, 4))) for _ in range(300)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(300)


def test_kid_goes_blockwise(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = drawn(30, 5, 1), drawn(40, 5, 2)
    whole = whole_kid(one, other), precision_recall(one, other)
    monkeypatch.setattr("metrics.kernels._BLOCK", 7)
    monkeypatch.setattr("metrics.neighbours._BLOCK", 7)
    assert whole_kid(one, other) == pytest.approx(whole[0])
    assert precision_recall(one, other) == whole[1]


def test_kid_refuses() -> None:
    with pytest.raises(ValueError, match=r"subset_size = 1,000: there are 30 pictures; take 2 to"):
        kid(drawn(30, 5, 1), drawn(40, 5, 2))
    with pytest.raises(ValueError, match=r"shapes \(30, 5\) and \(30, 4\)"):
        whole_kid(drawn(30, 5, 1), drawn(30, 4, 1))
    with pytest.raises(ValueError, match="1 pictures"):
        whole_kid(drawn(1, 5, 1), drawn(30, 5, 1))


def test_cmmd_is_its_definition() -> None:
    one, other = (
        x / np.linalg.norm(x, axis=1, keepdims=True) for x in (drawn(20, 6, 1), drawn(25, 6, 2))
    )

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.mean([[math.exp(-((x - y) @ (x - y)) / 200) for y in b] for x in a]))

    wanted = 1000 * (mean(one, one) + mean(other, other) - 2 * mean(one, other))
    assert cmmd(one, other) == pytest.approx(wanted, rel=1e-6)
    assert cmmd(one, one) == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="vectors of length 1"):
        cmmd(2 * one, other)


def test_precision_and_recall() -> None:
    wanted = np.random.default_rng(0).normal(size=(300, 3))
    narrow = 0.3 * np.random.default_rng(1).normal(size=(300, 3))
    found = precision_recall(narrow, wanted)
    # Of one kind only: all are among the references, few references are among them.
    assert found.precision > 0.98
    assert found.recall < 0.4
    other = precision_recall(wanted, narrow)
    assert (other.precision, other.recall) == (found.recall, found.precision)
    assert precision_recall(wanted, wanted).recall == 1
    away = precision_recall(wanted + 100, wanted)
    assert (away.precision, away.recall) == (0, 0)
    with pytest.raises(ValueError, match="neighbours = 3: of 3 pictures take 1 to 2"):
        precision_recall(wanted[:3], wanted)
    with pytest.raises(ValueError, match="shapes"):
        precision_recall(wanted, wanted[:, :2])


def picture(seed: int, height: int = 24, width: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(st.integers(1, 120))
def test_psnr_of_a_known_error(step: int) -> None:
    one = np.full((4, 5, 3), 100, np.uint8)
    assert psnr(one, one + np.uint8(step)) == pytest.approx(20 * math.log10(255 / step))


def test_psnr_and_ssim_at_their_ends() -> None:
    one = picture(1)
    assert psnr(one, one) == math.inf
    assert ssim(one, one) == pytest.approx(1)
    assert ssim(one, 255 - one) < 0
    assert abs(ssim(one, picture(2))) < 0.1
    with pytest.raises(ValueError, match="should be uint8 and alike"):
        psnr(one, one[1:])
    with pytest.raises(ValueError, match="should be uint8 and alike"):
        psnr(one, one / 255)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 11 px"):
        ssim(one[:10], one[:10])


def test_identity_counts_lost_faces() -> None:
    before = np.array([[2.0, 0], [0, 3], [1, 0], [np.nan] * 2, [np.nan] * 2, [1, 1]])
    after = np.array([[1.0, 0], [1, 0], [np.nan] * 2, [1, 0], [np.nan] * 2, [1, 1]])
    found = identity_kept(before, after)
    assert (found.num, found.compared, found.lost, found.found) == (6, 3, 1, 1)
    assert found.mean == pytest.approx(2 / 3)
    assert found.lowest_tenth == pytest.approx(0.2)
    none = identity_kept(before[3:5], after[3:5])
    assert (none.compared, none.mean, none.lowest_tenth) == (0, None, None)
    with pytest.raises(ValueError, match="should be alike"):
        identity_kept(before, after[1:])
