"""Precision and recall over two halves of prompts: values, and errors that fit their spread."""

from __future__ import annotations

import math

import numpy as np
import pytest

from metrics import neighbour_gap as module
from metrics.gap import Halves
from metrics.neighbour_gap import neighbour_gap
from metrics.neighbours import precision_recall
from metrics.subsampling import CUTS, parts


def drawn(rng: np.random.Generator, num: int, shift: float = 0.0) -> np.ndarray:
    return rng.standard_t(6, size=(num, 6)) + shift


def world(seed: int, shift: float, num: int = 80, narrow: float = 1.0) -> tuple[Halves, Halves]:
    rng = np.random.default_rng(seed)
    # A row shares its contents with the reference of the same prompts, never of the other half.
    contents = [drawn(rng, num), drawn(rng, num)]
    row = [narrow * one + drawn(rng, num, shift) / 2 for one in contents]
    reference = [one + drawn(rng, num) / 2 for one in contents]
    return Halves(*row), Halves(*reference)


@pytest.mark.parametrize(("block", "kept"), [(1024, 64), (7, 64), (7, 5)])
def test_each_part_has_the_values_of_its_pictures(
    block: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is computed for all parts at once, and however few near ones are kept."""
    monkeypatch.setattr(module, "_BLOCK", block)
    monkeypatch.setattr(module, "_KEPT", kept)
    row, reference = world(3, 0.7)
    (in_a, in_b), *_ = parts((80, 80), CUTS[1], 4, 0)
    there = np.zeros((2, 80, 2), bool)
    there[:, :, 0] = there[0, in_a, 1] = there[1, in_b, 1] = True
    found = module._in_reach(row.a, reference.b, *there, 3)
    wanted = [
        precision_recall(row.a, reference.b),
        precision_recall(row.a[in_a], reference.b[in_b]),
    ]
    assert found[0].tolist() == [one.precision for one in wanted]
    assert found[1].tolist() == [one.recall for one in wanted]
    whole = neighbour_gap(row, reference, draws=8)
    ways = [precision_recall(row.a, reference.b), precision_recall(row.b, reference.a)]
    assert whole.precision.value == np.mean([one.precision for one in ways])
    assert whole.recall.value == np.mean([one.recall for one in ways])


@pytest.mark.parametrize(("shift", "narrow"), [(0.0, 1.0), (1.5, 1.0), (0.0, 0.4)])
def test_the_error_is_what_values_vary_by(shift: float, narrow: float) -> None:
    found = [neighbour_gap(*world(seed, shift, narrow=narrow), draws=40) for seed in range(150)]
    for told in ([one.precision for one in found], [one.recall for one in found]):
        values = np.array([one.value for one in told])
        share = np.sqrt(np.mean([one.error**2 for one in told])) / values.std()
        assert 0.8 <= share <= 1.6
        held = np.mean([one.low <= values.mean() <= one.high for one in told])
        assert held >= 0.88
        assert all(0 <= one.low <= one.high <= 1 for one in told)


def test_quarters_without_a_neighbour_of_that_rank_tell_no_error() -> None:
    row, reference = world(0, 0.3, num=15)
    found = neighbour_gap(row, reference, draws=8)
    assert 0 <= found.precision.value <= 1
    assert math.isnan(found.precision.error)
    assert math.isnan(found.recall.low)
    enough = neighbour_gap(*world(0, 0.3, num=16), draws=8)
    assert math.isfinite(enough.precision.error)
