"""Chooses how many, then which, rows meet a target: an exact integer programme over a few cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp  # type: ignore[import-untyped]

from metrics.groups import Codes, Floats
from metrics.targets import Target

# Numbers of pictures are whole: a group may be off its share by less than one of them.
# The margin is well above the solver's tolerance of 1e-6.
_ONE = 1.0 - 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """A group that has too few pictures for the size that was wanted."""

    group: str
    available: int
    wanted: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """How many rows of each cell to take; `short` says what a larger set would have needed."""

    counts: Codes
    size: int
    reached: Floats
    limited_by: tuple[str, ...]
    short: tuple[Shortage, ...]


def choose_counts(
    available: Codes, target: Target, *, size: int | None = None, tolerance: float = 0.0
) -> Choice:
    """The most rows that meet a target, or exactly `size`; as like the available ones as can be.

    A group may be off its share by less than one picture, plus `tolerance` times the size. A group
    with share 0 gets none, unless there is a tolerance. Raises ValueError when `size` is out of
    reach, naming who is short.
    """
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance {tolerance}: should be at least 0 and less than 1")
    if size is not None and size < 1:
        raise ValueError(f"size {size}: should be at least 1")
    most = int(available.sum())
    if size is None:
        wanted, reach = most, _largest(available, target, tolerance)
    else:
        wanted, reach = size, size
    counts = _likest(available, target, reach, tolerance) if reach else np.zeros_like(available)
    if counts is None:
        short = shortages(available, target, wanted, tolerance)
        told = ", ".join(f"{one.group} has {one.available:,} of {one.wanted:,}" for one in short)
        best = _largest(available, target, tolerance)
        raise ValueError(
            f"size {size:,}: out of reach: {told or 'no whole numbers meet the target'}; "
            f"at most {best:,} meet the target"
        )
    reached = target.members @ counts / reach if reach else np.zeros(len(target.groups))
    return Choice(
        counts=counts,
        size=reach,
        reached=np.asarray(reached),
        limited_by=_limits(available, target, tolerance) if reach < wanted else (),
        short=shortages(available, target, wanted, tolerance) if reach < wanted else (),
    )


def choose_rows(cells: Codes, priority: NDArray[np.generic], counts: Codes) -> Codes:
    """The rows of smallest priority in each cell, as many as its count, in ascending order."""
    order = np.lexsort((np.arange(len(cells)), priority))
    chosen = [order[cells[order] == cell][:count] for cell, count in enumerate(counts)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def shortages(
    available: Codes, target: Target, size: int, tolerance: float = 0.0
) -> tuple[Shortage, ...]:
    """The groups that would need more pictures for a set of this size, by the fewest additions."""
    cells = len(available)
    # Counts of each cell, then pictures to add to it.
    rows, low, high = _within(target, size, tolerance)
    constraints = [
        LinearConstraint(np.hstack([rows, np.zeros_like(rows)]), low, high),
        LinearConstraint(np.hstack([np.ones((1, cells)), np.zeros((1, cells))]), size, size),
        LinearConstraint(np.hstack([np.eye(cells), -np.eye(cells)]), -np.inf, available),
        # What a tolerance would let in is nothing that anybody lacks.
        LinearConstraint(np.append(np.zeros(cells), _unwanted(target))[None], 0, 0),
    ]
    found = _solve(np.append(np.zeros(cells), np.ones(cells)), constraints, float(size))
    if found is None:
        return ()
    taken, added = found[:cells], found[cells:]
    needed, have = target.members @ taken, target.members @ available
    return tuple(
        Shortage(group=group, available=int(have[i]), wanted=int(needed[i]))
        for i, group in enumerate(target.groups)
        if target.members[i] @ added > 0 and needed[i] > have[i]
    ) or tuple(
        Shortage(group=cell, available=int(available[i]), wanted=int(taken[i]))
        for i, cell in enumerate(target.cells)
        if added[i] > 0
    )


def _within(target: Target, size: int, tolerance: float) -> tuple[Floats, Floats, Floats]:
    """The groups' counts and their bounds for a set of a fixed size."""
    slack = tolerance * size + np.where((target.shares > 0) & (target.shares < 1), _ONE, 0.0)
    wanted = target.shares * size
    return target.members, np.maximum(wanted - slack, 0.0), wanted + slack


