"""The report of an audit: all its numbers, as records and as JSON; draws and prints nothing."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from metrics.correction import CorrectedRange
from metrics.groups import ATTRIBUTES, hard_counts
from tasks.audit.faces import faces_diversity, likeness, repeats
from tasks.audit.pairs import pair_report
from tasks.audit.paper_shares import paper_row, reread_paper
from tasks.audit.people import (
    associations,
    attribute_report,
    corrected_shares,
    crossed,
    differences,
    set_associations,
)
from tasks.audit.population import Population, populations
from tasks.audit.records import Comparison, Drawn, PopulationReport, Report
from tasks.audit.settings import ReportSettings
from tasks.audit.tables import markdown, tables
from tasks.report_place import REPORT, TEXT
from tasks.text_tables import Table, plain_tables

Names = Mapping[str, str | None]
Measures = Mapping[str, Mapping[str, float]]


def build_report(
    rows: pa.Table,
    label: str,
    *,
    against: pa.Table | None = None,
    against_label: str = "baseline",
    names: Names | None = None,
    measures: Measures | None = None,
    procedural: bool = False,
    settings: ReportSettings | None = None,
) -> Report:
    """The report of an audit's rows, and of another's to compare with, which comes first in tables.

    `names` are those in the prompts, by sample id, for the likeness check; `measures` such as LPIPS
    are of the pairs of `rows`, by name and then by id.
    """
    settings = settings or ReportSettings()
    if against is not None and label == against_label:
        raise ValueError(f"label {label!r}: is the other audit's too; name them apart")
    ours = populations(rows, label)
    theirs = [] if against is None else populations(against, against_label)
    every = [*theirs, *ours]
    corrected = {
        one.title: corrected_shares(one, settings, stream)
        for stream, one in enumerate(every)
        if one.num_counted
    }
    return Report(
        procedural=procedural,
        table_one=tuple(_table_one(every)),
        paper=tuple(reread_paper()),
        populations=tuple(
            _population_report(
                one,
                corrected.get(one.title),
                (names or {}) if own else {},
                settings,
                own=own,
            )
            for group, own in ((theirs, False), (ours, True))
            for one in group
        ),
        comparisons=tuple(_comparisons(ours, theirs, corrected)),
        pairs=tuple(
            pair_report(group[0], after, measures if group is ours else None)
            for group in (theirs, ours)
            for after in group[1:]
            if group[0].stage == "source" and after.stage == "target"
        ),
        draws=settings.draws,
        seed=settings.seed,
        small_cell=settings.small_cell,
    )


def as_json(value: Any) -> Any:
    """A report, or a part of it, as plain JSON values; NaN and infinity as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return as_json(value.tolist())
    if isinstance(value, (tuple, list)):
        return [as_json(one) for one in value]
    if isinstance(value, float):
        # Twelve digits: what differs beyond them is the processor, not the pictures.
        return float(f"{value:.12g}") if math.isfinite(value) else None
    return value


def write_report(
    report: Report,
    folder: Path,
    title: str,
    *,
    selection: str | None = None,
    figures: Sequence[Drawn] = (),
) -> list[Table]:
    """Writes report.json and report.md into a folder; returns the tables that are in both.

    report.json has the numbers by name, and for a gallery the tables as they are read and the words
    of the figures beside it. `selection` is the sha256 of the file whose samples these are, null
    where they are all.
    """
    drawn = tables(report)
    told = as_json(report) | {
        "title": title,
        "selection": selection,
        "tables": plain_tables(drawn),
        "figures": [dataclasses.asdict(one) for one in figures],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT).write_text(
        json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / TEXT).write_text(markdown(report), encoding="utf-8")
    return drawn


def _population_report(
    population: Population,
    corrected: dict[str, CorrectedRange] | None,
    names: Names,
    settings: ReportSettings,
    *,
    own: bool,
) -> PopulationReport:
    return PopulationReport(
        label=population.label,
        stage=population.stage,
        own=own,
        num=population.num,
        num_counted=population.num_counted,
        statuses=population.statuses,
        attributes={
            attribute: attribute_report(population, attribute, corrected[attribute], settings)
            for attribute in ATTRIBUTES
        }
        if corrected
        else {},
        crossed=crossed(population, settings.small_cell) if corrected else (),
        associations=associations(population) if corrected else {},
        diversity=faces_diversity(population),
        repeats=repeats(population, settings) if settings.duplicates else (),
        likeness=likeness(population, names, settings),
    )


def _table_one(every: list[Population]) -> list[tuple[str, ...]]:
    """The rows of Table 1; a stage is named only where a dataset has several."""
    labels = [one.label for one in every]
    rows = []
    for one in every:
        counts = {
            attribute: hard_counts(one.codes[attribute], len(groups))
            for attribute, groups in ATTRIBUTES.items()
        }
        title = one.label if labels.count(one.label) == 1 else one.title
        rows.append(paper_row(title[:1].upper() + title[1:], counts))
    return rows


def _comparisons(
    ours: list[Population],
    theirs: list[Population],
    corrected: Mapping[str, dict[str, CorrectedRange]],
) -> list[Comparison]:
    """Each of our populations against theirs of the same stage, or their first one."""
    told = []
    for one in ours:
        other = next((other for other in theirs if other.stage == one.stage), None)
        other = other or next(iter(theirs), None)
        if other and one.title in corrected and other.title in corrected:
            told.append(
                Comparison(
                    of=one.title,
                    against=other.title,
                    associations=set_associations(one, other),
                    differences=differences(corrected[one.title], corrected[other.title]),
                )
            )
    return told
