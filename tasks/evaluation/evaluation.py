"""A whole evaluation as one value: what was compared, on what, and every number with its making."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from metrics.consistency import Consistency, Explained
from metrics.gap import GapTable
from metrics.same_prompts import SamePromptRow
from schemas.evaluate import EvaluateSettings
from schemas.measure import FRECHET, SeenBy
from schemas.settings import as_plain
from tasks.audit.pairs import PairReport
from tasks.evaluation.dataset import Dataset
from tasks.evaluation.measures import (
    Looks,
    Nearness,
)
from tasks.evaluation.rows import Row
from tasks.evaluation.speeds import Speed
from tasks.features.store import Covered, taps_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """All that is compared: rows with the looks at them, and what looked."""

    settings: EvaluateSettings
    data: Dataset
    rows: tuple[Row, ...]
    covered: Mapping[str, Covered]
    networks: Mapping[str, SeenBy]
    further: tuple[str, ...] = ()
    source_speed: Speed | None = None

    @property
    def shown(self) -> tuple[str, ...]:
        """Rows of the tables; further targets are for consistency alone."""
        return tuple(row.name for row in self.rows if row.name not in self.further)

    @property
    def beside_target(self) -> tuple[str, ...]:
        """Rows that are compared with the targets."""
        apart = {name for names in self.blocks.values() for name in names}
        return tuple(name for name in self.shown if name not in apart)

    @property
    def blocks(self) -> dict[str, tuple[str, ...]]:
        """Rows of other families of models, which are compared with each other alone."""
        found: dict[str, tuple[str, ...]] = {}
        for row in self.rows:
            if row.block is not None:
                found[row.block] = (*found.get(row.block, ()), row.name)
        return found

    @property
    def headline(self) -> tuple[str, int]:
        """Label and tap of the headline's network."""
        label = next(iter(self.networks))
        return label, taps_of(self.networks[label])[-1]

    @property
    def frechet(self) -> list[tuple[str, int]]:
        """Labels and taps that Frechet distances are told of, the headline's first."""
        found = [
            (label, tap)
            for label, one in self.networks.items()
            if one.network.kind in FRECHET
            for tap in taps_of(one)
        ]
        return sorted(found, key=lambda one: one != self.headline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Every number. Gaps and same prompts are by "label/tap", nearness by the reference."""

    split: str
    dataset: str
    procedural: bool
    num: int
    num_planned: int
    left_out: dict[str, str]
    headline: str
    networks: dict[str, dict[str, Any]]
    rows: dict[str, dict[str, Any]]
    gaps: dict[str, dict[str, GapTable]]
    same_prompts: dict[str, tuple[SamePromptRow, ...]]
    nearness: dict[str, dict[str, Nearness]]
    looks: dict[str, Looks]
    drift: dict[str, PairReport]
    speeds: dict[str, Speed]
    consistency: Consistency | None
    explained: dict[str, Explained | None]
    cautions: list[str]
    settings: EvaluateSettings
    blocks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    prompts: dict[str, Any] = field(default_factory=dict)


def plain(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON values; what is no number is null."""
    told = asdict(evaluation)
    for label, report in told["drift"].items():
        told["drift"][label] = {
            **report,
            "groups": {
                name: {key: _listed(value) for key, value in one.items()}
                for name, one in report["groups"].items()
            },
        }
    made: dict[str, Any] = _finite({**told, "settings": as_plain(evaluation.settings)})
    return made


def _listed(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return _finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
