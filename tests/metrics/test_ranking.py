from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr  # type: ignore[import-untyped]

from metrics.ranking import (
    agreeing_by_chance,
    agreeing_share,
    majority_of_labels,
    majority_of_pairs,
    medians_and_stds,
    normalised,
    pair_accuracy,
    pearson,
    score_shares,
    whole_rankings,
)

# Table 1 of the paper: shares of the scores 1, 2 and 3 in per cent, and the average.
TABLE_1 = {
    "SD1.5": ((76.20, 18.65, 5.15), 1.2895),
    "RV5.1": ((12.22, 37.20, 50.58), 2.3836),
    "SDXL": ((11.58, 44.16, 44.26), 2.3268),
}


def votes(*raters: str) -> np.ndarray:
    """Rankings of one triplet, each as three labels: "312", and "000" where there is none."""
    return np.array([[[int(one) for one in rater] for rater in raters]])


@pytest.mark.parametrize(
    ("raters", "labels", "pairs"),
    [
        (("321",) * 5, "321", "321"),
        (("321", "321", "321", "123", "123"), "321", "321"),
        # Two, two and one: no label has a majority, but every pair has one.
        (("321", "321", "312", "231", "132"), "000", "321"),
        # Condorcet's circle.
        (("321", "132", "213"), "000", "000"),
        # Two against two.
        (("321", "321", "123", "123"), "000", "000"),
        # Who did not rank is no voter.
        (("321", "321", "123", "000", "000"), "321", "321"),
    ],
)
def test_majorities_are_told_or_undecided(raters: tuple[str, ...], labels: str, pairs: str) -> None:
    assert "".join(map(str, majority_of_labels(votes(*raters))[0])) == labels
    assert "".join(map(str, majority_of_pairs(votes(*raters))[0])) == pairs


@given(st.lists(st.permutations([1, 2, 3]), min_size=1, max_size=7))
def test_a_majority_of_labels_is_one_of_pairs(raters: list[list[int]]) -> None:
    labels = np.array([raters])
    scores = majority_of_labels(labels)
    for one in (scores, majority_of_pairs(labels)):
        assert whole_rankings(one)[0] or not one.any()
    if scores.any():
        for picture, score in enumerate(scores[0]):
            assert sum(rater[picture] == score for rater in raters) * 2 > len(raters)


def test_agreement_is_counted_per_picture() -> None:
    labels = np.concatenate([votes(*["321"] * 5), votes("321", "321", "312", "231", "132")])
    # The second triplet: 3 3 3 2 1, 2 2 1 3 3, 1 1 2 1 2.
    assert agreeing_share(labels, 3) == 5 / 6
    assert agreeing_share(labels, 4) == 3 / 6
    assert agreeing_share(labels, 5) == 3 / 6


def test_agreement_by_chance_is_that_of_all_votes() -> None:
    every = list(itertools.product([1, 2, 3], repeat=5))
    for least in (3, 4, 5):
        found = np.mean([max(map(one.count, [1, 2, 3])) >= least for one in every])
        assert agreeing_by_chance(5, 3, least) == pytest.approx(found)
    # At least three of five agree on 63 % of pictures by chance alone, more than three on 13.6 %.
    assert agreeing_by_chance(5, 3, 3) == pytest.approx(153 / 243)
    assert agreeing_by_chance(5, 3, 4) == pytest.approx(33 / 243)


def test_table_1_of_the_paper_adds_up() -> None:
    for shares, mean in TABLE_1.values():
        assert sum(shares) == pytest.approx(100, abs=1e-9)
        assert np.dot(shares, [1, 2, 3]) / 100 == pytest.approx(mean, abs=1e-9)
    columns = np.sum([shares for shares, _ in TABLE_1.values()], axis=0)
    # Each score is given once in each triplet, but for the rounding of two columns.
    np.testing.assert_allclose(columns, [100.00, 100.01, 99.99], atol=1e-9)
    assert sum(mean for _, mean in TABLE_1.values()) == pytest.approx(5.9999, abs=1e-9)


def test_no_number_of_triplets_gives_table_1() -> None:
    """Nine shares of one number of triplets, rounded to two decimals: the fewest are 5,441."""
    shares = np.array([shares for shares, _ in TABLE_1.values()]).ravel()
    numbers = np.arange(50, 6000)[:, None]
    nearest = np.rint(shares / 100 * numbers) / numbers * 100
    possible = (np.abs(nearest - shares) <= 0.00501).all(axis=1)
    assert numbers[possible][0, 0] == 5441


