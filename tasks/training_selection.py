"""Which samples a selection file names."""

from __future__ import annotations

from pathlib import Path

from schemas.records import check_record
from schemas.selection import SELECTION_SCHEMA
from shards.encoding import read_parquet


def read_selection(path: Path) -> frozenset[str]:
    """The ids that a selection keeps; ValueError when the file is none."""
    table = read_parquet(path)
    check_record(table.schema, SELECTION_SCHEMA, str(path))
    return frozenset(table.filter(table.column("selected")).column("id").to_pylist())
