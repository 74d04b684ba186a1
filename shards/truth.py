"""truth.parquet: what was drawn, for a dataset whose pictures were drawn by a program."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from shards import filesystem, layout
from shards.encoding import parquet_bytes


def publish_truth(dataset: Path, table: pa.Table | None) -> None:
    """Publish the truth once; the same again is no error."""
    if table is None:
        return
    path, data = dataset / layout.TRUTH, parquet_bytes(table)
    try:
        filesystem.publish_bytes(dataset, path, data)
    except FileExistsError:
        if path.read_bytes() != data:
            raise ValueError(
                f"{path}: is not what the plan makes it; move it away, and run this again"
            ) from None
