"""The records that a report of an audit is made of."""

from __future__ import annotations

from dataclasses import dataclass

from metrics.association import Association
from metrics.diversity import Diversity
from metrics.groups import AGE_BINS
from tasks.audit.faces import Likeness, Repeats
from tasks.audit.pairs import PairReport
from tasks.audit.paper_shares import Reread


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """One group of one attribute: counts, and shares with what each interval knows of."""

    group: str
    count: int
    share: float
    soft_share: float
    corrected: float
    corrected_low: float
    corrected_high: float
    range_low: float
    range_high: float
    sampling_low: float
    sampling_high: float
    worst_low: float
    worst_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evenness:
    """How even one kind of shares is, over the groups that the paper has."""

    of: str
    normalised_entropy: float
    effective_groups: float
    kl_from_uniform: float
    tv_from_uniform: float
    kl_from_target: float | None
    tv_from_target: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """The shares of an attribute under one matrix."""

    matrix: str
    note: str
    misfit: float
    refuted: bool
    shares: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    entropy: float
    entropy_low: float
    entropy_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeReport:
    """Everything about one attribute of one population."""

    attribute: str
    rows: tuple[GroupRow, ...]
    evenness: tuple[Evenness, ...]
    matrices: tuple[MatrixRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """One combination of groups, with a simultaneous interval over all combinations."""

    gender: str
    age: str
    ethnicity: str
    count: int
    share: float
    low: float
    high: float
    small: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """How much more of a group there is, under the headline matrix and over all of them."""

    attribute: str
    group: str
    difference: float
    low: float
    high: float
    range_low: float
    range_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationReport:
    """Everything about one stage of one dataset; no tables where no picture counts.

    `own` of the audited dataset, not of the one that it is compared with.
    """

    label: str
    stage: str
    own: bool
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
class Drawn:
    """A figure that was written: its PNG, which mostly has an SVG beside it, and its words."""

    file: str
    title: str
    alt: str


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
