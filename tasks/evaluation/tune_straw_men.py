"""Which unsharp mask and which grain closes most of the gap on validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metrics.closure import gap_closure
from models.straw_men import GRAINS, UNSHARP_MASKS, Filter
from schemas.evaluate import SOURCE, TARGET, EvaluateSettings, FilterRow
from schemas.measure import SeenBy
from tasks.evaluation.dataset import Dataset, read_dataset
from tasks.evaluation.rows import Row, filter_row, implied_rows
from tasks.features.store import Covered, failures_of, features_of, taps_of

_CANDIDATES: Mapping[str, tuple[Filter, ...]] = {"unsharp": UNSHARP_MASKS, "grain": GRAINS}


@dataclass(frozen=True, slots=True)
class Tuning:
    """The rows that are tried on some shards of validation, and which filter each is of."""

    data: Dataset
    rows: tuple[Row, ...]
    networks: Mapping[str, SeenBy]


def tuning_of(
    settings: EvaluateSettings, root: Path, networks: Mapping[str, SeenBy]
) -> Tuning | None:
    """What has to be looked at before a straw man is chosen; None where there is none."""
    asked = [row for row in settings.row if isinstance(row, FilterRow)]
    if not asked:
        return None
    data = read_dataset(root / settings.data, "validation", ["source", "target"])
    count = -(-settings.tuning_pictures // data.run.config.dataset.shard_size)
    data = replace(data, shards=data.shards[:count])
    without = EvaluateSettings(data=settings.data)
    rows = implied_rows(without, data, root)
    for row in asked:
        for change in _CANDIDATES[row.filter]:
            made = filter_row(row, data, change)
            told = ", ".join(str(value) for value in made.facts["setting"].values())
            rows.append(replace(made, name=f"{row.name}: {told}"))
    label = next(iter(networks))
    return Tuning(data, tuple(rows), {label: networks[label]})


def choose(
    tuning: Tuning, row: FilterRow, store: Path, covered: Mapping[str, Covered]
) -> tuple[Filter, dict[str, float]]:
    """The candidate that closes most, and the closures of all."""
    ((label, seen),) = tuning.networks.items()
    tap, shards = taps_of(seen)[-1], tuning.data.shards
    failed = {one for name in covered for one in failures_of(store, covered[name], shards)}
    ids = _ids(tuning.data, shards, failed)

    def features(name: str) -> NDArray[np.floating]:
        found = features_of(store, covered[name], shards, ids, label, tap)
        return found.reshape(-1, found.shape[-1])

    source, target = features(SOURCE), features(TARGET)
    tried = [one for one in tuning.rows if one.name.startswith(f"{row.name}: ")]
    closures = {one.name: gap_closure(source, features(one.name), target) for one in tried}
    best = max(tried, key=lambda one: closures[one.name])
    assert best.change.kind in ("unsharp", "grain")
    return best.change, closures


def _ids(data: Dataset, shards: Sequence[str], failed: set[str]) -> list[str]:
    rows = data.plan.select(["id", "shard"]).to_pylist()
    ids = [one["id"] for one in rows if one["shard"] in shards and one["id"] not in failed]
    if len(ids) < 8:
        raise ValueError(
            f"{data.folder}: {len(ids)} pictures of validation to tune straw men on; leave the "
            "filter rows out, or plan more of validation"
        )
    return ids
