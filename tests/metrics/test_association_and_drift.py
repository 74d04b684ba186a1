from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2, chi2_contingency
from scipy.stats.contingency import association

from metrics.association import associate
from metrics.drift import cosines, drift, drift_of_moves, exact_mcnemar, summarise

TABLES = st.integers(0, 2**32).map(
    lambda seed: np.random.default_rng(seed).integers(1, 60, size=(3, 4))
)


@given(TABLES)
def test_cramers_v_is_scipys(table: np.ndarray) -> None:
    found = associate(table)
    reference = chi2_contingency(table, correction=False)
    assert found.chi_square == pytest.approx(reference.statistic)
    assert found.degrees == reference.dof
    assert found.p_value == pytest.approx(reference.pvalue, abs=1e-12)
    assert found.cramers_v == pytest.approx(association(table, method="cramer"))
    assert found.cramers_v_corrected <= found.cramers_v + 1e-12


def test_the_correction_takes_chance_away() -> None:
    rng = np.random.default_rng(0)
    tables = [rng.multinomial(300, np.full(24, 1 / 24)).reshape(4, 6) for _ in range(200)]
    assert np.mean([associate(table).cramers_v for table in tables]) > 0.12
    assert np.mean([associate(table).cramers_v_corrected for table in tables]) < 0.04


def test_extremes_and_no_p() -> None:
    whole = associate([[30, 0], [0, 30]])
    assert whole.cramers_v == pytest.approx(1)
    assert whole.cramers_v_corrected == pytest.approx(1, abs=0.02)
    many = associate([[6000, 5000], [5000, 6000]])
    assert many.p_value is None
    assert "22,000 is above 10,000" in str(many.no_p_because)
    one_sided = associate([[5, 5], [0, 0]])
    assert (one_sided.cramers_v, one_sided.p_value) == (0, None)


def test_stuart_maxwell_known_answer() -> None:
    # Stuart 1955, unaided vision of 7,477 women, left and right eye: 11.96 with 3 degrees.
    vision = np.array(
        [[1520, 266, 124, 66], [234, 1512, 432, 78], [117, 362, 1772, 205], [36, 82, 179, 492]]
    )
    found = drift_of_moves(vision)
    assert found.statistic == pytest.approx(11.957, abs=0.001)
    assert found.degrees == 3
    assert found.p_value == pytest.approx(chi2.sf(11.957, 3), abs=1e-5)
    assert found.test == "Stuart-Maxwell"


@given(st.integers(0, 80), st.integers(0, 80))
def test_mcnemar_is_the_binomial_test(one_way: int, other_way: int) -> None:
    if one_way + other_way:
        wanted = binomtest(one_way, one_way + other_way, 0.5).pvalue
        assert exact_mcnemar(one_way, other_way) == pytest.approx(wanted)
    found = drift_of_moves(np.array([[50, one_way], [other_way, 50]]))
    assert found.test == "McNemar, exact"
    assert found.changed == pytest.approx((one_way + other_way) / found.num)
    if one_way + other_way:
        # The statistic is McNemar's without continuity correction.
        wanted = (one_way - other_way) ** 2 / (one_way + other_way)
        assert found.statistic == pytest.approx(wanted)


def test_groups_that_nobody_enters_do_not_count() -> None:
    moves = np.array([[10, 5, 0], [1, 10, 0], [0, 0, 0]])
    found = drift_of_moves(moves)
    assert found.degrees == 1
    assert found.statistic == pytest.approx(16 / 6)


def test_only_pairs_where_both_have_a_group_count() -> None:
    found = drift(np.array([0, 0, 1, -1, 1]), np.array([0, 1, 1, 0, -1]), 2)
    assert found.moves.tolist() == [[1, 1], [0, 1]]
    assert found.net[:, 0] == pytest.approx([-1 / 3, 1 / 3])


def test_the_net_interval_covers() -> None:
    rng = np.random.default_rng(1)
    rates = np.array([[0.5, 0.06], [0.02, 0.42]]).ravel()
    held = 0
    for _ in range(500):
        net = drift_of_moves(rng.multinomial(400, rates).reshape(2, 2)).net
        held += int(net[1, 1] <= 0.04 <= net[1, 2])
    assert 0.92 <= held / 500 <= 0.985


def test_nothing_to_compare() -> None:
    found = drift_of_moves(np.zeros((3, 3), dtype=np.int64))
    assert math.isnan(found.changed)
    assert math.isnan(found.kappa)
    assert found.p_value is None
    many = drift_of_moves(np.array([[9000, 1000], [500, 9000]]))
    assert many.p_value is None
    assert many.test == "Stuart-Maxwell"
    assert math.isnan(drift_of_moves(np.array([[5, 0], [0, 0]])).kappa)


def test_summaries_and_cosines() -> None:
    told = summarise([1.0, 2.0, 3.0, np.nan])
    assert (told["num"], told["mean"], told["q50"], told["deviation"]) == (3, 2, 2, 1)
    assert summarise([np.nan]) == {"num": 0}
    found = cosines(np.array([[1.0, 0], [1, 1], [0, 0]]), np.array([[2.0, 0], [1, -1], [1, 0]]))
    assert found[:2] == pytest.approx([1, 0])
    assert math.isnan(found[2])
