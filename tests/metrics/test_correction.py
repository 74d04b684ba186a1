from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.correction import (
    ConfusionMatrix,
    correct,
    correct_over,
    corrected_difference,
    most_likely_shares,
)
from metrics.groups import ATTRIBUTES
from metrics.known_confusions import (
    even_errors,
    exact_matrices,
    known_matrices,
    share_within,
)


def matrix(rates: object, pictures: float = 1000.0) -> ConfusionMatrix:
    return ConfusionMatrix(name="m", note="", counts=np.asarray(rates, dtype=float) * pictures)


def test_rogan_and_gladen_for_two_groups() -> None:
    # (apparent + specificity - 1) / (sensitivity + specificity - 1)
    found = correct([700, 300], matrix([[0.9, 0.1], [0.2, 0.8]]))
    assert found.shares[1] == pytest.approx((0.3 + 0.9 - 1) / (0.8 + 0.9 - 1))
    assert found.misfit == pytest.approx(0, abs=1e-12)


@settings(max_examples=50)
@given(st.integers(2, 6), st.floats(0.4, 1.0), st.integers(0, 2**32))
def test_what_a_matrix_blurs_its_correction_restores(
    num_groups: int, accuracy: float, seed: int
) -> None:
    rates = even_errors(num_groups, max(accuracy, 1.2 / num_groups))
    shares = np.random.default_rng(seed).dirichlet(np.ones(num_groups))
    found = most_likely_shares((shares @ rates)[None], rates[None])[0]
    assert found == pytest.approx(shares, abs=1e-6)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 500), min_size=3, max_size=6), st.integers(0, 2**32))
def test_the_most_likely_shares_are_the_most_likely(counts: list[int], seed: int) -> None:
    seen = np.array(counts, dtype=float) + 1e-3
    seen /= seen.sum()
    rates = even_errors(seen.size, 0.6)
    found = most_likely_shares(seen[None], rates[None])[0]
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    # Stationary: no group could gain, see Lindsay's bound.
    gain = rates @ (seen / (found @ rates))
    assert gain.max() <= 1 + 1e-6
    other = np.random.default_rng(seed).dirichlet(np.ones(seen.size))
    assert seen @ np.log(other @ rates) <= seen @ np.log(found @ rates) + 1e-6


def test_no_error_changes_nothing_but_still_knows_sampling() -> None:
    found = correct([600, 400], exact_matrices()["gender"][0])
    assert found.shares.tolist() == [0.6, 0.4]
    assert found.low[0] == pytest.approx(0.57, abs=0.005)
    assert found.high[0] == pytest.approx(0.63, abs=0.005)


def test_the_interval_covers_where_wilson_does_not() -> None:
    """200 studies: a true matrix, one of 300 pictures a row that is known, 20,000 pictures."""
    rng = np.random.default_rng(0)
    shares = np.array([0.5, 0.3, 0.2])
    rates = np.array([[0.8, 0.1, 0.1], [0.15, 0.75, 0.1], [0.1, 0.2, 0.7]])
    covered = np.zeros(3)
    sampling_only = 0
    for study in range(200):
        seen = rng.multinomial(20_000, shares @ rates)
        known = np.stack([rng.multinomial(300, row) for row in rates])
        found = correct(seen, matrix(known, 1.0), draws=200, seed=study)
        covered += (found.low <= shares) & (shares <= found.high)
        narrow = correct(seen, matrix(known, 1e9), draws=200, seed=study)
        sampling_only += int(narrow.low[0] <= shares[0] <= narrow.high[0])
    assert ((covered / 200 >= 0.90) & (covered / 200 <= 0.99)).all(), covered
    assert sampling_only / 200 < 0.5


def test_the_same_seed_gives_the_same_interval_and_a_shared_matrix() -> None:
    wide = matrix([[0.8, 0.2], [0.3, 0.7]], 50)
    one, again = correct([900, 100], wide, seed=3), correct([900, 100], wide, seed=3)
    assert (one.draws == again.draws).all()
    assert (one.draws != correct([900, 100], wide, seed=4).draws).any()
    # The same matrix saw both, so its own uncertainty cancels in the difference of equal sets.
    other = correct([90_000, 10_000], wide, seed=3, stream=1)
    twin = correct([90_000, 10_000], wide, seed=3, stream=2)
    difference = corrected_difference(other, twin)
    assert difference[:, 0].tolist() == [0, 0]
    assert difference[0, 2] - difference[0, 1] < 0.2 * (other.high[0] - other.low[0])


def test_shares_that_a_matrix_cannot_make_are_told() -> None:
    found = correct([990, 10], matrix(even_errors(2, 0.72)))
    assert found.shares == pytest.approx([1, 0], abs=1e-6)
    assert found.misfit == pytest.approx(0.27, abs=1e-6)
    assert found.refuted


@pytest.mark.parametrize("num", [60, 2_000])
def test_a_right_matrix_is_seldom_refuted(num: int) -> None:
    """Nobody of four groups is there at all, where chance alone makes a misfit most often."""
    right = matrix(even_errors(6, 0.6), 400)
    rng = np.random.default_rng(5)
    seen = rng.multinomial(num, right.rates[:2].mean(axis=0), size=60)
    found = [correct(one, right, draws=100) for one in seen]
    assert sum(one.misfit > 0.01 for one in found) > 6
    assert sum(one.refuted for one in found) <= 5


