"""truth.parquet: what was drawn, for a dataset whose pictures were drawn by a program."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from schemas.run import FileIdentity
from shards import filesystem, layout
from shards.encoding import parquet_bytes, sha256


def truth_identity(table: pa.Table | None) -> FileIdentity | None:
    """What generator.json says of the truth; None where there is none."""
    if table is None:
        return None
    return FileIdentity(sha256=sha256(parquet_bytes(table)), rows=table.num_rows)


def publish_truth(
    dataset: Path, wanted: FileIdentity | None, draw: Callable[[], pa.Table | None]
) -> None:
    """See to it that the truth that generator.json tells of is there; drawn only if it is not."""
    if wanted is None:
        return
    path = dataset / layout.TRUTH
    if not path.exists():
        table = draw()
        assert table is not None
        with contextlib.suppress(FileExistsError):
            filesystem.publish_bytes(dataset, path, parquet_bytes(table))
    if what_is_wrong_with_truth(dataset, wanted):
        raise ValueError(
            f"{path}: is not the truth that {layout.GENERATOR} tells of; "
            "relume generate --mend sets it aside and writes it anew"
        )


def what_is_wrong_with_truth(dataset: Path, wanted: FileIdentity | None) -> str | None:
    """Why truth.parquet is not what generator.json says; None when it is."""
    path = dataset / layout.TRUTH
    if wanted is None:
        return f"is there, and {layout.GENERATOR} tells of none" if path.exists() else None
    if not path.exists():
        return "is missing"
    if filesystem.file_facts(path).sha256 != wanted.sha256:
        return f"is not the file that {layout.GENERATOR} tells of"
    return None
