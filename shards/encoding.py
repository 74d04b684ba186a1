"""Tables and small records as bytes: the same content is always the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as a parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def write_parquet(
    tables: Iterable[pa.Table], schema: pa.Schema, write: Callable[[bytes], None]
) -> None:
    """Tables as one parquet file, a group of rows for each; only one is in memory at a time."""
    with pq.ParquetWriter(pa.PythonFile(_Sink(write)), schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table.replace_schema_metadata(schema.metadata))


class _Sink(io.RawIOBase):
    """A file for pyarrow that hands every piece on."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._write(bytes(data))
        return len(data)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A table out of a parquet file, or some columns; ValueError names the file that is none."""
    try:
        path.open("rb").close()  # what cannot be opened is not damaged: an OSError, as it is
    except FileNotFoundError:
        raise ValueError(f"{path}: is not there") from None
    try:
        # The folder's name says nothing about the rows.
        return pq.read_table(path, columns=columns, partitioning=None)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: is no parquet file, or a damaged one") from error


def json_bytes(value: Any) -> bytes:
    """Plain values as a JSON file that people can read."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def sha256(data: bytes) -> str:
    """The sha256 of some bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()
