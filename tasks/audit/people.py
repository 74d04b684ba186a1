"""Who is perceived in one population: shares, corrected and not, and groups crossed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np

from metrics import evenness
from metrics.association import Association, associate
from metrics.correction import (
    ConfusionMatrix,
    Corrected,
    CorrectedRange,
    correct_over,
    corrected_difference,
)
from metrics.groups import ATTRIBUTES, Codes, Floats, hard_counts, joint_codes, soft_shares
from metrics.intervals import simultaneous, wilson, worst_case
from metrics.targets import marginal_target
from tasks.audit.paper_shares import paper_groups
from tasks.audit.population import Population
from tasks.audit.records import (
    AttributeReport,
    CellRow,
    DifferenceRow,
    Evenness,
    GroupRow,
    MatrixRow,
)
from tasks.audit.settings import ReportSettings, Shares


def attribute_report(
    population: Population, attribute: str, corrected: CorrectedRange, settings: ReportSettings
) -> AttributeReport:
    """The tables of one attribute."""
    groups = ATTRIBUTES[attribute]
    counts = hard_counts(population.codes[attribute], len(groups))
    soft = soft_shares(population.probabilities[attribute])
    sampling = wilson(counts, float(counts.sum()))
    worst = worst_case(counts, population.num - int(counts.sum()))
    headline, low, high = corrected.headline, corrected.low, corrected.high
    rows = tuple(
        GroupRow(
            group=group,
            count=int(counts[i]),
            share=float(counts[i] / counts.sum()),
            soft_share=float(soft[i]),
            corrected=float(headline.shares[i]),
            corrected_low=float(headline.low[i]),
            corrected_high=float(headline.high[i]),
            range_low=float(low[i]),
            range_high=float(high[i]),
            sampling_low=float(sampling[i, 0]),
            sampling_high=float(sampling[i, 1]),
            worst_low=float(worst[i, 0]),
            worst_high=float(worst[i, 1]),
        )
        for i, group in enumerate(groups)
    )
    target = _target_shares(attribute, settings.target)
    kinds: dict[str, Codes | Floats] = {
        "counted": counts,
        "soft": soft,
        "corrected": headline.shares,
    }
    return AttributeReport(
        attribute=attribute,
        rows=rows,
        evenness=tuple(_evenness(of, attribute, one, target) for of, one in kinds.items()),
        matrices=tuple(
            _matrix_row(attribute, matrix, one)
            for matrix, one in zip(settings.matrices[attribute], corrected.each, strict=True)
        ),
    )


def corrected_shares(
    population: Population, settings: ReportSettings, stream: int
) -> dict[str, CorrectedRange]:
    """Corrected shares of every attribute; populations of one report differ in `stream`."""
    return {
        attribute: correct_over(
            hard_counts(population.codes[attribute], len(groups)),
            settings.matrices[attribute],
            draws=settings.draws,
            seed=settings.seed,
            stream=stream,
        )
        for attribute, groups in ATTRIBUTES.items()
    }


def crossed(population: Population, small_cell: int) -> tuple[CellRow, ...]:
    """Gender x age x ethnicity, every combination, with simultaneous intervals."""
    parts = [(population.codes[name], len(groups)) for name, groups in ATTRIBUTES.items()]
    cells = list(itertools.product(*ATTRIBUTES.values()))
    counts = hard_counts(joint_codes(parts), len(cells))
    intervals = simultaneous(counts)
    total = max(1, int(counts.sum()))
    return tuple(
        CellRow(
            gender=gender,
            age=age,
            ethnicity=ethnicity,
            count=int(counts[i]),
            share=float(counts[i] / total),
            low=float(intervals[i, 0]),
            high=float(intervals[i, 1]),
            small=bool(counts[i] < small_cell),
        )
        for i, (gender, age, ethnicity) in enumerate(cells)
    )


def associations(population: Population) -> dict[str, Association]:
    """How strongly two attributes go together in one population."""
    told = {}
    for (one, rows), (other, columns) in itertools.combinations(ATTRIBUTES.items(), 2):
        parts = [(population.codes[one], len(rows)), (population.codes[other], len(columns))]
        counts = hard_counts(joint_codes(parts), len(rows) * len(columns))
        told[f"{one} and {other}"] = associate(counts.reshape(len(rows), len(columns)))
    return told


def set_associations(of: Population, against: Population) -> dict[str, Association]:
    """How strongly each attribute depends on which of two populations a picture is from."""
    return {
        attribute: associate(
            np.stack([hard_counts(one.codes[attribute], len(groups)) for one in (against, of)])
        )
        for attribute, groups in ATTRIBUTES.items()
    }


def differences(
    of: Mapping[str, CorrectedRange], against: Mapping[str, CorrectedRange]
) -> tuple[DifferenceRow, ...]:
    """Corrected shares of one population minus those of another, seen by one analyser."""
    rows = []
    for attribute, groups in ATTRIBUTES.items():
        each = [
            corrected_difference(one, other)
            for one, other in zip(of[attribute].each, against[attribute].each, strict=True)
        ]
        for i, group in enumerate(groups):
            middle, low, high = (float(value) for value in each[0][i])
            rows.append(
                DifferenceRow(
                    attribute=attribute,
                    group=group,
                    difference=middle,
                    low=low,
                    high=high,
                    range_low=float(min(one[i, 1] for one in each)),
                    range_high=float(max(one[i, 2] for one in each)),
                )
            )
    return tuple(rows)


def _target_shares(attribute: str, target: Shares | None) -> Floats | None:
    if target is None or attribute not in target:
        return None
    return marginal_target({attribute: target[attribute]}).shares


def _evenness(of: str, attribute: str, counts: Codes | Floats, target: Floats | None) -> Evenness:
    seen = paper_groups(attribute, counts)
    there = bool(seen.sum() > 0)
    return Evenness(
        of=of,
        normalised_entropy=_entropy(attribute, counts),
        effective_groups=evenness.effective_groups(seen) if there else math.nan,
        kl_from_uniform=evenness.divergence(seen) if there else math.nan,
        tv_from_uniform=evenness.total_variation(seen) if there else math.nan,
        kl_from_target=None if target is None else evenness.divergence(counts, target),
        tv_from_target=None if target is None else evenness.total_variation(counts, target),
    )


def _entropy(attribute: str, shares: Codes | Floats) -> float:
    """Normalised entropy over the paper's groups; NaN where nobody is in one of them."""
    seen = paper_groups(attribute, shares)
    return evenness.normalised_entropy(seen) if seen.sum() > 0 else math.nan


def _matrix_row(attribute: str, matrix: ConfusionMatrix, corrected: Corrected) -> MatrixRow:
    each = [_entropy(attribute, one) for one in corrected.draws]
    low, high = np.nanquantile(each, [0.025, 0.975]) if np.isfinite(each).any() else [np.nan] * 2
    return MatrixRow(
        matrix=matrix.name,
        note=matrix.note,
        misfit=corrected.misfit,
        refuted=corrected.refuted,
        shares=tuple(corrected.shares.tolist()),
        low=tuple(corrected.low.tolist()),
        high=tuple(corrected.high.tolist()),
        entropy=_entropy(attribute, corrected.shares),
        entropy_low=float(low),
        entropy_high=float(high),
    )
