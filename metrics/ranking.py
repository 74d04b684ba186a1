"""People's rankings of pictures of one prompt, and which numbers agree with them (paper 3).

A label is the score that a rater gives a picture: the number of pictures for the best one, 1 for
the worst, 0 where there is none. Nothing undecided is decided here: it is 0 too, to be told.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.groups import Codes, Floats
from metrics.intervals import wilson

_TAIL = 0.025


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A number with an interval over prompts, and of how many pairs or pictures it is."""

    value: float
    low: float
    high: float
    num: int
    num_ties: int = 0
    num_gaps: int = 0


def whole_rankings(labels: Codes) -> NDArray[np.bool_]:
    """Which labels of pictures (..., K) are a ranking: each of 1 to K once."""
    wanted = np.arange(1, labels.shape[-1] + 1)
    return np.asarray((np.sort(labels, axis=-1) == wanted).all(axis=-1))


def majority_of_labels(labels: Codes) -> Codes:
    """Scores (T, K) of triplets by whole rankings (T, raters, K): what more than half gave each.

    A triplet is undecided, all 0, where a picture has no such label or two have the same one. Rows
    of 0 are raters who did not rank the triplet.
    """
    counts = _label_counts(labels)
    voters = (labels > 0).all(axis=2).sum(axis=1)
    clear = counts.max(axis=2) * 2 > voters[:, None]
    scores = np.where(clear, counts.argmax(axis=2) + 1, 0)
    return np.where(whole_rankings(scores)[:, None], scores, 0).astype(np.int64)


def majority_of_pairs(labels: Codes) -> Codes:
    """Scores (T, K) by the majority on each pair of pictures; undecided are draws and circles."""
    above = (labels[:, :, :, None] > labels[:, :, None, :]).sum(axis=1)
    beats = above > np.swapaxes(above, 1, 2)
    scores = beats.sum(axis=2) + 1
    return np.where(whole_rankings(scores)[:, None], scores, 0).astype(np.int64)


def agreeing_share(labels: Codes, at_least: int) -> float:
    """The share of pictures to which at least so many raters gave the same label."""
    return float((_label_counts(labels).max(axis=2) >= at_least).mean())


def agreeing_by_chance(raters: int, num_labels: int, at_least: int) -> float:
    """That share if every rater ranked at random."""
    total = 0.0
    for counts in itertools.product(range(raters + 1), repeat=num_labels):
        if sum(counts) == raters and max(counts) >= at_least:
            ways = math.factorial(raters) / math.prod(map(math.factorial, counts))
            total += ways / num_labels**raters
    return total


def score_shares(scores: Codes, models: Codes, num_models: int) -> tuple[Floats, Floats]:
    """Table 1: the share of each score among a model's pictures, (M, K), and its mean score (M,).

    Undecided triplets count for nothing; a model without any has NaN.
    """
    decided = scores[:, 0] > 0
    num_scores = scores.shape[1]
    table = np.zeros((num_models, num_scores))
    np.add.at(table, (models[decided].ravel(), scores[decided].ravel() - 1), 1)
    totals = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, totals, out=np.full_like(table, np.nan), where=totals > 0)
    return shares, shares @ np.arange(1, num_scores + 1)


def pair_accuracy(
    scores: Codes,
    values: Floats,
    prompts: Codes,
    *,
    adjacent: bool = False,
    draws: int = 1000,
    seed: int = 0,
) -> Share | None:
    """Table 2: how often a number, larger being better, ranks two pictures as people do.

    Of every pair of a decided triplet, or of neighbours in the ranking alone. Equal numbers count a
    half; a pair without both numbers is left out; both are counted. None where no pair is left.
    """
    right, counted = np.zeros(len(scores)), np.zeros(len(scores))
    num_ties = num_gaps = 0
    for one, other in itertools.combinations(range(scores.shape[1]), 2):
        step = scores[:, one] - scores[:, other]
        asked = (scores[:, one] > 0) & ((np.abs(step) == 1) if adjacent else (step != 0))
        difference = values[:, one] - values[:, other]
        known = asked & np.isfinite(difference)
        num_gaps += int((asked & ~known).sum())
        num_ties += int((known & (difference == 0)).sum())
        right[known] += 0.5 + 0.5 * np.sign(difference[known]) * np.sign(step[known])
        counted[known] += 1
    if not counted.any():
        return None
    weights = _resampled(prompts, draws, seed)
    again = _ratios(weights @ right, weights @ counted)
    value = float(right.sum() / counted.sum())
    low, high = np.quantile(again, [_TAIL, 1 - _TAIL])
    if low == high:
        # Where all are right, draws again know of nothing else. Pairs of a prompt count as one.
        num_prompts = len(np.unique(prompts[counted > 0]))
        low, high = wilson(value * num_prompts, num_prompts)
    return Share(
        value=value,
        low=float(low),
        high=float(high),
        num=int(counted.sum()),
        num_ties=num_ties,
        num_gaps=num_gaps,
    )


