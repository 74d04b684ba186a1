"""Which kinds of names to draw more of, so that a set comes to a target: a linear programme.

What a kind of name brings is taken from the pictures that it brought before. That names carry
groups at all is the paper's unproved idea; `metrics.likeness` tests it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog  # type: ignore[import-untyped]

from metrics.groups import Codes, Floats, hard_counts, joint_codes
from metrics.likeness import number_labels
from metrics.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Names of one kind to draw in addition; `seen` is how many pictures tell what it brings."""

    kind: str
    extra: int
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NamePlan:
    """Draws that reach a target within `tolerance`; or `reachable` False and the nearest mix.

    `expected` are the shares of the target's groups afterwards, in its order, and `off` the largest
    distance of one of them.
    """

    reachable: bool
    draws: tuple[Draw, ...]
    extra: int
    expected: tuple[float, ...]
    off: float
    too_few: tuple[str, ...]
    left_out: tuple[str, ...]


def plan_draws(
    kinds: Sequence[str],
    brought: Codes,
    target: Target,
    *,
    present: Codes | None = None,
    tolerance: float = 0.01,
    least_seen: int = 30,
    most: int | None = None,
    stock: Codes | None = None,
) -> NamePlan:
    """The fewest extra names by kind that bring every share within `tolerance` of the target.

    `brought` are the cells' counts of pictures by kind, (kinds, cells). `present` is what is there,
    by default all of them. Kinds with fewer than `least_seen` pictures are left out; `stock` bounds
    each kind by its names that are left, `most` all of them together.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance {tolerance}: should be more than 0")
    seen = brought.sum(axis=1)
    used = np.flatnonzero(seen >= max(1, least_seen))
    left_out = tuple(kind for i, kind in enumerate(kinds) if i not in set(used.tolist()))
    if not used.size:
        raise ValueError(f"kinds of names: none of {len(kinds)} has {least_seen} pictures or more")
    have = brought.sum(axis=0) if present is None else present
    upper = np.full(used.size, np.inf) if stock is None else stock[used].astype(np.float64)
    rates = brought[used] / seen[used, None]
    extra = _fewest(have, rates, target, tolerance, upper, most)
    reachable = extra is not None
    if extra is None:
        extra = _nearest_mix(have, rates, target, upper, most)
    # Rounded up, so that a share is not missed by a fraction of a name.
    whole = np.ceil(np.round(extra, 6)).astype(np.int64)
    cells = have + whole @ rates
    expected = target.members @ cells / max(1.0, float(cells.sum()))
    apart = expected - target.shares
    draws = [
        Draw(kind=kinds[int(i)], extra=int(whole[place]), seen=int(seen[i]))
        for place, i in enumerate(used)
        if whole[place]
    ]
    return NamePlan(
        reachable=reachable,
        draws=tuple(sorted(draws, key=lambda draw: (-draw.extra, draw.kind))),
        extra=int(whole.sum()),
        expected=tuple(expected.tolist()),
        off=float(np.abs(apart).max()),
        too_few=tuple(
            group
            for i, group in enumerate(target.groups)
            if not reachable and apart[i] < -tolerance
        ),
        left_out=left_out,
    )


def count_brought(
    kinds: Sequence[str | None], cells: Codes, num_cells: int
) -> tuple[list[str], Codes]:
    """The kinds in their order of the alphabet, and how many pictures of each cell they brought."""
    labels, known = number_labels(kinds)
    rows = joint_codes([(labels, len(known)), (cells, num_cells)])
    return known, hard_counts(rows, len(known) * num_cells).reshape(len(known), num_cells)


def _fewest(
    have: Codes, rates: Floats, target: Target, tolerance: float, upper: Floats, most: int | None
) -> Floats | None:
    """The least sum of draws that meets the target; None where there is none."""
    by_kind, now = target.members @ rates.T, target.members @ have
    total = float(have.sum())
    # (now + brought) - (share +- tolerance) (total + draws), at most or at least 0.
    above = by_kind - (target.shares + tolerance)[:, None]
    below = by_kind - (target.shares - tolerance)[:, None]
    matrix = np.vstack([above, -below])
    bound = np.append(
        (target.shares + tolerance) * total - now, now - (target.shares - tolerance) * total
    )
    if most is not None:
        matrix = np.vstack([matrix, np.ones(matrix.shape[1])])
        bound = np.append(bound, most)
    done = linprog(
        np.ones(len(rates)),
        A_ub=matrix,
        b_ub=bound,
        bounds=list(zip(np.zeros(len(rates)), upper, strict=True)),
        method="highs",
    )
    return np.asarray(done.x) if done.status == 0 else None


def _nearest_mix(
    have: Codes, rates: Floats, target: Target, upper: Floats, most: int | None
) -> Floats:
    """Draws, as many again as there are pictures or up to `most`, nearest to the target."""
    draws = min(float(have.sum()) if most is None else float(most), float(upper.sum()))
    total = float(have.sum()) + draws
    by_kind, now = target.members @ rates.T, target.members @ have
    # Last variable: the largest distance of a share, which is made least.
    far = np.full((len(target.groups), 1), -total)
    matrix = np.vstack([np.hstack([by_kind, far]), np.hstack([-by_kind, far])])
    wanted = target.shares * total - now
    done = linprog(
        np.append(np.zeros(len(rates)), 1.0),
        A_ub=matrix,
        b_ub=np.append(wanted, -wanted),
        A_eq=np.append(np.ones(len(rates)), 0.0)[None],
        b_eq=[draws],
        bounds=[*zip(np.zeros(len(rates)), upper, strict=True), (0, None)],
        method="highs",
    )
    if done.status != 0:
        raise ArithmeticError(f"kinds of names: no answer: {done.message}")
    return np.asarray(done.x[:-1])
