"""One table out of the rows of many shards, written without holding it in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from schemas.lease import ShardDone
from shards import filesystem, layout
from shards.encoding import read_parquet, write_parquet
from shards.filesystem import Sink
from shards.publish import published

# Few enough to be held in memory, enough for columns to compress.
GROUP_ROWS = 1 << 14
ROWS = "rows.parquet"


def gather_rows(root: Path, shards: Sequence[str], schema: pa.Schema) -> dict[str, ShardDone]:
    """Write ROOT/rows.parquet anew: the rows of those shards that exist, which are returned.

    The drivers of several parts may gather at once; each looks again, so the last word has all.
    """
    while True:
        done = published(root, shards)
        paths = [layout.rows_path(root, shard) for shard in shards if shard in done]

        def write(sink: Sink, paths: Sequence[Path] = paths) -> None:
            write_parquet(grouped(map(read_parquet, paths)), schema, sink)

        filesystem.replace_file(root, root / ROWS, write)
        if published(root, shards) == done:
            return done


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
