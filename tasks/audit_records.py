"""The records that a report of an audit is made of."""

from __future__ import annotations

from dataclasses import dataclass

from metrics.association import Association
from metrics.diversity import Diversity
from metrics.groups import AGE_BINS
from tasks.audit_faces import Likeness, Repeats
from tasks.audit_pairs import PairReport
from tasks.audit_people import AttributeReport, CellRow, DifferenceRow
from tasks.paper_shares import Reread


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationReport:
    """Everything about one stage of one dataset; no tables where no picture counts."""

    label: str
    stage: str
    num: int
    num_counted: int
    statuses: dict[str, int]
    attributes: dict[str, AttributeReport]
    crossed: tuple[CellRow, ...]
    associations: dict[str, Association]
    diversity: Diversity | None
    repeats: tuple[Repeats, ...]
    likeness: Likeness | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One population against another: effect sizes and differences of corrected shares."""

    of: str
    against: str
    associations: dict[str, Association]
    differences: tuple[DifferenceRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An audit's report. `table_one` is in the paper's form, `paper` what the paper's own says."""

    procedural: bool
    table_one: tuple[tuple[str, ...], ...]
    paper: tuple[Reread, ...]
    populations: tuple[PopulationReport, ...]
    comparisons: tuple[Comparison, ...]
    pairs: tuple[PairReport, ...]
    draws: int
    seed: int
    small_cell: int
    age_bins: tuple[str, ...] = AGE_BINS

    def population(self, label: str, stage: str) -> PopulationReport:
        """One of its populations."""
        for one in self.populations:
            if (one.label, one.stage) == (label, stage):
                return one
        raise KeyError(f"{label}, {stage}")
