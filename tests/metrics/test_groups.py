from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.groups import (
    AGE_BINS,
    age_bin_probabilities,
    age_codes,
    confusion_counts,
    hard_counts,
    joint_codes,
    likeliest,
    soft_shares,
)
from metrics.intervals import simultaneous, wilson, worst_case


def test_ages_fall_where_the_edges_say() -> None:
    ages = np.array([0, 17.99, 18, 30.99, 31, 50.99, 51, 100, np.nan])
    named = [AGE_BINS[code] if code >= 0 else None for code in age_codes(ages)]
    assert named == [
        *("under 18", "under 18", "18-30", "18-30", "31-50", "31-50", "51+", "51+"),
        None,
    ]


def test_bin_probabilities_are_sums_of_years() -> None:
    years = np.arange(101.0)[None]
    found = age_bin_probabilities(years)[0]
    wanted = [sum(range(18)), sum(range(18, 31)), sum(range(31, 51)), sum(range(51, 101))]
    assert found.tolist() == wanted


def test_counting() -> None:
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [np.nan, np.nan]])
    codes = likeliest(probabilities)
    assert codes.tolist() == [0, 0, 1, -1]
    assert hard_counts(codes, 2).tolist() == [2, 1]
    assert soft_shares(probabilities) == pytest.approx([1.6 / 3, 1.4 / 3])
    assert np.isnan(soft_shares(probabilities[3:])).all()
    assert joint_codes([(codes, 2), (np.array([2, 0, -1, 1]), 3)]).tolist() == [2, 0, -1, -1]
    truth = np.array([0, 1, 1, 0])
    assert confusion_counts(truth, codes, 2).tolist() == [[1, 0], [1, 1]]


def test_wilson_known_answers() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for count, total, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(count, total) == pytest.approx([low, high], abs=5e-5)
    assert wilson([0, 0], 0).tolist() == [[0, 1], [0, 1]]


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=8), st.integers(0, 500))
def test_intervals_hold_their_share(counts: list[int], uncounted: int) -> None:
    seen = np.array(counts)
    total = max(1, seen.sum())
    single, together = wilson(seen, float(seen.sum())), simultaneous(seen)
    bounds = worst_case(seen, uncounted)
    if seen.sum():
        assert (single[:, 0] <= seen / total + 1e-12).all()
        assert (single[:, 1] >= seen / total - 1e-12).all()
        assert (bounds[:, 0] <= seen / total + 1e-12).all()
        assert (bounds[:, 1] >= seen / total - 1e-12).all()
    assert (together[:, 0] <= single[:, 0] + 1e-12).all()
    assert (together[:, 1] >= single[:, 1] - 1e-12).all()


def test_simultaneous_covers_all_cells_at_once() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(48, 0.3))
    held = 0
    for _ in range(400):
        found = simultaneous(rng.multinomial(5000, shares))
        held += bool(((found[:, 0] <= shares) & (shares <= found[:, 1])).all())
    assert held / 400 >= 0.95
