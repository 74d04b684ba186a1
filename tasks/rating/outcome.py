"""The outcome of a study: what people chose, and which numbers agree with them; draws nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metrics.groups import Codes, Floats
from metrics.preference import (
    Agreement,
    Judgements,
    MetricAccuracy,
    Strengths,
    agreement,
    metric_accuracy,
    strengths,
    uncompared,
    wins,
)
from schemas.study import Study
from tasks.rating.picture_numbers import Numbers
from tasks.rating.ratings import RaterFacts, Rating, judgements, left_share, rater_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a study found."""

    study: Study
    raters: tuple[RaterFacts, ...]
    num_judgements: int
    wins: Floats
    strengths: Strengths
    agreement: Agreement | None
    left: tuple[int, int]
    accuracies: dict[str, MetricAccuracy]
    draws: int


def analyse(
    study: Study,
    ratings: Sequence[Rating],
    numbers: Numbers,
    *,
    min_catch: float,
    draws: int = 1000,
    seed: int = 0,
) -> Outcome:
    """What people chose; ValueError where that tells nothing."""
    facts = rater_facts(ratings, min_catch)
    kept = [one.rater for one in facts if one.kept]
    found, samples = judgements(ratings, study, kept)
    if not len(found):
        raise ValueError(
            f"ratings: of {len(facts)} raters {len(kept)} passed the catch trials, with no choice "
            "between rows among them; gather more"
        )
    won = wins(found, len(study.rows))
    apart = uncompared(won)
    if apart is not None:
        raise ValueError(
            f"ratings: row {study.rows[apart]!r} was never compared with {study.rows[0]!r}, not "
            "even through others; gather more"
        )
    strong = strengths(found, len(study.rows), draws=draws, seed=seed)
    accuracies = {}
    for name, by_picture in numbers.items():
        better, worse = (
            _values(by_picture, found, codes, study, samples)
            for codes in (found.better, found.worse)
        )
        accuracy = metric_accuracy(found, better, worse, draws=draws, seed=seed)
        if accuracy is not None:
            accuracies[name] = accuracy
    return Outcome(
        study=study,
        raters=tuple(facts),
        num_judgements=len(found),
        wins=won,
        strengths=strong,
        agreement=agreement(found, draws=draws, seed=seed),
        left=left_share(ratings, kept),
        accuracies=accuracies,
        draws=draws,
    )


def as_plain_outcome(found: Outcome) -> dict[str, object]:
    """An outcome as plain JSON values."""
    strong = found.strengths
    return {
        "study": found.study.key(),
        "question": found.study.question,
        "rows": {
            row: {
                "log_strength": float(strong.log_strength[code]),
                "share": float(strong.share[code]),
                "low": float(strong.share_low[code]),
                "high": float(strong.share_high[code]),
            }
            for code, row in enumerate(found.study.rows)
        },
        # Each row by the rows that it was chosen over.
        "wins": {
            row: {
                other: int(found.wins[one, place])
                for place, other in enumerate(found.study.rows)
                if place != one
            }
            for one, row in enumerate(found.study.rows)
        },
        "judgements": found.num_judgements,
        "agreement": None if found.agreement is None else dataclasses.asdict(found.agreement),
        "raters": [dataclasses.asdict(one) for one in found.raters],
        "left": list(found.left),
        "metrics": {name: dataclasses.asdict(one) for name, one in found.accuracies.items()},
        "draws": found.draws,
    }


def _values(
    by_picture: Mapping[tuple[str, str], float],
    found: Judgements,
    codes: Codes,
    study: Study,
    samples: Sequence[str],
) -> Floats:
    return np.array(
        [
            by_picture.get((study.rows[row], samples[sample]), math.nan)
            for row, sample in zip(codes, found.prompt, strict=True)
        ]
    )
