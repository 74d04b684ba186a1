"""How strongly two ways of grouping go together: effect sizes, and p-values where they tell.

Above ten thousand pictures any difference is significant, so none is given there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincc  # type: ignore[import-untyped]

from metrics.groups import Floats

MOST_FOR_P = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """Cramer's V of a table of counts; `p_value` is None where `no_p_because` says why."""

    num: int
    chi_square: float
    degrees: int
    cramers_v: float
    cramers_v_corrected: float
    p_value: float | None
    no_p_because: str | None


def associate(counts: ArrayLike) -> Association:
    """Cramer's V of a table, also bias-corrected (Bergsma 2013); empty rows and columns are cut."""
    table = _cut(np.asarray(counts, dtype=np.float64))
    num = int(table.sum())
    rows, columns = table.shape
    degrees = max(0, (rows - 1) * (columns - 1))
    if num < 2 or not degrees:
        return Association(
            num=num,
            chi_square=0.0,
            degrees=degrees,
            cramers_v=0.0,
            cramers_v_corrected=0.0,
            p_value=None,
            no_p_because="fewer than two groups on one side",
        )
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / num
    chi_square = float(((table - expected) ** 2 / expected).sum())
    phi = chi_square / num
    less = min(rows, columns) - 1
    unbiased = max(0.0, phi - degrees / (num - 1))
    rows_left = rows - (rows - 1) ** 2 / (num - 1)
    columns_left = columns - (columns - 1) ** 2 / (num - 1)
    less_corrected = min(rows_left, columns_left) - 1
    p_value, because = p_or_why_not(num, chi_square, degrees)
    return Association(
        num=num,
        chi_square=chi_square,
        degrees=degrees,
        cramers_v=math.sqrt(phi / less),
        cramers_v_corrected=(
            min(1.0, math.sqrt(unbiased / less_corrected)) if less_corrected > 0 else 0.0
        ),
        p_value=p_value,
        no_p_because=because,
    )


def too_many_for_p(num: int) -> str:
    """Why there is no p-value of so many pictures."""
    return f"n = {num:,} is above {MOST_FOR_P:,}: any difference is significant"


def p_or_why_not(
    num: int, chi_square: float, degrees: int
) -> tuple[float, None] | tuple[None, str]:
    """The upper tail of chi-square, or the reason why a p-value is not given."""
    if num > MOST_FOR_P:
        return None, too_many_for_p(num)
    if degrees < 1:
        return None, "nothing differs"
    return float(gammaincc(degrees / 2, chi_square / 2)), None


def _cut(table: Floats) -> Floats:
    """The table without its empty rows and columns."""
    return np.asarray(table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0])
