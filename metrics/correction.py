"""Shares corrected by a classifier's confusion matrix, with intervals that know its errors.

Rogan and Gladen's estimate for any number of groups, kept to what shares can be: the most likely
true shares under a matrix. What no matrix can tell is whether it holds for these pictures; so
several are used, and their range is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize  # type: ignore[import-untyped]

from metrics.groups import Floats

# A bound on the log-likelihood that is still missing, in nats per picture.
_GAP = 1e-7
_STEPS = 2_000
# Beyond it the groups of a matrix cannot be told apart by what is perceived.
_WORST_CONDITION = 1e4
# A misfit of fewer pictures than one in a hundred changes no reading of a table.
_SLIGHT_MISFIT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfusionMatrix:
    """How often pictures of a true group (rows) are perceived as each group (columns)."""

    name: str
    note: str
    counts: Floats

    def __post_init__(self) -> None:
        counts = self.counts
        if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
            raise ValueError(f"matrix {self.name}: is {counts.shape}, should be square")
        if (counts < 0).any() or not (counts.sum(axis=1) > 0).all():
            raise ValueError(f"matrix {self.name}: needs counts of 0 or more, some in every row")
        if np.linalg.cond(self.rates) > _WORST_CONDITION:
            raise ValueError(
                f"matrix {self.name}: two of its rows are nearly alike, so that nothing can be "
                "corrected by it; merge those groups"
            )

    @property
    def rates(self) -> Floats:
        """The rows as probabilities."""
        return np.asarray(self.counts / self.counts.sum(axis=1, keepdims=True), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corrected:
    """Shares corrected by one matrix, with percentile intervals; a row of `draws` per replicate."""

    matrix: str
    shares: Floats
    low: Floats
    high: Floats
    # Total variation between what is seen and the nearest that any shares would make be seen.
    misfit: float
    # Whether that is more than one in a hundred, and more than chance brings about in 39 of 40
    # sets of as many pictures: then this matrix cannot be right for these.
    refuted: bool
    draws: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorrectedRange:
    """The same under several matrices; the first is the headline."""

    each: tuple[Corrected, ...]

    @property
    def headline(self) -> Corrected:
        """Under the first matrix."""
        return self.each[0]

    @property
    def low(self) -> Floats:
        """The lowest end of an interval under any matrix."""
        return np.asarray(np.min([one.low for one in self.each], axis=0))

    @property
    def high(self) -> Floats:
        """The highest end of an interval under any matrix."""
        return np.asarray(np.max([one.high for one in self.each], axis=0))


def most_likely_shares(seen: Floats, rates: Floats) -> Floats:
    """The true shares, (b, k), most likely to be seen as `seen`, (b, k), under rates (b, k, k).

    Where the inverse matrix gives shares they are exact; elsewhere expectation-maximisation goes on
    until the likelihood that is missing is bounded by a ten-millionth of a nat per picture. Where
    that crawls along an edge of what shares can be, a few steps of quadratic programming end it.
    """
    inverse = np.linalg.solve(np.swapaxes(rates, 1, 2), seen[..., None])[..., 0]
    result = np.array(inverse, dtype=np.float64)
    left = np.flatnonzero((inverse < 0).any(axis=1))
    shares = np.full((left.size, seen.shape[1]), 1 / seen.shape[1])
    for _ in range(_STEPS):
        if not left.size:
            return result
        matrix, wanted = rates[left], seen[left]
        fitted = np.einsum("bi,bij->bj", shares, matrix)
        ratio = np.divide(wanted, fitted, out=np.zeros_like(wanted), where=wanted > 0)
        gain = np.einsum("bij,bj->bi", matrix, ratio)
        # The best log-likelihood is less than max(gain) - 1 above this one (Lindsay 1983).
        done = gain.max(axis=1) - 1 < _GAP
        result[left[done]] = shares[done]
        left, shares = left[~done], (shares * gain)[~done]
    for place, begun in zip(left, shares, strict=True):
        result[place] = _settled(seen[place], rates[place], begun)
    return result


def _settled(seen: Floats, matrix: Floats, begun: Floats) -> Floats:
    """The most likely shares of one set, from some that are near them."""
    there = seen > 0
    rates, weights = matrix[:, there], seen[there]

    def fitted(shares: Floats) -> Floats:
        # A share of nothing may have left a cell without any chance to be seen.
        return np.asarray(np.maximum(shares @ rates, np.finfo(np.float64).tiny))

    def likelihood(shares: Floats) -> float:
        return float(weights @ np.log(fitted(shares)))

    found = minimize(
        lambda shares: -likelihood(shares),
        begun,
        jac=lambda shares: -rates @ (weights / fitted(shares)),
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(seen),
        constraints=[{"type": "eq", "fun": lambda shares: shares.sum() - 1}],
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    shares = np.clip(found.x, 0, 1)
    # Neither loses what the other has reached.
    return max(np.asarray(shares / shares.sum()), begun, key=likelihood)


def correct(
    counts: ArrayLike,
    matrix: ConfusionMatrix,
    *,
    draws: int = 1000,
    seed: int = 0,
    stream: int = 0,
    confidence: float = 0.95,
) -> Corrected:
    """Corrected shares of counts, with an interval from resampled pictures and matrix.

    Shares of what is seen are drawn from the Dirichlet distribution of the counts and a half each
    (Jeffreys): counts drawn anew would never show a group that was not seen. Each row of the matrix
    is drawn from the Dirichlet distribution of its own counts. Two sets under one seed and two
    streams share the draws of the matrix, so that the differences of their `draws` are those of
    sets seen by one analyser.
    """
    seen = np.asarray(counts, dtype=np.float64)
    if seen.shape != matrix.counts.shape[:1]:
        raise ValueError(
            f"matrix {matrix.name}: has {len(matrix.counts)} groups, the counts have {seen.size}"
        )
    if seen.sum() <= 0:
        raise ValueError(f"matrix {matrix.name}: nothing to correct, all counts are 0")
    part = seen / seen.sum()
    shares = most_likely_shares(part[None], matrix.rates[None])[0]
    again = np.random.default_rng([seed, stream]).dirichlet(seen + 0.5, size=draws)
    gammas = np.random.default_rng([seed, 2**31]).standard_gamma(
        matrix.counts, size=(draws, *matrix.counts.shape)
    )
    rates = gammas / gammas.sum(axis=2, keepdims=True)
    replicates = most_likely_shares(again, rates)
    tail = (1 - confidence) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail], axis=0)
    misfit = float(_misfits(part[None], shares[None], matrix.rates[None])[0])
    refuted = misfit > _SLIGHT_MISFIT
    if refuted:
        numbers = np.random.default_rng([seed, stream, 2]).multinomial(
            round(seen.sum()), np.einsum("i,bij->bj", shares, rates)
        )
        by_chance = _least_misfits(numbers / numbers.sum(axis=1, keepdims=True), matrix.rates)
        refuted = misfit > float(np.quantile(by_chance, 1 - tail))
    return Corrected(
        matrix=matrix.name,
        shares=shares,
        # At an end of what shares can be, all draws lie on one side of the estimate.
        low=np.minimum(low, shares),
        high=np.maximum(high, shares),
        misfit=misfit,
        refuted=refuted,
        draws=replicates,
    )


def _least_misfits(seen: Floats, rates: Floats) -> Floats:
    """How far each of some shares seen, (b, k), is from all that one matrix can make be seen."""
    every = np.broadcast_to(rates, (len(seen), *rates.shape))
    return _misfits(seen, most_likely_shares(seen, every), every)


def _misfits(seen: Floats, shares: Floats, rates: Floats) -> Floats:
    fitted = np.einsum("bi,bij->bj", shares, rates)
    return np.asarray(np.abs(seen - fitted).sum(axis=1) / 2)


def correct_over(
    counts: ArrayLike,
    matrices: Sequence[ConfusionMatrix],
    *,
    draws: int = 1000,
    seed: int = 0,
    stream: int = 0,
) -> CorrectedRange:
    """Corrected shares under each of several matrices."""
    each = (correct(counts, matrix, draws=draws, seed=seed, stream=stream) for matrix in matrices)
    return CorrectedRange(each=tuple(each))


def corrected_difference(of: Corrected, against: Corrected, confidence: float = 0.95) -> Floats:
    """`of` minus `against` for each group: estimate, low and high, (k, 3)."""
    apart = of.draws - against.draws
    tail = (1 - confidence) / 2
    low, high = np.quantile(apart, [tail, 1 - tail], axis=0)
    return np.stack([of.shares - against.shares, low, high], axis=-1)
