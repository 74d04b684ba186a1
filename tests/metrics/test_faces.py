"""Likeness, diversity and near-duplicates, against plain versions that make every pair."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import duplicates as module
from metrics.diversity import diversity, unit
from metrics.duplicates import near_by_cosine, near_by_hash, nearest_pairs
from metrics.likeness import (
    explained_variance,
    most_stable,
    number_labels,
    stability_by_chance,
)


def faces(num: int, width: int = 8, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((num, width)))


def test_mean_cosine_and_vendi_are_those_of_all_pairs() -> None:
    vectors = faces(40)
    found = diversity(vectors)
    assert found is not None
    kernel = vectors @ vectors.T
    assert found.mean_cosine == pytest.approx(kernel[np.triu_indices(40, 1)].mean())
    levels = np.linalg.eigvalsh(kernel / 40)
    levels = levels[levels > 1e-12]
    assert found.vendi == pytest.approx(np.exp(-(levels * np.log(levels)).sum()))


def test_vendi_counts_different_faces() -> None:
    apart = np.repeat(np.eye(5), 4, axis=0)
    found = diversity(apart)
    assert found is not None
    assert found.vendi == pytest.approx(5)
    assert found.mean_cosine == pytest.approx(3 / 19)
    same = diversity(np.repeat(np.eye(5)[:1], 20, axis=0))
    assert same is not None
    assert (same.vendi, same.mean_cosine) == (pytest.approx(1), pytest.approx(1))
    assert diversity(np.eye(1)) is None


def leaders(near: np.ndarray) -> list[int]:
    """Who repeats whom, one row after another."""
    of: list[int] = []
    for row in range(len(near)):
        kept = [other for other in range(row) if of[other] < 0 and near[row, other]]
        of.append(kept[0] if kept else -1)
    return of


@pytest.fixture
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 5)
    monkeypatch.setattr(module, "_COLUMNS", 7)


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("seed", range(20))
def test_near_duplicates_are_those_of_all_pairs(seed: int) -> None:
    vectors = faces(60, 3, seed).astype(np.float32)
    vectors[7] = 0
    found = near_by_cosine(vectors, 0.9)
    near = vectors @ vectors.T >= np.float32(0.9)
    assert found.of.tolist() == leaders(near)
    assert found.num_pairs == np.triu(near, 1).sum()
    dropped = found.of >= 0
    assert found.num_dropped == dropped.sum()
    assert (found.of[found.of[dropped]] == -1).all()
    hashes = np.random.default_rng(seed).integers(-(2**63), 2**63 - 1, 60)
    hashes[30:] = hashes[:30] ^ np.random.default_rng(seed).integers(0, 64, 30)
    bits = np.array(
        [[bin((int(a) ^ int(b)) & (2**64 - 1)).count("1") for b in hashes] for a in hashes]
    )
    by_hash = near_by_hash(hashes, 3)
    assert by_hash.of.tolist() == leaders(bits <= 3)
    assert by_hash.num_pairs == np.triu(bits <= 3, 1).sum()


def test_the_most_alike_pairs_come_first() -> None:
    vectors = unit(np.array([[1, 0], [1, 0.1], [0, 1], [0.05, 1], [-1, 0]]))
    found = near_by_cosine(vectors, 0.9)
    assert nearest_pairs(vectors, found, 5) == [(2, 3), (0, 1)]
    with pytest.raises(ValueError, match="should be above 0"):
        near_by_cosine(vectors, 0)
    with pytest.raises(ValueError, match="64 bits: should be 0 to 63"):
        near_by_hash(np.zeros(2, dtype=np.int64), 64)


def test_a_set_of_one_and_the_same_picture() -> None:
    found = near_by_hash(np.zeros(3000, dtype=np.int64), 0)
    assert found.num_pairs == 3000 * 2999 // 2
    assert found.of.tolist() == [-1] + [0] * 2999


def named_faces(spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """50 names with 6 faces each; `spread` 1 means that the name explains half of the variance."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(50), 6)
    return spread * rng.standard_normal((50, 16))[labels] + rng.standard_normal((300, 16)), labels


def test_what_a_name_explains() -> None:
    vectors, labels = named_faces(1.0)
    found = explained_variance(vectors, labels, permutations=100)
    assert found.omega_squared == pytest.approx(0.5, abs=0.05)
    assert found.intraclass == pytest.approx(0.5, abs=0.05)
    assert found.eta_squared > found.omega_squared
    assert found.p_value == pytest.approx(1 / 101)


def test_names_that_explain_nothing() -> None:
    found = [explained_variance(*named_faces(0.0, seed), permutations=50) for seed in range(10)]
    assert np.mean([one.eta_squared for one in found]) > 0.15
    assert np.mean([one.omega_squared for one in found]) == pytest.approx(0, abs=0.01)
    assert np.mean([one.by_chance_mean - one.eta_squared for one in found]) == pytest.approx(
        0, abs=0.01
    )
    assert min(one.p_value for one in found) > 0.01


def test_plain_sums_of_squares() -> None:
    vectors, labels = faces(9, 4), np.array([0, 0, 2, 2, 2, 5, 5, 7, -1])
    found = explained_variance(vectors, labels, permutations=5)
    used = vectors[:7]
    middle = used.mean(axis=0)
    between = sum(
        len(part) * ((part.mean(axis=0) - middle) ** 2).sum()
        for part in (used[:2], used[2:5], used[5:])
    )
    assert (found.num_rows, found.num_labels) == (7, 3)
    assert found.eta_squared == pytest.approx(between / ((used - middle) ** 2).sum())


@given(st.integers(0, 2**32))
def test_the_most_stable_names(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 12, 40)
    vectors = faces(40, 6, seed)
    found = most_stable(vectors, labels, 5)
    wanted = {}
    for label in range(12):
        rows = np.flatnonzero(labels == label)
        if len(rows) > 1:
            pairs = itertools.combinations(rows, 2)
            wanted[label] = float(np.mean([vectors[a] @ vectors[b] for a, b in pairs]))
    best = sorted(wanted, key=lambda label: -wanted[label])[:5]
    assert [one.label for one in found] == best
    assert [one.mean_cosine for one in found] == pytest.approx([wanted[label] for label in best])


def test_chance_has_a_most_stable_name_too() -> None:
    vectors, labels = named_faces(3.0)
    vectors = unit(vectors)
    by_chance = stability_by_chance(vectors, labels, permutations=50)
    assert 0 < by_chance < most_stable(vectors, labels, 1)[0].mean_cosine


def test_names_to_labels_and_what_cannot_be_explained() -> None:
    labels, names = number_labels(["b", None, "a", "b"])
    assert labels.tolist() == [1, -1, 0, 1]
    assert names == ["a", "b"]
    with pytest.raises(ValueError, match="1 names have two faces or more"):
        explained_variance(faces(4), labels)
    with pytest.raises(ValueError, match="one and the same embedding"):
        explained_variance(np.ones((4, 3)), np.array([0, 0, 1, 1]))
