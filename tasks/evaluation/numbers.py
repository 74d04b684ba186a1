"""Every number of an evaluation, from the features of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from metrics.consistency import Consistency, Explained, consistency, explained_by
from metrics.frechet import Eigenvalues, numpy_eigenvalues
from schemas.evaluate import SOURCE, TARGET
from schemas.settings import as_plain, fingerprint
from shards import layout
from shards.encoding import read_parquet
from shards.gathering import ROWS
from tasks.audit.pairs import PairReport, pair_report
from tasks.audit.population import Population, populations
from tasks.evaluation import speeds
from tasks.evaluation.dataset import Dataset, check_halves
from tasks.evaluation.evaluation import Compared, Evaluation
from tasks.evaluation.heads import ENHANCED
from tasks.evaluation.measures import (
    Evidence,
    cautions_of,
    gaps,
    looks,
    nearness,
    references,
    same_prompts,
)
from tasks.evaluation.rows import Row
from tasks.evaluation.speeds import Speed
from tasks.features.store import Covered, failures_of, features_of


def evaluate(
    compared: Compared,
    store: Path,
    kept: Path,
    eigenvalues: Eigenvalues = numpy_eigenvalues,
) -> Evaluation:
    """Every number of the tables, from the features in the store."""
    settings, data = compared.settings, compared.data
    left_out = _left_out(compared, store)
    evidence, ids = _evidence(compared, store, left_out)
    how = {
        "draws": settings.draws,
        "seed": settings.seed,
        "kept": kept,
        "eigenvalues": eigenvalues,
    }
    against = references(compared.beside_target)
    tables = {
        reference: {
            _of(one): gaps(evidence, *one, reference, **how)  # type: ignore[arg-type]
            for one in compared.frechet
        }
        for reference in against
    }
    same = {_of(one): same_prompts(evidence, *one, **how) for one in compared.frechet}  # type: ignore[arg-type]
    with_cmmd = "cmmd" in compared.networks
    drift = _drift(compared, ids)
    found, explained = _consistency(compared, evidence)
    main = _of(compared.headline)
    cautions = [
        f"against the {reference}: {told}"
        for reference in against
        for told in cautions_of(tables[reference][main], reference)
    ]
    return Evaluation(
        split=settings.split,
        dataset=data.run.config.name,
        procedural=data.procedural,
        num=len(ids),
        num_planned=data.plan.num_rows,
        left_out=left_out,
        headline=main,
        networks={label: one.what_it_is() for label, one in compared.networks.items()},
        rows={row.name: _told(row, compared.covered[row.name]) for row in compared.rows},
        gaps=tables,
        same_prompts=same,
        nearness={
            reference: {
                row: nearness(
                    evidence,
                    row,
                    reference,
                    compared.headline,
                    with_cmmd=with_cmmd,
                    draws=settings.draws,
                    seed=settings.seed,
                    kept=kept,
                )
                for row in evidence.rows
                if row != reference
            }
            for reference in against
        },
        looks={row: looks(evidence, row, list(compared.networks)) for row in compared.shown},
        blocks=compared.blocks,
        drift=drift,
        speeds=_speeds(compared, store),
        consistency=found,
        explained=explained,
        cautions=cautions,
        settings=settings,
    )


def _evidence(
    compared: Compared, store: Path, left_out: Mapping[str, str]
) -> tuple[Evidence, list[str]]:
    data = compared.data
    kept = [one for one in data.plan.to_pylist() if one["id"] not in left_out]
    ids = [one["id"] for one in kept]
    plan = data.plan.filter(pc.is_in(data.plan["id"], value_set=pa.array(ids, pa.string())))
    check_halves(replace(data, plan=plan), compared.settings.split, len(left_out))
    loaded: dict[tuple[str, str, int], NDArray[np.floating]] = {}
    by_name = {row.name: row for row in compared.rows}

    def features(row: str, label: str, tap: int) -> NDArray[np.floating]:
        if loaded and next(iter(loaded))[1:] != (label, tap):
            loaded.clear()  # of one tap at a time: they are large
        if (row, label, tap) not in loaded:
            shards, covered = by_name[row].dataset.shards, compared.covered[row]
            loaded[row, label, tap] = features_of(store, covered, shards, ids, label, tap)
        return loaded[row, label, tap]

    identity = fingerprint(
        {
            "ids": ids,
            "looks": {row: dict(compared.covered[row].by_label) for row in compared.beside_target},
        }
    )
    in_a = np.array([one["half"] == "A" for one in kept])
    return Evidence(compared.beside_target, in_a, features, identity), ids


def _left_out(compared: Compared, store: Path) -> dict[str, str]:
    """Prompts of which some row has no picture or no features, and why."""
    planned = set(compared.data.plan["id"].to_pylist())
    found: dict[str, str] = {}
    for row in compared.rows:
        for one, why in failures_of(store, compared.covered[row.name], row.dataset.shards).items():
            if one in planned:
                found.setdefault(one, f"{row.name}: {why}")
        for one in _failed(row.dataset):
            if one in planned:
                found.setdefault(one, f"{row.name}: has no picture, it failed")
    return found


def _failed(dataset: Dataset) -> list[str]:
    found = []
    for shard in dataset.shards:
        table = read_parquet(layout.rows_path(dataset.folder, shard), ["id", "status"])
        found += table.filter(pc.not_equal(table["status"], "ok"))["id"].to_pylist()
    return found


def _told(row: Row, covered: Covered) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "stage": row.stage,
        "flags": list(row.flags),
        "change": as_plain(row.change),
        "looks": dict(covered.by_label),
        **row.facts,
    }


def _speeds(compared: Compared, store: Path) -> dict[str, Speed]:
    """Seconds a picture, for rows of which it is known; a head's with its source."""
    source = compared.source_speed
    found = {} if source is None else {SOURCE: source}
    for row in compared.rows:
        if row.name not in compared.shown or row.name in (SOURCE, TARGET):
            continue
        made = _speed(row, compared, store)
        if made is not None:
            found[row.name] = made
    return found


