"""truth.parquet: what was drawn, for a dataset whose pictures were drawn by a program."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from schemas.run import FileIdentity
from schemas.truth import TRUTH_SCHEMA
from shards import filesystem, layout
from shards.encoding import write_parquet


@dataclass(frozen=True, slots=True)
class StagedTruth:
    """A truth that is on the disk, and not published yet."""

    identity: FileIdentity
    path: Path


@contextlib.contextmanager
def staged_truth(dataset: Path, tables: Iterable[pa.Table], rows: int) -> Iterator[StagedTruth]:
    """Write the truth to the staging folder, table by table."""

    def write(sink: filesystem.Sink) -> None:
        write_parquet(tables, TRUTH_SCHEMA, sink)

    with filesystem.staged_content(dataset, write) as (path, facts):
        yield StagedTruth(FileIdentity(sha256=facts.sha256, rows=rows), path)


def publish_truth(dataset: Path, wanted: FileIdentity, staged: StagedTruth) -> None:
    """Publish the truth that generator.json tells of; ValueError if it cannot be drawn again."""
    path = dataset / layout.TRUTH
    if staged.identity != wanted:
        raise ValueError(
            f"{path}: is lost, and what would be drawn now is not what {layout.GENERATOR} tells "
            "of; take it from a backup"
        )
    with contextlib.suppress(FileExistsError):
        filesystem.publish_staged(staged.path, path)


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
