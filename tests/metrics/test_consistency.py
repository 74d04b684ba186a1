"""What of a target is explainable, where it is known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.consistency import consistency, explained_by

NUM, SEEDS, WIDTH = 400, 3, 8


def made(constant: float, own: float, chance: float, seed: int = 0) -> dict[str, np.ndarray]:
    """Sources, targets of several seeds, and the mean of all targets that a source could have.

    Each of the three is the mean square of its part of the change, over all features together.
    """
    rng = np.random.default_rng(seed)
    sources = rng.normal(size=(NUM, WIDTH))
    shift = np.full(WIDTH, np.sqrt(constant / WIDTH))
    personal = rng.normal(size=(NUM, WIDTH)) * np.sqrt(own / WIDTH)
    noise = rng.normal(size=(NUM, SEEDS, WIDTH)) * np.sqrt(chance / WIDTH)
    expected = sources + shift + personal
    return {"sources": sources, "targets": expected[:, None] + noise, "expected": expected}


@pytest.mark.parametrize(
    ("constant", "own", "chance"), [(2.0, 1.0, 1.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0, 1, 3)]
)
def test_the_shares_are_those_it_was_made_of(constant: float, own: float, chance: float) -> None:
    total = constant + own + chance
    there = made(constant, own, chance)
    found = consistency(there["sources"], there["targets"])
    assert (found.num_sources, found.num_seeds) == (NUM, SEEDS)
    assert found.mean_square == pytest.approx(total, rel=0.1)
    for one, wanted in (
        (found.explainable, (constant + own) / total),
        (found.constant, constant / total),
        (found.by_source, own / total),
    ):
        assert one.value == pytest.approx(wanted, abs=0.03)
        assert one.error < 0.03
    assert found.explainable.value == pytest.approx(found.constant.value + found.by_source.value)


def test_intervals_hold_the_truth() -> None:
    held = []
    for seed in range(100):
        there = made(1.0, 1.0, 2.0, seed)
        found = consistency(there["sources"], there["targets"], draws=100, seed=seed)
        held.append(found.explainable.low <= 0.5 <= found.explainable.high)
    assert 0.88 <= np.mean(held) <= 1.0


def test_what_heads_explain() -> None:
    there = made(2.0, 1.0, 1.0)
    sources, targets, best = there["sources"], there["targets"], there["expected"]
    half = sources + 0.5 * (best - sources)
    for outputs, share, alignment in (
        (best, 1.0, 1.0),
        (sources, 0.0, 0.0),
        # Half of the change leaves a quarter of the square.
        (half, 0.75, 1.0),
        (sources - (best - sources), -3.0, -1.0),
        # The shift alone: two of the three parts that are explainable.
        (sources + (best - sources).mean(0), 2 / 3, np.sqrt(2 / 3)),
    ):
        found = explained_by(outputs, sources, targets)
        assert found is not None
        assert found.share.value == pytest.approx(share, abs=0.05)
        assert found.alignment.value == pytest.approx(alignment, abs=0.03)
    # Fine detail of its own costs a head its share, and turns it less.
    rng = np.random.default_rng(9)
    grainy = best + rng.normal(size=best.shape) * np.sqrt(1.0 / WIDTH)
    found = explained_by(grainy, sources, targets)
    assert found is not None
    assert found.share.value == pytest.approx(1 - 1 / 3, abs=0.05)
    assert found.alignment.value == pytest.approx(np.sqrt(3 / 4), abs=0.03)


def test_errors_of_what_a_head_explains_are_those_that_repeats_show() -> None:
    found = []
    for seed in range(60):
        there = made(1.0, 1.0, 2.0, seed)
        half = there["sources"] + 0.7 * (there["expected"] - there["sources"])
        found.append(explained_by(half, there["sources"], there["targets"], draws=100, seed=seed))
    for name in ("share", "alignment"):
        told = [getattr(one, name) for one in found]
        spread = np.std([one.value for one in told])
        assert np.mean([one.error for one in told]) == pytest.approx(spread, rel=0.3)


def test_where_nothing_is_explainable_no_share_of_it_is_told() -> None:
    there = made(0, 0, 1)
    assert explained_by(there["expected"], there["sources"], there["targets"]) is None


def test_what_cannot_be_told() -> None:
    there = made(1, 1, 1)
    with pytest.raises(ValueError, match="at least 2 seeds"):
        consistency(there["sources"], there["targets"][:, :1])
    with pytest.raises(ValueError, match="at least 2 seeds"):
        consistency(there["sources"][1:], there["targets"])
    with pytest.raises(ValueError, match="one for a source"):
        explained_by(there["expected"][1:], there["sources"], there["targets"])