def _largest(available: Codes, target: Target, tolerance: float) -> int:
    """The size of the largest set that meets the target."""
    slack = np.where((target.shares > 0) & (target.shares < 1), _ONE, 0.0)
    # |members n - share N| <= tolerance N + slack, with N = sum of n, is linear in n.
    above = target.members - (target.shares + tolerance)[:, None]
    below = target.members - (target.shares - tolerance)[:, None]
    constraints = [
        LinearConstraint(above, -np.inf, slack),
        LinearConstraint(below, -slack, np.inf),
    ]
    found = _solve(-np.ones(len(available)), constraints, available)
    return 0 if found is None else int(found.sum())


def _likest(available: Codes, target: Target, size: int, tolerance: float) -> Codes | None:
    """Counts of this size that meet the target, nearest to the available ones' proportions."""
    cells = len(available)
    rows, low, high = _within(target, size, tolerance)
    nothing = np.zeros((len(rows), cells))
    alike = available * (size / max(1, int(available.sum())))
    one = np.eye(cells)
    constraints = [
        LinearConstraint(np.hstack([rows, nothing]), low, high),
        LinearConstraint(np.hstack([np.ones((1, cells)), np.zeros((1, cells))]), size, size),
        # The second half bounds how far each count is from its proportional one.
        LinearConstraint(np.hstack([one, -one]), -np.inf, alike),
        LinearConstraint(np.hstack([one, one]), alike, np.inf),
    ]
    # A tiny price per cell settles ties by the order of the cells, the same everywhere.
    ties = np.append(np.arange(cells) * 1e-4 / cells, np.ones(cells))
    upper = np.append(available.astype(np.float64), np.full(cells, np.inf))
    found = _solve(ties, constraints, upper, num_whole=cells)
    return None if found is None else found[:cells]


def _unwanted(target: Target) -> NDArray[np.bool_]:
    """The cells of a group whose share is to be 0."""
    unwanted: NDArray[np.bool_] = (target.members[target.shares == 0] > 0).any(axis=0)
    return unwanted


def _limits(available: Codes, target: Target, tolerance: float) -> tuple[str, ...]:
    """Whose number bounds the largest set: one more picture there, and the set could grow.

    These are the cells whose bounds have a price in the relaxed programme; a group all of whose
    cells are among them is named as a group.
    """
    above = target.members - (target.shares + tolerance)[:, None]
    below = target.members - (target.shares - tolerance)[:, None]
    done = linprog(
        -np.ones(len(available)),
        A_ub=np.vstack([above, -below]),
        b_ub=np.zeros(2 * len(above)),
        bounds=list(zip(np.zeros(len(available)), available, strict=True)),
        method="highs",
    )
    scarce = (done.upper.marginals < -1e-9) & ~_unwanted(target)
    named = []
    for group, cells, share in zip(target.groups, target.members > 0, target.shares, strict=True):
        if share > 0 and scarce[cells].all():
            named.append(group)
            scarce = scarce & ~cells
    return (*named, *(cell for cell, one in zip(target.cells, scarce, strict=True) if one))


def _solve(
    costs: Floats,
    constraints: list[LinearConstraint],
    upper: Floats | Codes | float,
    num_whole: int | None = None,
) -> Codes | None:
    """A cheapest solution in whole numbers (the first `num_whole`); None if there is none."""
    whole = np.ones(len(costs))
    if num_whole is not None:
        whole[num_whole:] = 0
    done = milp(
        costs,
        integrality=whole,
        bounds=Bounds(0, upper),
        constraints=constraints,
        options={"mip_rel_gap": 0.0},
    )
    if done.status == 2:
        return None
    if done.x is None:
        raise ArithmeticError(f"selection: no answer: {done.message}")
    return np.asarray(np.rint(done.x), dtype=np.int64)
