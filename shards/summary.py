"""What is in a dataset, as its done files, rows, quarantine and owners tell it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.run import GeneratorRecord
from schemas.sample import SPLITS
from schemas.settings import as_plain
from shards import layout
from shards.encoding import read_parquet
from shards.manifest import State, state
from shards.owner import writers
from shards.plan import shard_names
from shards.publish import given_up, quarantined
from shards.run import read_generator, read_planned


def summary(dataset: Path) -> dict[str, Any]:
    """Everything that `inspect` shows first, as plain JSON values."""
    run, plan = read_planned(dataset)
    now = state(dataset, shard_names(plan))
    generator = read_generator(dataset)
    asides = quarantined(dataset)
    return {
        "dataset": str(dataset),
        "name": run.config.name,
        "complete": now.complete,
        "planned": plan.num_rows,
        "ok": sum(done.ok for done in now.done.values()),
        "failed": sum(done.failed for done in now.done.values()),
        "bytes": sum(done.num_bytes for done in now.done.values()),
        "size_px": run.config.dataset.size_px,
        "prompt": run.config.dataset.prompt,
        "stages": _stages(run.config.dataset.stages, as_plain(run.config)["stage"], generator),
        "splits": _splits(now, plan),
        "failures": failures(dataset, now),
        "given_up": {s: why for s, why in given_up(dataset).items() if s not in now.done},
        "set_aside": sum(why["kind"] != "lease" for why in asides),
        "writers": writers(dataset),
        "generator": None if generator is None else as_plain(generator),
        "plan_sha256": run.plan.sha256,
    }


def failed_rows(dataset: Path, now: State) -> list[dict[str, Any]]:
    """The rows of samples that failed."""
    return [
        row
        for shard, done in now.done.items()
        if done.failed
        for row in read_parquet(layout.rows_path(dataset, shard)).to_pylist()
        if row["status"] == "failed"
    ]


def failures(dataset: Path, now: State) -> dict[str, int]:
    """How many samples failed, by reason, the most frequent first."""
    return dict(Counter(row["reason"] for row in failed_rows(dataset, now)).most_common())


def _stages(
    names: tuple[str, ...], settings: dict[str, Any], generator: GeneratorRecord | None
) -> dict[str, Any]:
    told = {}
    for name in names:
        wanted = ("model", "revision", "steps", "guidance", "strength")
        told[name] = {key: settings[name][key] for key in wanted}
        weights = generator.models[name].weights if generator else None
        told[name]["weights"] = weights
    return told


def _splits(now: State, plan: pa.Table) -> dict[str, Any]:
    planned = {row["values"]: row["counts"] for row in plan["split"].value_counts().to_pylist()}
    splits: dict[str, Any] = {}
    for split in SPLITS:
        if split in planned:
            shards = [shard for shard in now.shards if shard.startswith(f"{split}/")]
            done = [now.done[shard] for shard in shards if shard in now.done]
            splits[split] = {
                "planned": planned[split],
                "ok": sum(facts.ok for facts in done),
                "failed": sum(facts.failed for facts in done),
                "shards": len(done),
                "shards_planned": len(shards),
                "bytes": sum(facts.tar_bytes for facts in done),
            }
    return splits
