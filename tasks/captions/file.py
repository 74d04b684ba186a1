"""Captions by id, for every part that trains or measures with them; and their gathering.

What is missing is counted by its reason, and refused or passed over as asked; nothing stands in
for a caption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from schemas.caption import CAPTION_SCHEMA, CaptionRecord, CaptionRow, CaptionStatus
from schemas.lease import ShardDone
from schemas.records import check_record, to_table
from schemas.sample import Stage
from shards import filesystem, layout
from shards.encoding import parquet_bytes, read_parquet
from shards.gathering import ROWS
from shards.publish import published
from shards.record_file import read_record
from shards.run import read_generator
from tasks.captions.decisions import Count, kept_decisions, settled

RECORD = "captions.json"
# A caption that was cut off begins well, and Stable Diffusion reads beginnings.
USABLE: tuple[CaptionStatus, ...] = ("ok", "cut_off")
Missing = Literal["refuse", "skip"]


@dataclass(frozen=True, slots=True)
class Captions:
    """The captions of some samples."""

    texts: dict[str, str]
    """by id, in the order that they were asked for"""
    missing: dict[str, int]
    """how many have none that is usable, by reason"""


def read_captions(
    root: Path,
    ids: Sequence[str],
    *,
    missing: Missing = "refuse",
    dataset: Path | None = None,
    stage: Stage | None = None,
    take: Sequence[CaptionStatus] = USABLE,
) -> Captions:
    """The captions of these samples, out of the folder of a caption run.

    `dataset` and `stage` have them checked to be about those pictures. `missing` says whether
    samples without a usable caption are a ValueError, or left out and counted.
    """
    record = caption_record(root)
    if dataset is not None:
        generator = read_generator(dataset)
        if generator is None or record.dataset != generator.fingerprint():
            raise ValueError(
                f"{root}: its captions are of other pictures than those of {dataset}; caption "
                "these with relume caption"
            )
        if record.stage != stage:
            raise ValueError(
                f"{root}: its captions are of the stage {record.stage!r}, and those read of "
                f"{dataset} are of {stage!r}; caption these with relume caption --stage {stage}"
            )
    rows = {row["id"]: row for row in read_rows(root).to_pylist()}
    texts: dict[str, str] = {}
    lacking: list[tuple[str, str]] = []
    for one in ids:
        row = rows.get(one)
        if row is None:
            lacking.append((one, "not captioned"))
        elif row["status"] not in take:
            lacking.append((one, row["status"]))
        else:
            texts[one] = row["caption"]
    counts = dict(sorted(Counter(why for _, why in lacking).items()))
    if lacking and missing == "refuse":
        told = ", ".join(f"{count:,} {why}" for why, count in counts.items())
        raise ValueError(
            f"{root}: {len(lacking):,} of {len(ids):,} samples have no usable caption ({told}), "
            f"for example {lacking[0][0]!r}; review or caption them, or have them skipped"
        )
    if not texts:
        raise ValueError(f"{root}: has no usable caption of any of these {len(ids):,} samples")
    return Captions(texts, counts)


def caption_record(root: Path) -> CaptionRecord:
    """What captions were made by; ValueError where there are none."""
    path = root / RECORD
    if not path.is_file():
        raise ValueError(f"{root}: has no {RECORD}; make captions with relume caption --out")
    return read_record(path, CaptionRecord)


def read_rows(root: Path) -> pa.Table:
    """The gathered rows of captions, checked to be such."""
    table = read_parquet(root / ROWS)
    check_record(table.schema, CAPTION_SCHEMA, str(root / ROWS))
    return table


def caption_rows(table: pa.Table) -> list[CaptionRow]:
    """The rows that a table tells."""
    return [CaptionRow(**row) for row in table.to_pylist()]


def made_rows(root: Path, shards: Iterable[str]) -> list[CaptionRow]:
    """The rows of published shards as the model's captions were, before twins and decisions."""
    rows: list[CaptionRow] = []
    for shard in shards:
        path = layout.rows_path(root, shard)
        table = read_parquet(path)
        check_record(table.schema, CAPTION_SCHEMA, str(path))
        rows += caption_rows(table)
    return rows


def gather_captions(root: Path, shards: Sequence[str], count: Count | None) -> dict[str, ShardDone]:
    """Write ROOT/rows.parquet anew out of the shards that exist, which are returned.

    Twins are told apart over all of them, and decisions of a review applied. The drivers of several
    parts may gather at once; each looks again, so the last word has all.
    """
    while True:
        done = published(root, shards)
        rows = made_rows(root, [shard for shard in shards if shard in done])
        table = to_table(settled(rows, kept_decisions(root), count), CAPTION_SCHEMA)
        filesystem.replace_file(root, root / ROWS, filesystem.plain(parquet_bytes(table)))
        if published(root, shards) == done:
            return done
