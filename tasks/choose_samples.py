"""Chooses samples of an audit: drops what is unfit, then takes what comes to a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from metrics.duplicates import near_by_cosine
from metrics.groups import Codes, hard_counts
from metrics.selection import Choice, Shortage, choose_counts, choose_rows, shortages
from metrics.targets import Target, target_cells
from schemas.records import to_table
from schemas.sample import Stage
from schemas.seeds import stable_fraction
from schemas.selection import SELECTION_SCHEMA, Selected
from tasks.audit.pairs import pair_identity
from tasks.audit.population import Population, populations

_NOT_NEEDED = "fit, and not needed for the target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked of a selection."""

    stage: Stage | None = None
    target: Target | None = None
    size: int | None = None
    tolerance: float = 0.0
    min_sharpness: float | None = None
    near_cosine: float | None = None
    min_identity: float | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The chosen samples, why the others are not, and how near the target is."""

    table: pa.Table
    stage: Stage
    reasons: Counter[str]
    choice: Choice | None
    short: tuple[Shortage, ...]

    @property
    def num_selected(self) -> int:
        """How many samples are taken."""
        return int(self.table.num_rows) - self.reasons.total()


def choose_samples(rows: pa.Table, label: str, wish: Wish) -> Selection:
    """The selection of an audit's rows; the same for the same rows and wish."""
    every = populations(rows, label)
    judged = _judged(every, wish.stage)
    reasons = np.full(judged.num, None, dtype=object)
    for unfit, why in _unfit(every, judged, wish):
        reasons[unfit & (reasons == None)] = why  # noqa: E711 - compared element by element
    if wish.near_cosine is not None:
        # Of those that are fit so far: none makes way for a copy that is left out itself.
        fit = np.flatnonzero(reasons == None)  # noqa: E711
        repeats = _repeats(judged, fit, wish.near_cosine, wish.seed)
        reasons[repeats] = f"near-duplicate, cosine at least {wish.near_cosine:g}"
    fit = np.flatnonzero(reasons == None)  # noqa: E711
    choice: Choice | None = None
    short: tuple[Shortage, ...] = ()
    if wish.target is not None:
        cells = target_cells(judged.codes, wish.target)[fit]
        available = hard_counts(cells, len(wish.target.cells))
        choice = choose_counts(available, wish.target, size=wish.size, tolerance=wish.tolerance)
        short = tuple(shortages(available, wish.target, len(fit), wish.tolerance))
        chosen = fit[choose_rows(cells, _priority(judged, fit, wish.seed), choice.counts)]
        reasons[np.setdiff1d(fit, chosen)] = _NOT_NEEDED
    elif wish.size is not None:
        if wish.size > len(fit):
            raise ValueError(
                f"size {wish.size:,}: out of reach: {len(fit):,} samples are fit; ask for fewer, "
                "or leave fewer out"
            )
        order = np.argsort(_priority(judged, fit, wish.seed), kind="stable")
        reasons[fit[order[wish.size :]]] = "fit, and not needed"
    table = to_table(
        (
            Selected(id=one, selected=why is None, reason=why)
            for one, why in zip(judged.ids, reasons, strict=True)
        ),
        SELECTION_SCHEMA,
    )
    counted = Counter(why for why in reasons if why is not None)
    return Selection(table=table, stage=judged.stage, reasons=counted, choice=choice, short=short)


def _judged(every: list[Population], stage: Stage | None) -> Population:
    """The pictures that say who a sample shows: those asked for, or those that people will see."""
    there = {one.stage: one for one in every}
    if stage is None:
        return next(there[one] for one in ("target", "teacher", "source") if one in there)
    if stage not in there:
        raise ValueError(f"--stage {stage}: the audit has {', '.join(there)}; choose one of these")
    return there[stage]


def _unfit(
    every: list[Population], judged: Population, wish: Wish
) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """What each rule leaves out, the gravest first."""
    yield ~judged.counted, "no single sure face"
    for other in every:
        if other.stage != judged.stage:
            sure = {one for one, counted in zip(other.ids, other.counted, strict=True) if counted}
            unsure = np.array([one not in sure for one in judged.ids])
            yield unsure, f"no single sure face in the {other.stage}"
    if wish.min_sharpness is not None:
        blurred = judged.counted & ~(judged.sharpness >= wish.min_sharpness)
        yield blurred, f"sharpness below {wish.min_sharpness:g}"
    if wish.min_identity is not None:
        yield _changed(every, judged, wish.min_identity), f"identity below {wish.min_identity:g}"


def _repeats(judged: Population, fit: Codes, least: float, seed: int) -> Codes:
    """Which of the fit are too alike to one that is kept."""
    vectors = judged.embeddings
    if not vectors.shape[1]:
        raise ValueError("--near-cosine: the audit has no embeddings to compare")
    # In the order of the draw, so that who is kept does not depend on who was audited first.
    order = fit[np.argsort(_priority(judged, fit, seed), kind="stable")]
    found: Codes = order[near_by_cosine(vectors[order], least).of >= 0]
    return found


def _changed(every: list[Population], judged: Population, least: float) -> NDArray[np.bool_]:
    stages = {one.stage: one for one in every}
    if not {"source", "target"} <= stages.keys():
        raise ValueError("--min-identity: is of pairs; the audit has no sources and targets")
    source, target = stages["source"], stages["target"]
    places = {one: place for place, one in enumerate(source.ids)}
    both = [(places[one], place) for place, one in enumerate(target.ids) if one in places]
    left, right = (np.array(side, dtype=np.int64) for side in zip(*both, strict=True))
    cosine = dict(
        zip((target.ids[r] for r in right), pair_identity(source, target, left, right), strict=True)
    )
    return np.array([not cosine.get(one, np.nan) >= least for one in judged.ids])


def _priority(population: Population, rows: Codes, seed: int) -> NDArray[np.float64]:
    return np.array([stable_fraction(seed, "choose", population.ids[row]) for row in rows])
