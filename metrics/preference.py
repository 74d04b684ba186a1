"""What people's choices between pictures say: strengths, agreement, and which numbers agree.

A judgement is one person's choice of one row's picture over another row's picture of one prompt.
Intervals resample people and prompts together, as both are samples: choices of one person, and
choices about one prompt, go together, and counting choices alone would make them far too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.groups import Codes, Floats

# Half a choice each way between rows that were compared at all, so that one that always wins has a
# strength too. With a hundred choices a pair it moves a share by less than one in a hundred.
_PRIOR = 0.5
_STEPS, _STILL = 10_000, 1e-10
_TAIL = 0.025


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgements:
    """A choice per place: codes of the chosen row, of the other one, of the person, the prompt."""

    better: Codes
    worse: Codes
    rater: Codes
    prompt: Codes

    def __len__(self) -> int:
        return len(self.better)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strengths:
    """Bradley-Terry: the log-odds of each row over the mean row, and the share it would win.

    `share` is the chance to be chosen over one of the other rows drawn at random. A row of `draws`
    is the log-strengths of one replicate.
    """

    log_strength: Floats
    share: Floats
    share_low: Floats
    share_high: Floats
    draws: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How often two people choose alike where both were shown the same two pictures."""

    num_compared: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricAccuracy:
    """How often a number prefers what a person preferred; equal numbers count a half."""

    num: int
    share: float
    low: float
    high: float


def resampled(judgements: Judgements, draws: int, seed: int) -> Floats:
    """A weight of each judgement in each replicate, (draws, n): people times prompts.

    Both are drawn with replacement, and a judgement weighs the product (Owen's pigeonhole
    bootstrap, which errs on the wide side).
    """
    of_raters, of_prompts = _resampled_each(judgements, draws, seed)
    return of_raters * of_prompts


def wins(judgements: Judgements, num_rows: int, weights: Floats | None = None) -> Floats:
    """How often each row (first) was chosen over each other one, (..., k, k)."""
    cells = judgements.better * num_rows + judgements.worse
    if weights is None:
        counts = np.bincount(cells, minlength=num_rows**2)
        return np.asarray(counts, dtype=np.float64).reshape(num_rows, num_rows)
    table = np.zeros((len(weights), num_rows**2))
    np.add.at(table.T, cells, weights.T)
    return table.reshape(-1, num_rows, num_rows)


def strengths(
    judgements: Judgements, num_rows: int, *, draws: int = 1000, seed: int = 0
) -> Strengths:
    """Strengths of rows that are all compared, at least through others; ValueError if not."""
    table = wins(judgements, num_rows)
    apart = uncompared(table)
    if apart is not None:
        raise ValueError(f"row {apart}: was never compared with row 0, not even through others")
    fitted = _fitted(table[None])[0]
    again = wins(judgements, num_rows, resampled(judgements, draws, seed))
    # A replicate may lack a pair of rows; what is known of them then is the prior's half.
    replicates = _fitted(again, compared=(table + table.T) > 0)
    shares = _shares(replicates)
    low, high = np.quantile(shares, [_TAIL, 1 - _TAIL], axis=0)
    return Strengths(
        log_strength=fitted,
        share=_shares(fitted[None])[0],
        share_low=np.asarray(low),
        share_high=np.asarray(high),
        draws=replicates,
    )


def agreement(judgements: Judgements, *, draws: int = 1000, seed: int = 0) -> Agreement | None:
    """Between people; None where no two of them saw the same two pictures."""
    first, second = _met(judgements)
    if not len(first):
        return None
    alike = (judgements.better[first] == judgements.better[second]).astype(np.float64)
    of_raters, of_prompts = _resampled_each(judgements, draws, seed)
    # A case is of two people and of one prompt, which counts once.
    weights = of_raters[:, first] * of_raters[:, second] * of_prompts[:, first]
    share, low, high = _mean_over(alike, weights)
    return Agreement(num_compared=len(first), share=share, low=low, high=high)


