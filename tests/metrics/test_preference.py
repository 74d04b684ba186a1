"""What people's choices say: known strengths, agreement and accuracies come back."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.preference import (
    Judgements,
    agreement,
    metric_accuracy,
    resampled,
    strengths,
    wins,
)

TRUTH = np.array([0.8, 0.0, -0.6])


def judged(rows: list[tuple[int, int, int, int]]) -> Judgements:
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return Judgements(better=table[:, 0], worse=table[:, 1], rater=table[:, 2], prompt=table[:, 3])


def simulated(seed: int, raters: int = 12, prompts: int = 60, taste: float = 0.3) -> Judgements:
    """Choices by the model, with tastes of people and of prompts on top."""
    rng = np.random.default_rng(seed)
    of_rater = rng.normal(0, taste, (raters, 3))
    of_prompt = rng.normal(0, taste, (prompts, 3))
    rows = []
    for rater in range(raters):
        for prompt in range(prompts):
            one, other = [(0, 1), (0, 2), (1, 2)][prompt % 3]
            liking = TRUTH + of_rater[rater] + of_prompt[prompt]
            if rng.random() < 1 / (1 + np.exp(liking[other] - liking[one])):
                rows.append((one, other, rater, prompt))
            else:
                rows.append((other, one, rater, prompt))
    return judged(rows)


def test_strengths_come_back() -> None:
    found = strengths(simulated(0, raters=200, prompts=300, taste=0.0), 3, draws=20)
    assert found.log_strength == pytest.approx(TRUTH - TRUTH.mean(), abs=0.05)
    beats = 1 / (1 + np.exp(TRUTH[None, :] - TRUTH[:, None]))
    expected = (beats.sum(axis=1) - 0.5) / 2
    assert found.share == pytest.approx(expected, abs=0.01)


def test_two_rows_are_a_share() -> None:
    found = strengths(judged([(0, 1, i % 7, i) for i in range(80)] + [(1, 0, 0, 80 + i) for i in
                      range(20)]), 2, draws=200)  # fmt: skip
    assert found.share[0] == pytest.approx(80.5 / 101)
    assert found.share_low[0] < 0.8 < found.share_high[0]
    assert found.log_strength.sum() == pytest.approx(0)


def test_intervals_cover_the_truth_at_least_as_often_as_they_say() -> None:
    truth = strengths(simulated(1, raters=300, prompts=300), 3, draws=2).share
    covered = []
    for seed in range(30):
        found = strengths(simulated(100 + seed), 3, draws=200, seed=seed)
        covered += ((found.share_low <= truth) & (truth <= found.share_high)).tolist()
    assert np.mean(covered) > 0.93
    # Choices counted alone would claim far too much.
    assert found.share_high[0] - found.share_low[0] > 2 * 1.96 * np.sqrt(0.25 / 480)


def test_one_that_always_wins_has_a_strength() -> None:
    found = strengths(judged([(0, 1, 0, i) for i in range(9)]), 2, draws=50)
    assert np.isfinite(found.log_strength).all()
    assert 0.9 < found.share[0] < 1


def test_rows_that_nothing_connects() -> None:
    with pytest.raises(ValueError, match="row 2: was never compared with row 0"):
        strengths(judged([(0, 1, 0, 0), (2, 3, 0, 1)]), 4, draws=2)


def test_the_same_seed_is_the_same_and_one_rater_is_not_resampled() -> None:
    rows = simulated(3, raters=1)
    one = strengths(rows, 3, draws=50, seed=7)
    assert (one.draws == strengths(rows, 3, draws=50, seed=7).draws).all()
    assert (one.draws != strengths(rows, 3, draws=50, seed=8).draws).any()
    weights = resampled(simulated(3, raters=2), 50, 0)
    assert weights.mean() == pytest.approx(1, abs=0.1)
    assert wins(rows, 3, np.ones((1, len(rows))))[0].tolist() == wins(rows, 3).tolist()


def test_agreement() -> None:
    alike = judged([(0, 1, 0, 0), (0, 1, 1, 0), (0, 1, 2, 0), (1, 0, 0, 1), (0, 1, 1, 1)])
    found = agreement(alike, draws=100)
    assert found is not None
    assert (found.num_compared, found.share) == (4, 0.75)
    # The same person twice is no agreement, and neither are other pictures of one prompt.
    assert agreement(judged([(0, 1, 0, 0), (0, 1, 0, 0), (0, 2, 1, 0)])) is None


def test_a_prompt_that_two_people_saw_counts_once() -> None:
    rng = np.random.default_rng(0)
    alike = rng.random(400) < 0.7
    both = [
        (0, 1, rater, prompt) if rater == 0 or alike[prompt] else (1, 0, rater, prompt)
        for prompt in range(400)
        for rater in (0, 1)
    ]
    found = agreement(judged(both), draws=1000)
    assert found is not None
    # Of two people a replicate has both or says nothing, so prompts alone are resampled.
    wanted = 2 * 1.96 * np.sqrt(found.share * (1 - found.share) / 400)
    assert found.high - found.low == pytest.approx(wanted, rel=0.15)


def test_the_accuracy_of_a_number() -> None:
    rows = judged([(0, 1, i % 5, i) for i in range(40)])
    better, worse = np.full(40, 2.0), np.ones(40)
    better[:10] = 0.0
    worse[10:20] = 2.0
    better[39] = np.nan
    found = metric_accuracy(rows, better, worse, draws=200)
    assert found is not None
    assert found.num == 39
    assert found.share == pytest.approx((19 + 0.5 * 10) / 39)
    assert found.low < found.share < found.high
    assert metric_accuracy(rows, np.full(40, np.nan), worse) is None
