"""Sources that are made first, in a dataset of their own, where a GPU cannot hold both models.

They have the ids, prompts, seeds and shards of the dataset that they belong to, so that its targets
are made from them as if both were made in one go.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from schemas.run import FileIdentity, Run
from schemas.sample import plan_schema
from schemas.settings import as_plain, fingerprint
from shards import layout
from shards.encoding import parquet_bytes, read_parquet, sha256
from shards.plan import CONFIG_KEY


class Source(NamedTuple):
    """A published source, or why there is none."""

    png: bytes
    sha256: str
    reason: str | None


def plan_of_sources(run: Run, plan: pa.Table) -> tuple[Run, bytes]:
    """What a dataset of the sources of another one is planned as."""
    config = replace(
        run.config,
        stage={"source": run.config.stage["source"]},
        dataset=replace(run.config.dataset, stages=("source",)),
    )
    schema = plan_schema(("source",))
    facts = {**schema.metadata, CONFIG_KEY: fingerprint(as_plain(config)).encode()}
    rows = parquet_bytes(plan.select(schema.names).cast(schema.with_metadata(facts)))
    identity = FileIdentity(sha256=sha256(rows), rows=plan.num_rows)
    return replace(run, config=config, plan=identity, part_of=run.plan), rows


def read_sources(dataset: Path, shard: str) -> dict[str, Source]:
    """The sources of a shard by the ids of their samples, each compared with its checksum."""
    found = {}
    with layout.tar_path(dataset, shard).open("rb") as tar:
        for row in read_parquet(layout.rows_path(dataset, shard)).to_pylist():
            png = b""
            if row["status"] == "ok":
                tar.seek(row["source_offset"])
                png = tar.read(row["source_bytes"])
                if sha256(png) != row["source_sha256"]:
                    raise ValueError(
                        f"{tar.name}: the source of {row['id']} is damaged; "
                        f"relume generate {dataset} --mend makes it anew"
                    )
            found[row["id"]] = Source(png, row["source_sha256"] or "", row["reason"])
    return found