def _speed(row: Row, compared: Compared, store: Path) -> Speed | None:
    source = compared.source_speed
    if row.seconds is not None:
        return Speed(seconds=row.seconds, told_by="the config")
    if row.kind in ("dataset", "teacher"):
        stages = row.dataset.run.config.dataset.stages
        own = speeds.of_dataset(row.dataset.folder, len(stages))
        return speeds.together(source, own) if str(row.stage) == ENHANCED else own
    if row.kind not in ("head", "filter"):
        return None
    key = next(iter(compared.covered[row.name].by_label.values()))
    return speeds.together(source, speeds.of_change(store, key, row.dataset.shards))


def _drift(compared: Compared, ids: Sequence[str]) -> dict[str, PairReport]:
    """How perceived groups move from the source to each row that has an audit."""
    by_name = {row.name: row for row in compared.rows}
    if by_name[SOURCE].audit is None:
        return {}
    before = _population(by_name[SOURCE], ids)
    return {
        row.name: pair_report(before, _population(row, ids))
        for row in compared.rows
        if row.audit is not None and row.name != SOURCE
    }


def _population(row: Row, ids: Sequence[str]) -> Population:
    assert row.audit is not None
    table = read_parquet(row.audit / ROWS)
    mine = table.filter(pc.is_in(table["id"], value_set=pa.array(list(ids), pa.string())))
    found = {one.stage: one for one in populations(mine, row.name)} if mine.num_rows else {}
    stage = row.stage if row.kind != "head" else next(iter(found), row.stage)
    if stage not in found:
        raise ValueError(
            f"row {row.name!r}: {row.audit} tells of no {stage} of these samples; "
            "name the audit of the row's own pictures"
        )
    return found[stage]


def _consistency(
    compared: Compared, evidence: Evidence
) -> tuple[Consistency | None, dict[str, Explained | None]]:
    if not compared.further:
        return None, {}

    def flat(row: str) -> NDArray[np.floating]:
        return evidence.features(row, *compared.headline).reshape(evidence.num, -1)

    sources = flat(SOURCE)
    targets = np.stack([flat(row) for row in (TARGET, *compared.further)], 1)
    draws, seed = max(compared.settings.draws, 100), compared.settings.seed
    found = consistency(sources, targets, draws=draws, seed=seed)
    explained = {
        row.name: explained_by(flat(row.name), sources, targets, draws=draws, seed=seed)
        for row in compared.rows
        if row.kind in ("head", "filter", "folder") and row.block is None
    }
    return found, explained


def _of(one: tuple[str, int]) -> str:
    label, tap = one
    return f"{label}/{tap}" if tap else label
