from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.groups import ATTRIBUTES
from metrics.name_draws import count_brought, plan_draws
from metrics.selection import choose_counts, choose_rows
from metrics.targets import (
    Target,
    given_target,
    joint_target,
    marginal_target,
    target_cells,
    uniform_target,
)

PAPER = np.einsum(
    "i,j,k->ijk", [0.6, 0.4], [0.01, 0.4, 0.57, 0.02], [0.1, 0.05, 0.04, 0.08, 0.02, 0.71]
).ravel()


def two_by_two() -> Target:
    """Both genders by two ages only: small enough to try everything."""
    return Target(
        attributes=("gender", "age"),
        cells=("a", "b", "c", "d"),
        groups=("g0", "g1", "h0", "h1"),
        members=np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]], dtype=float),
        shares=np.array([0.5, 0.5, 0.25, 0.75]),
    )


@settings(max_examples=40)
@given(st.lists(st.integers(0, 7), min_size=4, max_size=4))
def test_no_larger_set_meets_the_target(available: list[int]) -> None:
    target = two_by_two()
    best = 0
    for counts in itertools.product(*(range(one + 1) for one in available)):
        size = sum(counts)
        off = np.abs(target.members @ counts - target.shares * size)
        if (off < 1 - 1e-7).all():
            best = max(best, size)
    found = choose_counts(np.array(available), target)
    assert found.size == best == found.counts.sum()
    assert (found.counts <= available).all()
    if best:
        assert (np.abs(target.members @ found.counts - target.shares * best) < 1).all()


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from([0.0, 0.02]))
def test_every_choice_meets_its_target(seed: int, joint: bool, tolerance: float) -> None:
    available = np.random.default_rng(seed).multinomial(5000, PAPER)
    target = uniform_target(["gender", "age", "ethnicity"], joint=joint)
    found = choose_counts(available, target, tolerance=tolerance)
    assert (found.counts >= 0).all()
    assert (found.counts <= available).all()
    off = np.abs(target.members @ found.counts - target.shares * found.size)
    assert (off <= 1 + tolerance * found.size).all()
    again = choose_counts(available, target, tolerance=tolerance)
    assert (again.counts == found.counts).all()
    assert found.limited_by


def test_who_limits_the_set() -> None:
    available = np.zeros(6, dtype=np.int64) + 100
    available[ATTRIBUTES["ethnicity"].index("indian")] = 7
    found = choose_counts(available, uniform_target(["ethnicity"]))
    assert found.limited_by == ("ethnicity = indian",)
    assert found.size == 47  # 7 of 47 is the most that is less than one picture off a sixth.
    short = {one.group: (one.available, one.wanted) for one in found.short}
    assert short["ethnicity = indian"] == (7, 84)


def test_a_size_that_is_out_of_reach_names_who_is_short() -> None:
    available = np.array([100, 20])
    target = uniform_target(["gender"])
    assert choose_counts(available, target, size=40).counts.tolist() == [20, 20]
    with pytest.raises(
        ValueError, match=r"size 60: out of reach: gender = woman has 20 of 30"
    ) as e:
        choose_counts(available, target, size=60)
    assert "at most 41 meet the target" in str(e.value)
    with pytest.raises(ValueError, match="size 0: should be at least 1"):
        choose_counts(available, target, size=0)
    with pytest.raises(ValueError, match=r"tolerance 1\.0: should be"):
        choose_counts(available, target, tolerance=1.0)


def test_a_cell_is_named_where_no_group_lacks() -> None:
    """80 men and 60 old people would do for 160, but every old person is a man."""
    available = np.array([0, 10, 10, 60, 0, 60, 60, 0])
    with pytest.raises(ValueError, match="size 160: out of reach") as error:
        choose_counts(available, uniform_target(["gender", "age"]), size=160)
    assert re.search(r"(woman \| 51\+ has 0|man \| (18-30|31-50) has 10) of", str(error.value))
    empty = choose_counts(available, uniform_target(["gender", "age"], joint=True))
    assert empty.limited_by == ("woman | 51+",)
    assert empty.size <= 5


def test_nothing_is_there() -> None:
    found = choose_counts(np.zeros(2, dtype=np.int64), uniform_target(["gender"]))
    assert found.size == 0
    assert found.counts.tolist() == [0, 0]


def test_a_group_without_a_share_gets_nobody() -> None:
    target = marginal_target({"gender": {"man": 1.0}})
    found = choose_counts(np.array([5, 9]), target)
    assert found.counts.tolist() == [5, 0]


@pytest.mark.parametrize("joint", [False, True])
def test_nobody_lacks_a_group_that_should_be_empty(joint: bool) -> None:
    """A tolerance would let some under 18 in; that is no reason to look for any."""
    target = uniform_target(["gender", "age"], joint=joint)
    available = np.where([("under 18" in one) for one in target.cells], 0, 40)
    available[-1] = 3
    found = choose_counts(available, target, tolerance=0.02)
    assert found.limited_by
    assert found.short
    for named in (*found.limited_by, *(one.group for one in found.short)):
        assert "under 18" not in named


def test_the_rest_stays_as_it_was() -> None:
    """A target on gender alone leaves the proportions of what it does not name."""
    target = marginal_target(
        {
            "gender": {"man": 0.5, "woman": 0.5},
            "ethnicity": dict.fromkeys(ATTRIBUTES["ethnicity"], 1 / 6),
        }
    )
    available = np.array([200] * 6 + [100] * 6)
    found = choose_counts(available, target)
    assert 1200 <= found.size <= 1201
    assert np.abs(found.counts - 100).max() <= 1


