"""What changes between the two pictures of a pair: groups and measures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr  # type: ignore[import-untyped]

from metrics.association import MOST_FOR_P, p_or_why_not
from metrics.groups import Codes, Floats, confusion_counts

_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drift:
    """How groups moved over pairs: before in rows, after in columns."""

    num: int
    moves: Codes
    changed: float
    # Share after minus share before for each group, with low and high: (k, 3).
    net: Floats
    kappa: float
    test: str
    statistic: float
    degrees: int
    p_value: float | None
    no_p_because: str | None


def drift(before: Codes, after: Codes, num_groups: int) -> Drift:
    """The drift over pairs where both pictures have a group."""
    both = (before >= 0) & (after >= 0)
    return drift_of_moves(confusion_counts(before[both], after[both], num_groups))


def drift_of_moves(moves: Codes, confidence: float = 0.95) -> Drift:
    """The same from a table of moves; whether marginal shares changed, tested for paired data.

    Two groups: McNemar's test, exact by the binomial distribution. More: Stuart and Maxwell's.
    """
    num = int(moves.sum())
    two = len(moves) == 2
    statistic, degrees = _stuart_maxwell(moves)
    p_value, because = p_or_why_not(num, statistic, degrees)
    if two and p_value is not None:
        p_value = exact_mcnemar(int(moves[0, 1]), int(moves[1, 0]))
    return Drift(
        num=num,
        moves=moves,
        changed=1 - float(np.trace(moves)) / num if num else math.nan,
        net=_net(moves, confidence),
        kappa=_kappa(moves),
        test="McNemar, exact" if two and num <= MOST_FOR_P else "Stuart-Maxwell",
        statistic=statistic,
        degrees=degrees,
        p_value=p_value,
        no_p_because=because,
    )


def exact_mcnemar(one_way: int, other_way: int) -> float:
    """The two-sided chance of so uneven a split of changed pairs, if both ways are as likely."""
    changed = one_way + other_way
    return min(1.0, 2 * float(bdtr(min(one_way, other_way), changed, 0.5)))


def summarise(values: ArrayLike) -> Mapping[str, float]:
    """Number, mean, deviation and quantiles of a measure; NaN is left out."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not known.size:
        return {"num": 0}
    told = {
        "num": int(known.size),
        "mean": float(known.mean()),
        "deviation": float(known.std(ddof=1)) if known.size > 1 else 0.0,
        "least": float(known.min()),
        "most": float(known.max()),
    }
    quantiles = np.quantile(known, _QUANTILES)
    named = zip(_QUANTILES, quantiles, strict=True)
    return told | {f"q{quantile * 100:02.0f}": float(value) for quantile, value in named}


def cosines(before: Floats, after: Floats) -> Floats:
    """The cosine of each pair of rows; NaN where one has none."""
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    dots = np.einsum("ij,ij->i", before, after)
    cosine = np.divide(dots, lengths, out=np.full(len(dots), np.nan), where=lengths > 0)
    return np.asarray(cosine, dtype=np.float64)


def _stuart_maxwell(moves: Codes) -> tuple[float, int]:
    """Statistic and degrees of freedom; groups that nothing enters or leaves do not count."""
    rows, columns = moves.sum(axis=1), moves.sum(axis=0)
    apart = (rows - columns).astype(np.float64)
    spread = np.diag(rows + columns) - moves - moves.T
    # The pseudo-inverse needs no group left out by hand; its rank is the degrees of freedom.
    degrees = int(np.linalg.matrix_rank(spread))
    statistic = float(apart @ np.linalg.pinv(spread, hermitian=True) @ apart)
    return max(0.0, statistic), degrees


def _net(moves: Codes, confidence: float) -> Floats:
    """Paired differences of shares with Agresti and Min's adjusted Wald interval."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    into = (moves.sum(axis=0) - np.diag(moves)).astype(np.float64)
    out_of = (moves.sum(axis=1) - np.diag(moves)).astype(np.float64)
    num = float(moves.sum())
    if not num:
        return np.tile([math.nan, -1.0, 1.0], (len(moves), 1))
    # Half a pair is added to each of the four cells of a group's own two by two table.
    gained, lost, more = into + 0.5, out_of + 0.5, num + 2
    middle = (gained - lost) / more
    half = z * np.sqrt(np.maximum(gained + lost - (gained - lost) ** 2 / more, 0.0)) / more
    low, high = np.maximum(middle - half, -1.0), np.minimum(middle + half, 1.0)
    return np.stack([(into - out_of) / num, low, high], axis=-1)


def _kappa(moves: Codes) -> float:
    """Cohen's kappa: agreement beyond chance; NaN where chance alone agrees."""
    num = float(moves.sum())
    if not num:
        return math.nan
    agreed = float(np.trace(moves)) / num
    chance = float((moves.sum(axis=0) * moves.sum(axis=1)).sum()) / num**2
    return (agreed - chance) / (1 - chance) if chance < 1 else math.nan
