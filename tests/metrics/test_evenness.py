from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.evenness import (
    divergence,
    effective_groups,
    entropy,
    normalised,
    normalised_entropy,
    rounding_range,
    total_variation,
)

SHARES = st.lists(st.floats(0.01, 1), min_size=2, max_size=6).map(normalised)


def test_known_answers() -> None:
    assert entropy([1, 1, 1, 1]) == pytest.approx(math.log(4))
    assert normalised_entropy([5, 5]) == pytest.approx(1)
    assert normalised_entropy([7]) == 1
    assert entropy([3, 0]) == 0
    assert effective_groups([1, 1, 1, 0]) == pytest.approx(3)
    assert divergence([1, 0]) == pytest.approx(math.log(2))
    assert divergence([0.5, 0.5], [1, 0]) == math.inf
    assert total_variation([1, 0]) == 0.5
    assert total_variation([0.2, 0.8], [0.2, 0.8]) == 0


@pytest.mark.parametrize("shares", [[0, 0], [-1, 2], [math.nan, 1]])
def test_what_are_no_shares(shares: list[float]) -> None:
    with pytest.raises(ValueError, match="should be 0 or more"):
        normalised(shares)


@given(SHARES)
def test_divergence_and_entropy_are_two_sides(shares: np.ndarray) -> None:
    assert divergence(shares) == pytest.approx(math.log(shares.size) - entropy(shares), abs=1e-9)
    # Pinsker's inequality.
    assert total_variation(shares) <= math.sqrt(divergence(shares) / 2) + 1e-9


@given(SHARES, st.booleans(), st.integers(0, 2**32))
def test_no_shares_that_round_alike_leave_the_range(
    shares: np.ndarray, sum_to_one: bool, seed: int
) -> None:
    printed = np.round(shares, 2)
    least, most = rounding_range(printed, sum_to_one=sum_to_one)
    assert least - 1e-9 <= normalised_entropy(shares) <= most + 1e-9
    if not sum_to_one:
        within = printed + np.random.default_rng(seed).uniform(-0.005, 0.005, printed.size)
        within = np.maximum(within, 0)
        assert least - 1e-9 <= normalised_entropy(within) <= most + 1e-9


def test_ranges_are_reached() -> None:
    """The ends of a small range, found by a fine grid over all that rounds alike."""
    printed = np.array([0.2, 0.3, 0.5])
    steps = np.linspace(-0.005, 0.005, 101)
    first, second = np.meshgrid(0.2 + steps, 0.3 + steps)
    third = 1 - first - second
    within = (third >= 0.495 - 1e-12) & (third <= 0.505 + 1e-12)
    grid = [
        normalised_entropy(one)
        for one in np.stack([first[within], second[within], third[within]], axis=-1)
    ]
    assert rounding_range(printed) == pytest.approx((min(grid), max(grid)), abs=1e-4)


def test_what_rounding_does_not_explain() -> None:
    with pytest.raises(ValueError, match=r"sum to 0\.90, which rounding alone does not explain"):
        rounding_range([0.4, 0.5])
    assert rounding_range([0.4, 0.5], sum_to_one=False)[1] < 1
    with pytest.raises(ValueError, match="should be 14 or less"):
        rounding_range(np.full(20, 0.05))