def test_rows_by_priority() -> None:
    cells = np.array([0, 1, 0, 1, 0, -1, 1])
    priority = np.array([5, 1, 3, 2, 3, 0, 0])
    assert choose_rows(cells, priority, np.array([2, 1])).tolist() == [2, 4, 6]


def test_targets_and_their_cells() -> None:
    joint = joint_target(["gender", "age"], {"woman | 51+": 0.25, "man | 18-30": 0.75})
    assert joint.shares.sum() == 1
    assert dict(zip(joint.groups, joint.shares, strict=True))["woman | 51+"] == 0.25
    codes = {"gender": np.array([0, 1, -1]), "age": np.array([1, 3, 2])}
    found = target_cells(codes, joint)
    assert [joint.cells[code] for code in found[:2]] == ["man | 18-30", "woman | 51+"]
    assert found[2] == -1
    even = uniform_target(["age"])
    assert dict(zip(even.groups, even.shares, strict=True))["age = under 18"] == 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: marginal_target({"gender": {"man": 0.5, "woman": 0.6}}),
            r"^target gender: shares sum to 1\.1, should be 1$",
        ),
        (
            lambda: marginal_target({"gender": {"man": 0.5, "women": 0.5}}),
            r"^target gender: group 'women' is unknown; did you mean 'woman'\?$",
        ),
        (
            lambda: marginal_target({"ethnicity": {"zzz": 1.0}}),
            r"group 'zzz' is unknown; known here: asian, black, indian",
        ),
        (
            lambda: joint_target(["gender", "age"], {"woman | 50+": 1.0}),
            r"group 'woman \| 50\+' is unknown; did you mean 'woman \| 51\+'\?",
        ),
        (lambda: uniform_target(["race"]), r"target 'race': known here: gender, age, ethnicity"),
        (lambda: uniform_target([]), "names no attribute"),
        (lambda: uniform_target(["age", "age"]), "names an attribute twice"),
        (lambda: marginal_target({"gender": {"man": 1.5, "woman": -0.5}}), "should be 0 to 1"),
        (lambda: marginal_target({"gender": {"man": float("nan")}}), "should be 0 to 1"),
        (lambda: marginal_target({"gender": {"man": "a"}}), "share 'a' of 'man'"),
        (lambda: marginal_target({"gender": {"man": True}}), "share True of 'man'"),
        (lambda: given_target({"gender | age": {"man": 1.0}}), "group 'man' is unknown"),
        (
            lambda: given_target({"gender | age": {"man | 51+": 1.0}, "age": {}}),
            "combinations stand alone",
        ),
    ],
)
def test_targets_that_are_none(make: object, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        make()  # type: ignore[operator]
    assert "\n" not in str(error.value)


KINDS = ["born 1950s", "born 1980s", "rare"]
BROUGHT = np.array([[60, 40], [90, 10], [3, 1]])


def test_the_fewest_names_that_reach_a_target() -> None:
    found = plan_draws(
        KINDS, BROUGHT, marginal_target({"gender": {"man": 0.7, "woman": 0.3}}), tolerance=1e-9
    )
    # 153 men and 51 women now; x more of the first kind: (51 + 0.4 x) / (204 + x) = 0.3
    assert found.reachable
    assert [(draw.kind, draw.extra) for draw in found.draws] == [("born 1950s", 102)]
    assert found.expected == pytest.approx((0.7, 0.3), abs=1e-3)
    assert found.left_out == ("rare",)


def test_a_target_that_no_kind_of_name_brings() -> None:
    found = plan_draws(KINDS, BROUGHT, marginal_target({"gender": {"man": 0.2, "woman": 0.8}}))
    assert not found.reachable
    assert found.too_few == ("gender = woman",)
    assert [draw.kind for draw in found.draws] == ["born 1950s"]
    assert found.off > 0.3


def test_the_stock_and_the_most_bound_the_draws() -> None:
    target = marginal_target({"gender": {"man": 0.7, "woman": 0.3}})
    stock = np.array([20, 1000, 1000])
    bounded = plan_draws(KINDS, BROUGHT, target, tolerance=0.001, stock=stock)
    assert not bounded.reachable
    assert not plan_draws(KINDS, BROUGHT, target, tolerance=0.001, most=50).reachable
    there = plan_draws(KINDS, BROUGHT, target, tolerance=0.1)
    assert (there.reachable, there.extra, there.draws) == (True, 0, ())
    fresh = plan_draws(KINDS, BROUGHT, target, present=np.array([70, 30]))
    assert fresh.extra == 0


def test_kinds_that_say_too_little() -> None:
    target = uniform_target(["gender"])
    with pytest.raises(ValueError, match="none of 3 has 1000 pictures"):
        plan_draws(KINDS, BROUGHT, target, least_seen=1000)
    with pytest.raises(ValueError, match="should be more than 0"):
        plan_draws(KINDS, BROUGHT, target, tolerance=0)


def test_what_kinds_brought() -> None:
    kinds, brought = count_brought(["b", "a", None, "b"], np.array([0, 1, 1, -1]), 2)
    assert kinds == ["a", "b"]
    assert brought.tolist() == [[0, 1], [1, 0]]
