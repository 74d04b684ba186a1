"""Which samples a selection file names."""

from __future__ import annotations

from pathlib import Path

from shards.encoding import read_parquet


def read_selection(path: Path) -> frozenset[str]:
    """The ids that a selection keeps; ValueError when the file is none."""
    table = read_parquet(path)
    missing = [name for name in ("id", "selected") if name not in table.column_names]
    if missing:
        raise ValueError(f"{path}: has no column {missing[0]!r}; take a file of relume curate")
    return frozenset(table.filter(table.column("selected")).column("id").to_pylist())
