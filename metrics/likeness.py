"""How much of how faces differ a label (a name) explains, and which labels are the most stable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metrics.association import MOST_FOR_P, too_many_for_p
from metrics.groups import Codes, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One-way random effects over vectors: every sum of squares is over all their components.

    `eta_squared` is the plain share of variance, which is above 0 by chance alone; `omega_squared`
    and `intraclass` are corrected for that, and `by_chance` is what shuffled labels give eta.
    `p_value` is None where `no_p_because` says why.
    """

    num_rows: int
    num_labels: int
    eta_squared: float
    omega_squared: float
    intraclass: float
    by_chance_mean: float
    by_chance_95: float
    p_value: float | None
    no_p_because: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """How alike the vectors of one label are: the mean cosine over its pairs."""

    label: int
    num_rows: int
    mean_cosine: float


def explained_variance(
    vectors: Floats, labels: Codes, *, permutations: int = 200, seed: int = 0
) -> Explained:
    """What the labels with two rows or more explain of the vectors' variance."""
    vectors, sizes = _grouped(vectors, labels)
    num_rows, num_labels = len(vectors), len(sizes)
    if num_labels < 2:
        raise ValueError(
            f"likeness: {num_labels} names have two faces or more, should be at least 2"
        )
    vectors = vectors - vectors.mean(axis=0)
    total = float(np.square(vectors).sum())
    if not total:
        raise ValueError("likeness: all faces have one and the same embedding")
    between = _between(vectors, sizes)
    rng = np.random.default_rng(seed)
    shuffled = np.array(
        [_between(vectors[rng.permutation(num_rows)], sizes) for _ in range(permutations)]
    )
    within_mean = (total - between) / (num_rows - num_labels)
    between_mean = between / (num_labels - 1)
    # Rows per label that unequal sizes amount to.
    usual = (num_rows - float(np.square(sizes).sum()) / num_rows) / (num_labels - 1)
    spread = between_mean + (usual - 1) * within_mean
    p_value = float((1 + (shuffled >= between * (1 - 1e-12)).sum()) / (1 + permutations))
    return Explained(
        num_rows=num_rows,
        num_labels=num_labels,
        eta_squared=between / total,
        omega_squared=(between - (num_labels - 1) * within_mean) / (total + within_mean),
        intraclass=(between_mean - within_mean) / spread if spread else 1.0,
        by_chance_mean=float(shuffled.mean() / total),
        by_chance_95=float(np.quantile(shuffled, 0.95) / total),
        p_value=p_value if num_rows <= MOST_FOR_P else None,
        no_p_because=None if num_rows <= MOST_FOR_P else too_many_for_p(num_rows),
    )


def most_stable(vectors: Floats, labels: Codes, count: int) -> list[Stability]:
    """The labels whose unit vectors are most alike, the smaller label first where equal."""
    rows, sizes = _grouped(vectors, labels)
    kept = np.flatnonzero(np.bincount(labels[labels >= 0]) > 1)
    means = _mean_cosines(rows, sizes)
    order = np.lexsort((kept, -np.round(means, 12)))[:count]
    return [
        Stability(label=int(kept[i]), num_rows=int(sizes[i]), mean_cosine=float(means[i]))
        for i in order
    ]


def stability_by_chance(
    vectors: Floats, labels: Codes, *, permutations: int = 200, seed: int = 0
) -> float:
    """What the most stable of all labels reaches in 95 of 100 shuffles: the list's yardstick."""
    rows, sizes = _grouped(vectors, labels)
    rng = np.random.default_rng(seed)
    best = [
        float(_mean_cosines(rows[rng.permutation(len(rows))], sizes).max())
        for _ in range(permutations)
    ]
    return float(np.quantile(best, 0.95))


def number_labels(labels: Sequence[str | None]) -> tuple[Codes, list[str]]:
    """A number per row, -1 for None, and the distinct labels in their order of the alphabet."""
    names = sorted({label for label in labels if label is not None})
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([-1 if one is None else numbers[one] for one in labels], dtype=np.int64), names


def _grouped(vectors: Floats, labels: Codes) -> tuple[Floats, Codes]:
    """The rows of labels with two or more, label after label, and how many each has."""
    sizes = np.bincount(labels[labels >= 0])
    repeated = (labels >= 0) & (np.append(sizes, 0)[labels] > 1)
    order = np.flatnonzero(repeated)[np.argsort(labels[repeated], kind="stable")]
    return vectors[order].astype(np.float64), sizes[sizes > 1].astype(np.int64)


def _sums(rows: Floats, sizes: Codes) -> Floats:
    return np.asarray(np.add.reduceat(rows, np.append(0, np.cumsum(sizes)[:-1]), axis=0))


def _between(centred: Floats, sizes: Codes) -> float:
    """The sum of squares between labels of rows whose mean is 0."""
    return float((np.square(_sums(centred, sizes)).sum(axis=1) / sizes).sum())


def _mean_cosines(rows: Floats, sizes: Codes) -> Floats:
    """The mean cosine within each label; the squared length of a sum holds all its pairs."""
    squares = np.square(_sums(rows, sizes)).sum(axis=1)
    return np.asarray((squares - sizes) / (sizes * (sizes - 1.0)))
