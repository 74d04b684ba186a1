"""The paper's first hypothesis as a number: is what the target changes the same every time?

Several targets of one source, made with different seeds, differ by chance. What they have in common
a head could learn; what they differ by no function of the source can know. In features, so that
"common" means what a network sees, not pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metrics.groups import Floats
from metrics.subsampling import CUTS, LEAST_ERRORS, Estimate, error, estimate, parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """How the mean square difference of target and source is made up, over sources and seeds.

    `explainable` = `constant` + `by_source`: what the source tells of its target on average, as one
    change for all and as a change of its own. The rest differs from seed to seed.
    """

    num_sources: int
    num_seeds: int
    mean_square: float
    explainable: Estimate
    constant: Estimate
    by_source: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """How much of what is explainable a head's change comes to.

    `share` = 1 for the mean of all targets that a source could have, 0 for no change, below 0 where
    the head is further from the targets than the source is. A head that paints its own fine detail
    pays for it here, so `alignment` tells direction alone: the cosine of its change with what is
    explainable, -1 to 1.
    """

    share: Estimate
    alignment: Estimate


def consistency(
    sources: NDArray[np.floating],
    targets: NDArray[np.floating],
    *,
    draws: int = 400,
    seed: int = 0,
) -> Consistency:
    """From features of sources (N, D) and of K >= 2 targets of each (N, K, D)."""
    changes = _changes(sources, targets)
    moments = _moments(changes)

    def shares(rows: Floats) -> Floats:
        total, within = rows[:, 0].mean(), rows[:, 1].mean()
        constant = _constant(rows)
        return np.array([(total - within) / total, constant / total])

    both = _with_errors(moments, shares, draws, seed)
    explainable, constant, by_source = (
        _weighted(both, weights) for weights in ((1, 0), (0, 1), (1, -1))
    )
    return Consistency(
        num_sources=len(sources),
        num_seeds=changes.shape[1],
        mean_square=float(moments[:, 0].mean()),
        explainable=explainable,
        constant=constant,
        by_source=by_source,
    )


def explained_by(
    outputs: NDArray[np.floating],
    sources: NDArray[np.floating],
    targets: NDArray[np.floating],
    *,
    draws: int = 400,
    seed: int = 0,
) -> Explained | None:
    """What a head's outputs (N, D) explain of the differences of the same sources and targets.

    None where what is explainable is lost in its error.
    """
    changes = _changes(sources, targets)
    if np.shape(outputs) != np.shape(sources):
        raise ValueError(
            f"outputs of shape {np.shape(outputs)}: should be {np.shape(sources)}, one for a source"
        )
    own = np.asarray(outputs, np.float64) - np.asarray(sources, np.float64)
    # The product with the mean change has no bias: the head knows none of the seeds.
    product = np.einsum("ij,ij->i", own, changes.mean(1))
    moments = np.column_stack([_moments(changes)[:, :2], product, np.square(own).sum(1)])
    found = _with_errors(moments, lambda rows: rows.mean(0), draws, seed)
    explainable = _weighted(found, (1, -1, 0, 0))
    if explainable.value < LEAST_ERRORS * explainable.error or explainable.value <= 0:
        return None
    share, alignment = _shares(found[0])
    return Explained(
        share=estimate(share[0], _weighted(found, share[1]).error),
        alignment=estimate(alignment[0], _weighted(found, alignment[1]).error),
    )


def _shares(means: Floats) -> tuple[tuple[float, Floats], tuple[float, Floats]]:
    """Share and alignment, each with its slope in total, within, product and size."""
    total, within, product, size = (float(one) for one in means)
    explainable = total - within
    share = (2 * product - size) / explainable
    slope = np.array([-share, share, 2, -1]) / explainable
    if not size:
        return (share, slope), (0.0, np.zeros(4))
    length = float(np.sqrt(size * explainable))
    cosine = product / length
    turn = -cosine / (2 * explainable)
    return (share, slope), (
        cosine,
        np.array([turn, -turn, 1 / length, -cosine / (2 * size)]),
    )


def _changes(sources: NDArray[np.floating], targets: NDArray[np.floating]) -> Floats:
    """(N, K, D)."""
    here, there = np.asarray(sources, np.float64), np.asarray(targets, np.float64)
    if there.ndim != 3 or there.shape[::2] != here.shape or there.shape[1] < 2:
        raise ValueError(
            f"targets of shape {there.shape}: should be ({here.shape[0]}, at least 2 seeds, "
            f"{here.shape[-1]}); make more targets of the same sources with other seeds"
        )
    return np.asarray(there - here[:, None])


def _moments(changes: Floats) -> Floats:
    """Each source's mean square change, variance between its seeds, and mean change (N, 2 + D)."""
    seeds = changes.shape[1]
    mean = changes.mean(1)
    total = np.square(changes).sum(2).mean(1)
    within = np.square(changes - mean[:, None]).sum((1, 2)) / (seeds - 1)
    return np.column_stack([total, within, mean])


def _constant(rows: Floats) -> float:
    """The squared length of the mean change of all sources, without what chance adds to it."""
    means = rows[:, 2:]
    num = len(means)
    squares = float(np.square(means).sum())
    summed = float(np.square(means.sum(0)).sum())
    # Products of two different sources have no bias.
    return (summed - squares) / (num * (num - 1))


def _with_errors(
    rows: Floats, statistic: Callable[[Floats], Floats], draws: int, seed: int
) -> tuple[Floats, list[Floats], int]:
    by_cut = [
        np.stack([statistic(rows[part]) for (part,) in parts([len(rows)], cut, draws, seed)])
        for cut in CUTS
    ]
    return statistic(rows), by_cut, len(rows)


def _weighted(found: tuple[Floats, list[Floats], int], weights: ArrayLike) -> Estimate:
    (value, by_cut, num), factors = found, np.asarray(weights, np.float64)
    return estimate(float(value @ factors), error([one @ factors for one in by_cut], num))
