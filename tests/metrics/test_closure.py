"""Gap closure on features whose gap is known."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.closure import gap_closure
from metrics.frechet import frechet_distance


def drawn(count: int, mean: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, (count, 4))


def test_of_sources_targets_and_half_way() -> None:
    sources, targets = drawn(200, 0), drawn(200, 3)
    assert gap_closure(sources, sources, targets) == 0
    assert gap_closure(sources, targets, targets) == pytest.approx(1, abs=1e-9)
    # Half of the way in each mean is a quarter of the squared distance.
    assert gap_closure(sources, sources + 1.5, targets) == pytest.approx(0.75, abs=1e-9)
    assert gap_closure(sources, sources - 3, targets) == pytest.approx(-3, abs=1e-9)


def test_where_there_is_no_gap_nothing_is_gained() -> None:
    targets = drawn(64, 0)
    sources = targets + 1e-6 * drawn(64, 0, seed=1)
    assert gap_closure(sources, sources, targets) == 0
    # All of a gap of nothing is still nothing, and noise is not minus a million.
    assert abs(gap_closure(sources, targets, targets)) < 1e-6
    noisy = targets + 1e-2 * drawn(64, 0, seed=2)
    assert abs(gap_closure(sources, noisy, targets)) < 1e-2
    assert gap_closure(targets, targets, targets) == 0
    assert gap_closure(targets[:2], targets[:2], targets[:2]) == 0
    assert gap_closure(np.zeros((8, 2)), np.zeros((8, 2)), np.zeros((8, 2))) == 0


def test_worse_than_the_sources_is_told_at_no_gap_too() -> None:
    targets = drawn(64, 0)
    floor = frechet_distance(targets[:32], targets[32:]) / 2
    worse = gap_closure(targets, targets + 5, targets)
    assert worse == pytest.approx(-4 * 25 / floor, rel=1e-6)
