"""What a dataset of enhanced pictures is planned as: samples of another dataset, in its shards.

A sample keeps id, split, half, shard and prompt. Those that are left out close up, so that a row's
index is its place in the shard here too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.config import StageSettings
from schemas.run import FileIdentity, Run
from schemas.sample import PLAN_SCHEMA, SPLITS, Split, plan_schema
from schemas.settings import as_plain, fingerprint
from shards.encoding import parquet_bytes, sha256
from shards.plan import CONFIG_KEY

MODEL = "relume-head"


def plan_of_enhanced(
    run: Run,
    plan: pa.Table,
    revision: str,
    *,
    split: Split | None = None,
    only: Collection[str] | None = None,
) -> tuple[Run, bytes]:
    """The run and plan of a dataset enhanced by the head with these weights' hash.

    `split` and `only`, the ids of a selection, leave the other samples out.
    """
    wanted = np.ones(plan.num_rows, bool)
    if split is not None:
        wanted &= np.asarray(plan["split"]) == split
    if only is not None:
        wanted &= np.asarray(pc.is_in(plan["id"], pa.array(sorted(only), pa.string())))
    if not wanted.any():
        raise ValueError("nothing to enhance: no sample is in both the split and the selection")
    rows = plan.filter(pa.array(wanted)).select(PLAN_SCHEMA.names)
    splits = set(rows["split"].unique().to_pylist())
    config = replace(
        run.config,
        stage={"enhanced": StageSettings(model=MODEL, revision=revision)},
        dataset=replace(
            run.config.dataset,
            stages=("enhanced",),
            splits=tuple(one for one in SPLITS if one in splits),
        ),
    )
    index = rows.schema.get_field_index("index")
    rows = rows.set_column(index, rows.schema.field(index), _places(rows["shard"]))
    # A head draws nothing, so it has no seed.
    rows = rows.append_column("enhanced_seed", pa.array([0] * rows.num_rows, pa.int64()))
    schema = plan_schema(("enhanced",))
    facts = {**schema.metadata, CONFIG_KEY: fingerprint(as_plain(config)).encode()}
    data = parquet_bytes(rows.cast(schema.with_metadata(facts)))
    identity = FileIdentity(sha256=sha256(data), rows=rows.num_rows)
    made = replace(run, config=config, plan=identity, part_of=run.plan, photos=None, folder=None)
    return made, data


def _places(shards: pa.ChunkedArray) -> pa.Array:
    """The place of each row in its shard; rows of a shard lie together."""
    counts = [one["counts"] for one in shards.value_counts().to_pylist()]
    return pa.array(np.concatenate([np.arange(count) for count in counts]), pa.int32())