def pearson(
    scores: Codes, values: Floats, prompts: Codes, *, draws: int = 1000, seed: int = 0
) -> Share | None:
    """Table 4: the correlation of people's scores with a number, over pictures that have both.

    None where either does not vary.
    """
    decided = (scores > 0) & np.isfinite(values)
    gaps = int(((scores > 0) & ~decided).sum())
    own = np.where(decided, values, 0.0)
    # Around the means, so that sums of squares do not swallow each other.
    told = np.where(decided, scores - _mean(scores, decided), 0.0)
    own = np.where(decided, own - _mean(own, decided), 0.0)
    sums = np.stack([decided, told, own, told**2, own**2, told * own]).sum(axis=2).T
    value = _correlation(sums.sum(axis=0, keepdims=True))[0]
    if not np.isfinite(value):
        return None
    again = _correlation(_resampled(prompts, draws, seed) @ sums)
    low, high = np.quantile(again[np.isfinite(again)], [_TAIL, 1 - _TAIL])
    return Share(
        value=float(value), low=float(low), high=float(high), num=int(decided.sum()), num_gaps=gaps
    )


def normalised(values: Floats) -> Floats:
    """Numbers squeezed to 0..1 by the smallest and the largest of all; NaN stays NaN."""
    known = values[np.isfinite(values)]
    if not len(known) or known.min() == known.max():
        return np.full_like(values, np.nan)
    return np.asarray((values - known.min()) / (known.max() - known.min()))


def medians_and_stds(values: Floats, models: Codes, num_models: int) -> tuple[Floats, Floats]:
    """Table 4: median and standard deviation (of n, not n - 1) of each model's numbers."""
    medians, stds = np.full(num_models, np.nan), np.full(num_models, np.nan)
    for model in range(num_models):
        own = values[models == model]
        own = own[np.isfinite(own)]
        if len(own):
            medians[model], stds[model] = np.median(own), own.std()
    return medians, stds


def _label_counts(labels: Codes) -> Codes:
    """How many raters gave each label to each picture, (T, K, labels)."""
    wanted = np.arange(1, labels.shape[2] + 1)
    return np.asarray((labels[:, :, :, None] == wanted).sum(axis=1))


def _resampled(prompts: Codes, draws: int, seed: int) -> Floats:
    """How often each triplet's prompt is drawn in each replicate, (draws, T)."""
    names, places = np.unique(prompts, return_inverse=True)
    even = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(seed).multinomial(len(names), even, size=draws)
    return np.asarray(drawn[:, places], dtype=np.float64)


def _ratios(parts: Floats, wholes: Floats) -> Floats:
    """Of the replicates in which there is anything."""
    return np.asarray(parts[wholes > 0] / wholes[wholes > 0])


def _mean(values: Floats | Codes, known: NDArray[np.bool_]) -> float:
    return float(values[known].mean()) if known.any() else 0.0


def _correlation(sums: Floats) -> Floats:
    """Correlations of rows of (n, sum x, sum y, sum xx, sum yy, sum xy); NaN where none is."""
    count, x, y, xx, yy, xy = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (xx - x**2 / count) * (yy - y**2 / count)
        found = (xy - x * y / count) / np.sqrt(spread)
    return np.where(spread > 0, found, np.nan)
