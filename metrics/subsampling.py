"""Errors by drawing parts of the prompts without replacement, all rows together.

A bootstrap with replacement repeats pictures; repeated pictures shrink a covariance and lift every
Frechet distance by more than its interval is wide. Parts have no such doubles, and what they differ
by because they are small is known: two sizes tell the error of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from metrics.groups import Codes, Floats

# One column a part, 1 where a prompt is in it: those of test-A, and those of test-B.
Members = tuple[Floats, Floats]
# The whole is cut into this many disjoint parts, again and again.
CUTS = (2, 4)
# A quarter has to have a covariance.
LEAST = 8
# A share of what is not this many errors above 0 is noise divided by noise.
LEAST_ERRORS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value, its standard error, and the interval that a normal distribution makes of both."""

    value: float
    error: float
    low: float
    high: float


def parts(sizes: Sequence[int], cut: int, draws: int, seed: int) -> Iterator[tuple[Codes, ...]]:
    """`draws` parts, one of `cut` of each group of prompts; whole partitions, one after another.

    Every prompt is in as many parts as any other, so what a single prompt adds to the mean over
    all parts is what it adds to the whole.
    """
    if min(sizes) < LEAST:
        raise ValueError(f"{min(sizes)} prompts: give at least {LEAST} in each half")
    rng = np.random.default_rng([seed, cut])
    for _ in range(-(-draws // cut)):
        orders = [rng.permutation(size) for size in sizes]
        for part in range(cut):
            yield tuple(
                np.sort(order[part * (len(order) // cut) : (part + 1) * (len(order) // cut)])
                for order in orders
            )


def membership(sizes: tuple[int, int], drawn: Sequence[tuple[Codes, ...]]) -> Members:
    """Which prompts of two groups are in the whole, in the first column, and in each part."""
    one, other = (np.zeros((size, 1 + len(drawn))) for size in sizes)
    one[:, 0] = other[:, 0] = 1
    for column, (in_one, in_other) in enumerate(drawn, 1):
        one[in_one, column] = 1
        other[in_other, column] = 1
    return one, other


def without_bias(whole: float, means: Sequence[float], num: int) -> float:
    """What a statistic would be of endlessly many prompts, from its mean over parts of each cut.

    The bias of n prompts is taken for c / n + e / n^2, which three sizes tell exactly.
    """
    inverse = np.array([1 / num, *(1 / (num // cut) for cut in CUTS)])
    weights = [
        np.prod([x / (x - here) for x in inverse if x != here])  # Lagrange's, at 1 / n = 0
        for here in inverse
    ]
    return float(np.dot(weights, [whole, *means]))


def error(by_cut: Sequence[NDArray[np.floating]], num: int) -> float:
    """The standard error of a statistic of `num` prompts, from its values over parts of each cut.

    A Frechet distance is not linear in its prompts. Of n of N prompts without replacement, its
    linear part varies by A (N/n - 1) and its quadratic part by B (N^2/n^2 - 1), where the whole
    varies by A + B; two sizes tell both. Halves alone, taken for linear, give up to three times B.
    """
    ratios = np.array([num / (num // cut) for cut in CUTS])
    found = np.array([np.var(values, ddof=1) for values in by_cut])
    linear, quadratic = ratios - 1, ratios**2 - 1
    both = np.linalg.solve(np.stack([linear, quadratic], 1), found).sum()
    # Neither A nor B is negative.
    kept = np.clip(both, found[0] / quadratic[0], found[0] / linear[0])
    return float(np.sqrt(kept))


def estimate(value: float, its_error: float, confidence: float = 0.95) -> Estimate:
    """A value with the interval of its error."""
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * its_error
    return Estimate(value=value, error=its_error, low=value - reach, high=value + reach)


def over_parts(values: Sequence[Floats]) -> list[Floats]:
    """The deviations of each cut's values from their own mean, over the first axis."""
    return [one - one.mean(0) for one in values]
