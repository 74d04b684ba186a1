"""One table out of the rows of many shards, written without holding it in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from shards import filesystem, layout
from shards.encoding import read_parquet, write_parquet
from shards.filesystem import Sink

# Few enough to be held in memory, enough for columns to compress.
GROUP_ROWS = 1 << 14
ROWS = "rows.parquet"


def gather_rows(root: Path, shards: Sequence[str], schema: pa.Schema) -> Path:
    """Write ROOT/rows.parquet anew: the rows of these shards, in their order."""
    paths = [layout.rows_path(root, shard) for shard in shards]

    def write(sink: Sink) -> None:
        write_parquet(grouped(map(read_parquet, paths)), schema, sink)

    path = root / ROWS
    filesystem.replace_file(root, path, write)
    return path


def grouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The rows of many small tables, gathered into groups that a reader can skip."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(one.num_rows for one in waiting) >= GROUP_ROWS:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()
