"""How far rows of pictures are from a reference, and how much of the source's gap each closes.

The statistics of docs/protocol.md. Pictures of the prompts of test-A are compared with references
of test-B, then swapped, and the distances averaged; errors by `metrics.subsampling`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.frechet import (
    Eigenvalues,
    Gaussian,
    gaussian,
    gaussian_distance,
    numpy_eigenvalues,
    too_few,
)
from metrics.groups import Codes, Floats
from metrics.subsampling import (
    CUTS,
    LEAST_ERRORS,
    Estimate,
    error,
    estimate,
    over_parts,
    parts,
    without_bias,
)

_FLOOR = "reference"


@dataclass(frozen=True, slots=True, eq=False)
class Halves:
    """Features of one row's pictures for the prompts of test-A, and of test-B.

    (N, D), or (N, places, D) where a network tells of each place of a picture: a prompt is then all
    of its places at once, wherever prompts are drawn.
    """

    a: NDArray[np.floating]
    b: NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class GapRow:
    """One row against the reference.

    `distance` is at the number of prompts there are, with its bias; `infinity` without it.
    `closure` = 1 - infinity / infinity of the source; `floor_corrected` = (FD(s,d) - FD(x,d)) /
    (FD(s,d) - FD(d,d')). Both are None where the gap is lost in its error. `by_direction` is the
    closure of test-A against test-B, and swapped.
    """

    name: str
    distance: Estimate
    infinity: Estimate
    closure: Estimate | None
    floor_corrected: Estimate | None
    by_direction: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GapTable:
    """All rows against one reference; the last is the reference itself on the other prompts."""

    num_a: int
    num_b: int
    width: int
    places: int
    draws: int
    seed: int
    rows: tuple[GapRow, ...]
    floor: GapRow
    cautions: tuple[str, ...]


def gap_table(
    rows: Mapping[str, Halves],
    reference: Halves,
    *,
    source: str = "source",
    draws: int = 100,
    seed: int = 0,
    eigenvalues: Eigenvalues = numpy_eigenvalues,
) -> GapTable:
    """Distances and closures of rows, one of them the source, against one reference."""
    if source not in rows:
        raise ValueError(f"rows {', '.join(rows)}: none is {source!r}, which closures start from")
    if _FLOOR in rows:
        raise ValueError(f"rows {', '.join(rows)}: {_FLOOR!r} is the reference itself")
    together = {**rows, _FLOOR: reference}
    sizes, places, width = _checked(together)
    found = _distances(together, sizes, draws, seed, eigenvalues)
    names, start = list(together), list(together).index(source)
    gap = _Levels(found, min(sizes), start)
    made = tuple(_row(name, gap, number) for number, name in enumerate(names))
    return GapTable(
        num_a=sizes[0],
        num_b=sizes[1],
        width=width,
        places=places,
        draws=draws,
        seed=seed,
        rows=made[:-1],
        floor=made[-1],
        cautions=tuple(_cautions(min(sizes), places, width, gap)),
    )


def square_root_slack(row_source: float, row_target: float, source_target: float) -> float:
    """By how much the square roots of three distances keep the triangle inequality; below 0 not.

    The root of a Frechet distance is a distance of Gaussians, so of the same three Gaussians this
    is never negative: if it is, the numbers are of different pictures, N, taps or policies.
    """
    roots = sorted(np.sqrt([row_source, row_target, source_target]))
    return float(roots[0] + roots[1] - roots[2])


class _Levels:
    """Distances of the whole (2, rows) and of parts by cut (draws, 2, rows), and their errors."""

    def __init__(self, found: tuple[Floats, list[Floats]], num: int, source: int) -> None:
        self.whole, self.by_cut = found
        self.num, self.source = num, source
        means = [values.mean(0) for values in self.by_cut]
        self.limits = np.array(
            [
                [
                    without_bias(self.whole[way, row], [mean[way, row] for mean in means], num)
                    for row in range(self.whole.shape[1])
                ]
                for way in (0, 1)
            ]
        )
        self.moves = [values.mean(1) for values in over_parts(self.by_cut)]
        self.there = self.of([(1.0, source)], self.limits)

    def of(self, terms: Sequence[tuple[float, int]], level: Floats) -> Estimate:
        """A weighted sum of rows' distances."""
        value = sum(weight * float(level[:, row].mean()) for weight, row in terms)
        return estimate(value, self.error(terms))

    def error(self, terms: Sequence[tuple[float, int]]) -> float:
        """The error of a weighted sum of rows, which share their prompts."""
        return error([sum(w * moves[:, row] for w, row in terms) for moves in self.moves], self.num)

    def ratio(
        self, over: Sequence[tuple[float, int]], under: Sequence[tuple[float, int]], level: Floats
    ) -> Estimate | None:
        """A ratio of two sums, by its slope at the values found; None where `under` is noise."""
        bottom = self.of(under, level)
        if bottom.value < LEAST_ERRORS * bottom.error or bottom.value <= 0:
            return None
        value = self.of(over, level).value / bottom.value
        terms = [(w / bottom.value, row) for w, row in over]
        terms += [(-value * w / bottom.value, row) for w, row in under]
        return estimate(value, self.error(terms))


def _row(name: str, gap: _Levels, number: int) -> GapRow:
    start, floor = gap.source, gap.whole.shape[1] - 1
    closure = gap.ratio([(1.0, start), (-1.0, number)], [(1.0, start)], gap.limits)
    ways = None
    if closure is not None and (gap.limits[:, start] > 0).all():
        one, other = 1 - gap.limits[:, number] / gap.limits[:, start]
        ways = (float(one), float(other))
    return GapRow(
        name=name,
        distance=gap.of([(1.0, number)], gap.whole),
        infinity=gap.of([(1.0, number)], gap.limits),
        closure=closure,
        floor_corrected=gap.ratio(
            [(1.0, start), (-1.0, number)], [(1.0, start), (-1.0, floor)], gap.whole
        ),
        by_direction=ways,
    )


def _cautions(num: int, places: int, width: int, gap: _Levels) -> list[str]:
    told = []
    quarter = num // max(CUTS)
    few = too_few(num * places, width)
    if few is not None:
        told.append(few)
    elif too_few(quarter * places, width) is not None:
        wanted = max(CUTS) * (width // places + 1)
        told.append(
            f"a quarter of the prompts is {quarter:,} pictures for {width:,} features: "
            f"FD-infinity is not to be trusted; take at least {wanted:,} prompts "
            "in each half, or a tap of fewer features"
        )
    there = gap.there
    if there.value < LEAST_ERRORS * there.error or there.value <= 0:
        told.append(
            f"the gap itself is {there.value:.4g} with an error of {there.error:.2g}: too near 0 "
            "to tell a share of it; take more prompts, or another measure"
        )
    return told


def _checked(rows: Mapping[str, Halves]) -> tuple[tuple[int, int], int, int]:
    """How many prompts test-A and test-B have, and how many places and features."""
    shapes = {name: (row.a.shape, row.b.shape) for name, row in rows.items()}
    name, first = next(iter(shapes.items()))
    for other, shape in shapes.items():
        if shape != first:
            raise ValueError(
                f"row {other!r}: features of shapes {shape[0]} and {shape[1]}, {name!r} has "
                f"{first[0]} and {first[1]}; give every row the same prompts in the same order"
            )
    (num_a, *each), (num_b, *each_b) = first
    if each != each_b:
        raise ValueError(f"row {name!r}: {each[-1]} features in test-A, {each_b[-1]} in test-B")
    return (num_a, num_b), each[0] if len(each) > 1 else 1, each[-1]


def _spread(features: NDArray[np.floating]) -> Gaussian:
    """The Gaussian of features (N, D) or (N, places, D)."""
    return gaussian(features.reshape(-1, features.shape[-1]))


def _distances(
    rows: Mapping[str, Halves],
    sizes: tuple[int, int],
    draws: int,
    seed: int,
    eigenvalues: Eigenvalues,
) -> tuple[Floats, list[Floats]]:
    """Of the whole (2, rows), and of the parts of each cut (draws, 2, rows)."""

    def of(in_a: Codes | slice, in_b: Codes | slice) -> Floats:
        found = np.empty((2, len(rows)))
        # One row's Gaussians at a time, which are large, against those of the reference.
        to_a, to_b = _spread(rows[_FLOOR].a[in_a]), _spread(rows[_FLOOR].b[in_b])
        for place, (name, row) in enumerate(rows.items()):
            one, other = (
                (to_a, to_b) if name == _FLOOR else (_spread(row.a[in_a]), _spread(row.b[in_b]))
            )
            found[0, place] = gaussian_distance(one, to_b, eigenvalues)
            found[1, place] = gaussian_distance(other, to_a, eigenvalues)
        return found

    everything = slice(None)
    by_cut = [
        np.stack([of(in_a, in_b) for in_a, in_b in parts(sizes, cut, draws, seed)]) for cut in CUTS
    ]
    return of(everything, everything), by_cut