def test_the_range_spans_the_matrices() -> None:
    known = known_matrices()["gender"]
    found = correct_over([84_000, 56_000], known)
    assert found.headline.matrix == known[0].name
    assert found.low[1] == min(one.low[1] for one in found.each) < 0.3
    assert found.high[1] == max(one.high[1] for one in found.each) > 0.88
    missed = 1 - 0.96616
    assert found.headline.shares[1] == pytest.approx((0.4 - missed) / (0.44537 - missed), abs=1e-4)


@pytest.mark.parametrize("attribute", list(ATTRIBUTES))
def test_bundled_matrices_are_what_they_say(attribute: str) -> None:
    matrices = known_matrices()[attribute]
    assert len({one.name for one in matrices}) == len(matrices) >= 3
    for one in matrices:
        assert one.note
        assert one.rates.shape == (len(ATTRIBUTES[attribute]),) * 2
        assert one.rates.sum(axis=1) == pytest.approx(1)
    assert (matrices[-1].rates == np.eye(len(ATTRIBUTES[attribute]))).all()


def test_bundled_figures_come_out_again() -> None:
    """To the last published digit, where there is a published digit."""
    gender, age, ethnicity = (known_matrices()[one] for one in ("gender", "age", "ethnicity"))
    missed = gender[0].counts
    assert missed.sum() == 10_954
    assert round(missed.trace() / missed.sum(), 5) == 0.72074
    assert [round(one, 5) for one in gender[0].rates.diagonal()] == [0.96616, 0.44537]
    assert gender[1].rates.diagonal() == pytest.approx(0.72074)
    # The README's accuracy and precision follow from its recalls, with 0.297 women in its test set.
    (men, _), (_, women) = gender[2].rates
    assert 0.297 * women + 0.703 * men == pytest.approx(0.9744, abs=2e-4)
    seen = 0.297 * women + 0.703 * (1 - men)
    assert 0.297 * women / seen == pytest.approx(0.9629, abs=5e-4)
    assert ethnicity[0].rates.diagonal() == pytest.approx(0.5954)
    grouped = ethnicity[1].counts
    assert grouped.sum() == pytest.approx(1002)
    assert grouped.trace() / 1002 == pytest.approx(0.6297, abs=5e-5)
    assert ethnicity[1].rates.diagonal().round(4).tolist() == [
        *(0.7343, 0.8169, 0.6835, 0.4257, 0.2432, 0.6859),
    ]
    assert ethnicity[2].rates.diagonal() == pytest.approx(0.5954)
    # In a range of ten years: what was published, and how much more the README promises.
    assert share_within(10, 3.65926, 12.9) == pytest.approx(0.28437, abs=5e-4)
    assert share_within(10, 0.0, 4.65 * np.sqrt(np.pi / 2)) > 0.55
    assert (age[0].rates.diagonal() > age[2].rates.diagonal()).all()


@pytest.mark.parametrize(
    ("rates", "says"),
    [
        (np.ones((2, 3)), r"is \(2, 3\), should be square"),
        ([[1, 0], [0, 0]], "some in every row"),
        ([[1, -1], [0, 1]], "some in every row"),
        ([[0.5, 0.5], [0.5, 0.5]], "nearly alike"),
    ],
)
def test_matrices_that_correct_nothing(rates: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        matrix(rates)


def test_counts_that_cannot_be_corrected() -> None:
    with pytest.raises(ValueError, match="has 2 groups, the counts have 3"):
        correct([1, 2, 3], matrix(np.eye(2)))
    with pytest.raises(ValueError, match="all counts are 0"):
        correct([0, 0], matrix(np.eye(2)))


def test_draws_along_an_edge_are_settled_too() -> None:
    """Where expectation-maximisation alone crawls for longer than anybody waits."""
    for one in known_matrices()["age"]:
        found = correct([86, 542, 340, 32], one)
        assert np.isfinite(found.draws).all()
        assert found.draws.sum(axis=1) == pytest.approx(1)
    rng = np.random.default_rng(0)
    seen = rng.dirichlet(np.ones(6), size=400)
    rates = rng.dirichlet(np.ones(6), size=(400, 6))
    shares = most_likely_shares(seen, rates)
    gain = np.einsum("bij,bj->bi", rates, seen / np.einsum("bi,bij->bj", shares, rates))
    assert gain.max() - 1 < 1e-6


@pytest.mark.parametrize("pictures", [64, 192])
def test_the_interval_covers_small_shares_too(pictures: int) -> None:
    rng = np.random.default_rng(0)
    shares = np.array([0.97, 0.02, 0.01])
    covered = np.zeros(3)
    for study in range(200):
        seen = rng.multinomial(pictures, shares)
        found = correct(seen, matrix(np.eye(3), 1e9), draws=200, seed=study)
        covered += (found.low <= shares) & (shares <= found.high)
    assert (covered / 200 >= 0.90).all(), covered


def test_a_group_that_nobody_saw_may_still_be_there() -> None:
    found = correct([64, 0], exact_matrices()["gender"][0])
    assert (found.shares[1], found.low[1]) == (0, 0)
    assert 0.02 < found.high[1] < 0.06
