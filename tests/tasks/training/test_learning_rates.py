"""Rates of steps: a line up, then half a cosine down, or flat."""

from __future__ import annotations

import itertools
import math

import pytest

from tasks.training.learning_rates import Fall, warmed_up


def rates(highest: float, steps: int, warmup_steps: int, fall: Fall = "cosine") -> list[float]:
    return [
        warmed_up(highest, step, steps, warmup_steps=warmup_steps, fall=fall)
        for step in range(steps)
    ]


def test_the_rate_rises_and_falls_along_half_a_cosine() -> None:
    found = rates(5e-5, 24, 4)
    assert found[:4] == pytest.approx([1.25e-5, 2.5e-5, 3.75e-5, 5e-5])
    assert found[4] == 5e-5
    assert found[14] == pytest.approx(2.5e-5)
    assert found[23] == pytest.approx(5e-5 * 0.5 * (1 + math.cos(math.pi * 19 / 20)))
    assert all(a >= b for a, b in itertools.pairwise(found[4:]))


def test_the_rate_stays_where_that_is_asked_for() -> None:
    assert set(rates(5e-5, 24, 0, "constant")) == {5e-5}
    assert rates(1e-5, 4, 2, "constant") == [5e-6, 1e-5, 1e-5, 1e-5]


def test_beyond_the_end_nothing_is_learned() -> None:
    for step in (10, 11, 99):
        assert warmed_up(1.0, step, 10, warmup_steps=0, fall="cosine") == 0
    # A run that is all warmup.
    assert warmed_up(1.0, 3, 3, warmup_steps=3, fall="cosine") == 1
