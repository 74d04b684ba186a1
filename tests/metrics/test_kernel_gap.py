"""KID and CMMD over two halves of prompts: their values, and errors that are what they vary by."""

from __future__ import annotations

import numpy as np
import pytest

from metrics import kernels
from metrics.gap import Halves
from metrics.kernel_gap import cmmd_gap, kid_gap
from metrics.kernels import cmmd, whole_kid


def drawn(rng: np.random.Generator, num: int, shift: float = 0.0) -> np.ndarray:
    # Heavy tails: there a distance varies by more than its number of digits suggests.
    return rng.standard_t(6, size=(num, 4)) + shift


def world(seed: int, shift: float, num: int = 48) -> tuple[Halves, Halves]:
    rng = np.random.default_rng(seed)
    # A row shares its contents with the reference of the same prompts, never of the other half.
    contents = [drawn(rng, num), drawn(rng, num)]
    row = [one + drawn(rng, num, shift) / 2 for one in contents]
    reference = [one + drawn(rng, num) / 2 for one in contents]
    return Halves(*row), Halves(*reference)


def unit(halves: Halves) -> Halves:
    return Halves(*(one / np.linalg.norm(one, axis=1)[:, None] for one in (halves.a, halves.b)))


@pytest.mark.parametrize("block", [2048, 7])
def test_values_are_the_mean_of_both_ways(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    row, reference = world(3, 0.5)
    monkeypatch.setattr(kernels, "_BLOCK", block)
    ways = (row.a, reference.b), (row.b, reference.a)
    assert kid_gap(row, reference).value == pytest.approx(np.mean([whole_kid(*w) for w in ways]))
    row, reference = unit(row), unit(reference)
    ways = (row.a, reference.b), (row.b, reference.a)
    assert cmmd_gap(row, reference).value == pytest.approx(np.mean([cmmd(*w) for w in ways]))


@pytest.mark.parametrize(("shift", "most"), [(0.0, 1.6), (1.5, 1.25)])
def test_the_error_is_what_values_vary_by(shift: float, most: float) -> None:
    found = [kid_gap(*world(seed, shift), draws=40) for seed in range(200)]
    # Without a distance only the quadratic part is left, which is bounded from below.
    share = np.sqrt(np.mean([one.error**2 for one in found])) / np.std([one.value for one in found])
    assert 0.8 <= share <= most


def test_intervals_hold_no_distance_where_there_is_none() -> None:
    found = [kid_gap(*world(seed, 0.0), draws=40) for seed in range(200)]
    assert np.mean([one.low <= 0 <= one.high for one in found]) >= 0.9
    assert np.mean([one.value for one in found]) == pytest.approx(0, abs=0.3 * found[0].error)


def test_what_is_no_set_of_features_is_refused() -> None:
    row, reference = world(0, 0.0)
    with pytest.raises(ValueError, match="vectors of length 1"):
        cmmd_gap(row, reference)
    with pytest.raises(ValueError, match="should be \\(N, D\\)"):
        kid_gap(row, Halves(reference.a[:, :2], reference.b[:, :2]))
