"""Tables 1, 2 and 4 of paper 3 out of people's rankings and numbers of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from metrics.groups import Codes, Floats
from metrics.ranking import (
    Share,
    agreeing_by_chance,
    agreeing_share,
    majority_of_labels,
    majority_of_pairs,
    medians_and_stds,
    normalised,
    pair_accuracy,
    pearson,
    score_shares,
)
from tasks.rating.people_rankings import Rankings
from tasks.rating.ranked_scores import as_array
from tasks.text_tables import Table, interval, number, percent

Vote = Literal["labels", "pairs"]
Pairs = Literal["all", "adjacent"]
# The paper's five annotators.
_FIVE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """How one number agrees with people; None where nothing can be said."""

    accuracy: Share | None
    pearson: Share | None
    medians: Floats
    stds: Floats
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """What people's rankings say, and how numbers agree with them."""

    rankings: Rankings
    vote: Vote
    pairs: Pairs
    scores: Codes
    shares: Floats
    means: Floats
    agreement: dict[int, tuple[float, float]]
    """by how many raters at least: the share of pictures, and by chance alone"""
    full: int
    """raters of a triplet that all have ranked"""
    num_full: int
    metrics: dict[str, Metric]

    @property
    def undecided(self) -> int:
        """Triplets that no majority decides."""
        return int((self.scores[:, 0] == 0).sum())