def metric_accuracy(
    judgements: Judgements, better: Floats, worse: Floats, *, draws: int = 1000, seed: int = 0
) -> MetricAccuracy | None:
    """Of a number, larger being better, of the chosen and of the other picture of each judgement.

    Judgements of pictures without a number are left out; None where that leaves nothing.
    """
    known = np.isfinite(better) & np.isfinite(worse)
    if not known.any():
        return None
    right = 0.5 + 0.5 * np.sign(better[known] - worse[known])
    weights = resampled(judgements, draws, seed)[:, known]
    share, low, high = _mean_over(right, weights)
    return MetricAccuracy(num=int(known.sum()), share=share, low=low, high=high)


def _resampled_each(judgements: Judgements, draws: int, seed: int) -> tuple[Floats, Floats]:
    """How often each judgement's person was drawn, and its prompt, (draws, n) each."""
    rng = np.random.default_rng(seed)
    drawn = []
    for codes in (judgements.rater, judgements.prompt):
        names, places = np.unique(codes, return_inverse=True)
        if len(names) > 1:
            even = np.full(len(names), 1 / len(names))
            drawn.append(rng.multinomial(len(names), even, size=draws)[:, places].astype(float))
        else:  # of one person alone nothing can be said about others
            drawn.append(np.ones((draws, len(judgements))))
    return drawn[0], drawn[1]


def _fitted(table: Floats, compared: np.ndarray | None = None) -> Floats:
    """Centred log-strengths, (b, k), of tables of wins, (b, k, k): Hunter's MM algorithm."""
    seen = (table + np.swapaxes(table, 1, 2) > 0) if compared is None else compared
    table = table + _PRIOR * seen
    met = table + np.swapaxes(table, 1, 2)
    won = table.sum(axis=2)
    strength = np.ones(won.shape)
    for _ in range(_STEPS):
        both = strength[:, :, None] + strength[:, None, :]
        new = won / (met / both).sum(axis=2)
        new /= np.exp(np.log(new).mean(axis=1, keepdims=True))
        moved = np.abs(np.log(new / strength)).max()
        strength = new
        if moved < _STILL:
            break
    return np.asarray(np.log(strength))


def _shares(log_strength: Floats) -> Floats:
    """The mean chance of each row to be chosen over another, (b, k)."""
    num_rows = log_strength.shape[1]
    beats = 1 / (1 + np.exp(log_strength[:, None, :] - log_strength[:, :, None]))
    return np.asarray((beats.sum(axis=2) - 0.5) / (num_rows - 1))


def uncompared(table: Floats) -> int | None:
    """A row of a table of wins that no chain of comparisons leads to from the first, if any."""
    met = (table + table.T) > 0
    reached = np.zeros(len(table), bool)
    reached[0] = True
    for _ in range(len(table)):
        reached |= met[reached].any(axis=0)
    return None if reached.all() else int(np.flatnonzero(~reached)[0])


def _met(judgements: Judgements) -> tuple[Codes, Codes]:
    """Pairs of judgements about the same two pictures by different people."""
    low = np.minimum(judgements.better, judgements.worse)
    high = np.maximum(judgements.better, judgements.worse)
    order = np.lexsort((judgements.rater, high, low, judgements.prompt))
    first, second = [], []
    key = np.stack([judgements.prompt, low, high], axis=1)[order]
    bounds = np.flatnonzero(np.append(True, (key[1:] != key[:-1]).any(axis=1)))
    for begin, end in zip(bounds, np.append(bounds[1:], len(order)), strict=True):
        one, other = np.triu_indices(end - begin, 1)
        first.append(order[begin + one])
        second.append(order[begin + other])
    pairs = (
        np.concatenate(first or [np.zeros(0, int)]),
        np.concatenate(second or [np.zeros(0, int)]),
    )
    different = judgements.rater[pairs[0]] != judgements.rater[pairs[1]]
    return pairs[0][different], pairs[1][different]


def _mean_over(values: Floats, weights: Floats) -> tuple[float, float, float]:
    """The mean, and its interval over replicates; those in which nothing weighs are left out."""
    total = weights.sum(axis=1)
    means = (weights @ values)[total > 0] / total[total > 0]
    low, high = np.quantile(means, [_TAIL, 1 - _TAIL]) if len(means) else (0.0, 1.0)
    return float(values.mean()), float(low), float(high)