def test_shares_of_scores_give_table_1_again() -> None:
    """10,000 triplets with the shares of the paper, as near as whole triplets come."""
    # Triplets by who gets 3, 2, 1; a solution of the shares with whole numbers.
    scores = {"321": 150, "312": 365, "231": 930, "132": 3920, "213": 935, "123": 3700}
    scores["132"] += 10_000 - sum(scores.values())
    table = np.repeat(
        [[int(one) for one in ranking] for ranking in scores], list(scores.values()), axis=0
    )
    models = np.tile([0, 1, 2], (len(table), 1))
    shares, means = score_shares(table, models, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    assert shares[0, 2] == pytest.approx(0.0515)
    assert shares[0, 1] == pytest.approx(0.1865)
    assert means[0] == pytest.approx(1.2895)
    assert means.sum() == pytest.approx(6)


def test_undecided_triplets_count_for_nothing() -> None:
    scores = np.array([[3, 2, 1], [0, 0, 0]])
    models = np.array([[0, 1, 2], [3, 1, 2]])
    shares, means = score_shares(scores, models, 4)
    np.testing.assert_array_equal(means[:3], [3, 2, 1])
    assert np.isnan(means[3])
    assert np.isnan(shares[3]).all()


def test_an_accuracy_of_all_is_not_certain() -> None:
    """Twelve prompts: Wilson's interval of 12 of 12, whatever the pairs of each."""
    scores = np.tile([3, 2, 1], (12, 1))
    found = pair_accuracy(scores, scores.astype(float), np.arange(12))
    assert found is not None
    assert (found.value, found.high, found.num) == (1.0, 1.0, 36)
    z = 1.959964
    assert found.low == pytest.approx(12 / (12 + z**2), abs=1e-6)


def test_pair_accuracy_counts_ties_and_gaps() -> None:
    scores = np.array([[3, 2, 1], [3, 2, 1], [1, 2, 3], [0, 0, 0]])
    values = np.array([[9.0, 5.0, 1.0], [5.0, 5.0, 7.0], [np.nan, 2.0, 1.0], [1.0, 2.0, 3.0]])
    prompts = np.array([0, 1, 2, 3])
    found = pair_accuracy(scores, values, prompts)
    assert found is not None
    # Three right; a tie and two wrong; one wrong with two gaps.
    assert found.value == pytest.approx((3 + 0.5) / 7)
    assert (found.num, found.num_ties, found.num_gaps) == (7, 1, 2)
    assert found.low < found.value < found.high
    near = pair_accuracy(scores, values, prompts, adjacent=True)
    assert near is not None
    assert near.value == pytest.approx((2 + 0.5) / 5)
    assert (near.num, near.num_ties, near.num_gaps) == (5, 1, 1)
    assert pair_accuracy(scores, np.full((4, 3), np.nan), prompts) is None


def test_intervals_go_by_prompts() -> None:
    """Copies of a triplet under one prompt tell nothing more; under other prompts they do."""
    rng = np.random.default_rng(3)
    scores = np.array([rng.permutation([1, 2, 3]) for _ in range(40)])
    values = scores + rng.normal(size=scores.shape)
    once = pair_accuracy(scores, values, np.arange(40))
    again = pair_accuracy(
        np.tile(scores, (9, 1)), np.tile(values, (9, 1)), np.tile(np.arange(40), 9)
    )
    apart = pair_accuracy(np.tile(scores, (9, 1)), np.tile(values, (9, 1)), np.arange(360))
    assert once is not None
    assert again is not None
    assert apart is not None
    assert again.value == apart.value == pytest.approx(once.value)
    assert again.high - again.low == pytest.approx(once.high - once.low)
    assert apart.high - apart.low < 0.5 * (once.high - once.low)


def test_pearson_is_scipys() -> None:
    rng = np.random.default_rng(5)
    scores = np.array([rng.permutation([1, 2, 3]) for _ in range(50)])
    values = 100 + scores + rng.normal(size=scores.shape)
    values[3, 1] = np.nan
    scores[7] = 0
    known = (scores > 0) & np.isfinite(values)
    found = pearson(scores, values, np.arange(50))
    assert found is not None
    assert found.value == pytest.approx(pearsonr(scores[known], values[known]).statistic)
    assert (found.num, found.num_gaps) == (146, 1)
    assert found.low < found.value < found.high
    assert pearson(scores, np.ones((50, 3)), np.arange(50)) is None
    assert pearson(np.zeros((4, 3), int), np.ones((4, 3)), np.arange(4)) is None


def test_statistics_are_of_numbers_from_0_to_1() -> None:
    values = np.array([[2.0, 4.0, 6.0], [2.0, 10.0, np.nan]])
    squeezed = normalised(values)
    np.testing.assert_array_equal(squeezed[0], [0, 0.25, 0.5])
    assert np.isnan(squeezed[1, 2])
    medians, stds = medians_and_stds(squeezed, np.tile([0, 1, 2], (2, 1)), 4)
    np.testing.assert_allclose(medians[:3], [0, 0.625, 0.5])
    np.testing.assert_allclose(stds[:3], [0, 0.375, 0])
    assert np.isnan(medians[3])
    assert np.isnan(normalised(np.ones(3))).all()