def align(
    rankings: Rankings,
    numbers: Mapping[str, Mapping[tuple[str, str], float]],
    *,
    vote: Vote,
    pairs: Pairs,
    draws: int = 1000,
    seed: int = 0,
) -> Alignment:
    """Compare numbers with the majority; ValueError where no triplet is decided."""
    decide = majority_of_labels if vote == "labels" else majority_of_pairs
    scores = decide(rankings.labels)
    if not scores.any():
        lost = sum(map(len, rankings.left_out.values()))
        raise ValueError(
            f"rankings: no majority decides any of {len(scores)} samples"
            + (f" ({lost:,} rankings were left out)" if lost else "")
            + f"; gather more, or try --vote {'pairs' if vote == 'labels' else 'labels'}"
        )
    shares, means = score_shares(scores, rankings.models, len(rankings.rows))
    full = int(rankings.num_raters.max())
    whole = rankings.labels[rankings.num_raters == full]
    least = range(full // 2 + 1, full + 1)
    num_labels = scores.shape[1]
    return Alignment(
        rankings=rankings,
        vote=vote,
        pairs=pairs,
        scores=scores,
        shares=shares,
        means=means,
        agreement={
            few: (agreeing_share(whole, few), agreeing_by_chance(full, num_labels, few))
            for few in least
        },
        full=full,
        num_full=len(whole),
        metrics={
            name: _metric(rankings, scores, as_array(values, rankings), pairs, draws, seed)
            for name, values in numbers.items()
        },
    )


def alignment_tables(found: Alignment) -> list[Table]:
    """The tables, as the paper numbers them."""
    told = [_table_1(found), _agreement(found)]
    if found.metrics:
        told += [_table_2(found), _table_4(found)]
    return told


def as_plain_alignment(found: Alignment) -> dict[str, Any]:
    """All of it as plain JSON values."""
    rankings = found.rankings
    return {
        "rows": list(rankings.rows),
        "raters": list(rankings.raters),
        "samples": len(rankings.samples),
        "vote": found.vote,
        "pairs": found.pairs,
        "undecided": found.undecided,
        "left_out": rankings.left_out,
        "rows_left_out": rankings.strange,
        "people": {
            row: {"shares": _plain(found.shares[code]), "mean": _number(found.means[code])}
            for code, row in enumerate(rankings.rows)
        },
        "agreement": {
            str(few): {"share": share, "by_chance": chance}
            for few, (share, chance) in found.agreement.items()
        },
        "agreement_raters": found.full,
        "agreement_samples": found.num_full,
        "metrics": {
            name: {
                "accuracy": _share(one.accuracy),
                "pearson": _share(one.pearson),
                "medians": dict(zip(rankings.rows, _plain(one.medians), strict=True)),
                "stds": dict(zip(rankings.rows, _plain(one.stds), strict=True)),
                "pictures_without_a_number": one.missing,
            }
            for name, one in found.metrics.items()
        },
    }


def _metric(
    rankings: Rankings, scores: Codes, values: Floats, pairs: Pairs, draws: int, seed: int
) -> Metric:
    prompts = np.arange(len(rankings.samples))
    squeezed = normalised(values)
    medians, stds = medians_and_stds(squeezed, rankings.models, len(rankings.rows))
    adjacent = pairs == "adjacent"
    return Metric(
        accuracy=pair_accuracy(scores, values, prompts, adjacent=adjacent, draws=draws, seed=seed),
        pearson=pearson(scores, squeezed, prompts, draws=draws, seed=seed),
        medians=medians,
        stds=stds,
        missing=int((~np.isfinite(values)).sum()),
    )


def _table_1(found: Alignment) -> Table:
    rankings = found.rankings
    num = found.scores.shape[1]
    decided = len(found.scores) - found.undecided
    left = ", ".join(f"{len(places)} with {why}" for why, places in rankings.left_out.items())
    by = "label" if found.vote == "labels" else "pair"
    other = "pairs" if found.vote == "labels" else "labels"
    undecided = (
        f" {found.undecided} undecided samples count for nothing (--vote {other} decides "
        "otherwise)."
        if found.undecided
        else ""
    )
    return Table(
        title="People's scores (Table 1)",
        head=("Row", *(f"Score {score}" for score in range(1, num + 1)), "Average score"),
        rows=tuple(
            (row, *(percent(one) for one in found.shares[code]), number(found.means[code], 4))
            for code, row in enumerate(rankings.rows)
        ),
        num_words=1,
        note=(
            f"{num} is the best. Majority of each {by}, {decided} of {len(found.scores)} samples, "
            f"{len(rankings.raters)} raters.{undecided} Rankings left out: {left or 'none'}."
        ),
    )


def _agreement(found: Alignment) -> Table:
    gaps = len(found.rankings.samples) - found.num_full
    paper = (
        " The paper's 93.3 % is of more than three of five, that is at least 4."
        if found.full == _FIVE
        else ""
    )
    return Table(
        title="Agreement of people",
        head=("Same label by", "Pictures", "By chance"),
        rows=tuple(
            (f"at least {few} of {found.full}", percent(share), percent(chance))
            for few, (share, chance) in found.agreement.items()
        ),
        num_words=1,
        note=(
            f"Of {found.num_full} samples that {found.full} people ranked; {gaps} with fewer are "
            f"not counted here.{paper}"
        ),
    )


def _table_2(found: Alignment) -> Table:
    which = "every pair" if found.pairs == "all" else "neighbours in the ranking"
    ordered = sorted(
        found.metrics.items(),
        key=lambda one: one[1].accuracy.value if one[1].accuracy else -1.0,
    )
    rows = []
    for name, metric in ordered:
        one = metric.accuracy
        if one is None:
            rows.append((name, "-", "-", "0", "-", "-"))
            continue
        told = (percent(one.value), interval(one.low, one.high))
        rows.append((name, *told, f"{one.num:,}", f"{one.num_ties:,}", f"{one.num_gaps:,}"))
    return Table(
        title="How often a number ranks as people do (Table 2)",
        head=("Number", "Accuracy", "95 %", "Pairs", "Equal", "Without a number"),
        rows=(("Random guess", "50.0 %", "-", "-", "-", "-"), *rows),
        num_words=1,
        note=(
            f"Of {which} of each decided sample. Equal numbers count a half, pairs without both "
            "numbers are left out. Intervals resample samples."
        ),
    )


def _table_4(found: Alignment) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, metric in found.metrics.items():
        one = metric.pearson
        told = "-" if one is None else number(one.value, 4)
        bounds = "-" if one is None else f"{one.low:.2f} to {one.high:.2f}"
        rows.append((name, "Median", told, bounds, *(number(x, 4) for x in metric.medians)))
        rows.append(("", "Std", "", "", *(number(x, 4) for x in metric.stds)))
    return Table(
        title="Numbers from 0 to 1 beside people's scores (Table 4)",
        head=("Number", "Statistic", "Pearson", "95 %", *found.rankings.rows),
        rows=tuple(rows),
        num_words=2,
        note=(
            "Numbers are squeezed to 0..1 over all ranked pictures. Pearson's correlation is with "
            "people's scores; the standard deviation divides by n. "
            + "; ".join(
                f"{name}: {metric.missing} pictures without a number"
                for name, metric in found.metrics.items()
                if metric.missing
            )
        ).rstrip(),
    )


def _share(one: Share | None) -> dict[str, float | int] | None:
    if one is None:
        return None
    return {
        "value": one.value,
        "low": one.low,
        "high": one.high,
        "num": one.num,
        "ties": one.num_ties,
        "gaps": one.num_gaps,
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _plain(values: Floats) -> list[float | None]:
    return [_number(one) for one in values]
