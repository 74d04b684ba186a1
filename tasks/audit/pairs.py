"""What changes in people between the source and the target of a pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from metrics.drift import Drift, cosines, drift, summarise
from metrics.groups import ATTRIBUTES
from tasks.audit.population import Population

# DeepFace takes two ArcFace embeddings for one person up to a cosine distance of 0.68.
SAME_PERSON_COSINE = 1 - 0.68


@dataclass(frozen=True, slots=True, kw_only=True)
class PairReport:
    """The drift from one stage to another over samples of which both pictures count."""

    label: str
    before: str
    after: str
    num_pairs: int
    num_counted: int
    groups: dict[str, Drift]
    years: Mapping[str, float]
    identity: Mapping[str, float]
    below_same_person: float | None
    measures: dict[str, Mapping[str, float]]


def pair_report(
    before: Population,
    after: Population,
    measures: Mapping[str, Mapping[str, float]] | None = None,
) -> PairReport:
    """The drift over samples that both populations have; `measures` (LPIPS) by name, then by id."""
    rows = {one: row for row, one in enumerate(after.ids)}
    pairs = [(i, rows[one]) for i, one in enumerate(before.ids) if one in rows]
    if not pairs:
        raise ValueError(f"{before.title} and {after.title}: have no sample in common")
    left, right = np.array(pairs, dtype=np.int64).T
    both = before.counted[left] & after.counted[right]
    identity = pair_identity(before, after, left, right)
    known = identity[np.isfinite(identity)]
    chosen = {before.ids[i] for i in left[both]}
    return PairReport(
        label=before.label,
        before=before.stage,
        after=after.stage,
        num_pairs=len(left),
        num_counted=int(both.sum()),
        groups={
            name: drift(before.codes[name][left], after.codes[name][right], len(groups))
            for name, groups in ATTRIBUTES.items()
        },
        years=summarise(after.ages[right] - before.ages[left]),
        identity=summarise(identity),
        below_same_person=float((known < SAME_PERSON_COSINE).mean()) if known.size else None,
        measures={
            name: summarise([value for one, value in values.items() if one in chosen])
            for name, values in (measures or {}).items()
        },
    )


def pair_identity(
    before: Population,
    after: Population,
    left: np.typing.NDArray[np.int64],
    right: np.typing.NDArray[np.int64],
) -> np.typing.NDArray[np.float64]:
    """The ArcFace cosine of each pair of rows; NaN where a picture has no embedding."""
    widths = before.embeddings.shape[1], after.embeddings.shape[1]
    if widths[0] != widths[1] or not widths[0]:
        return np.full(len(left), np.nan)
    return cosines(
        before.embeddings[left].astype(np.float64), after.embeddings[right].astype(np.float64)
    )
