"""Publishes names.parquet: whole or not at all, and never another one in its place."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.name import NAME_SCHEMA
from schemas.records import check_record
from shards import filesystem
from shards.encoding import parquet_bytes, read_parquet

# Where the file's own metadata says how its names were chosen.
CHOICE_KEY = b"relume.choice"


def check_place(path: Path) -> None:
    """Raise a ValueError if names cannot be written here, before anybody waits for them."""
    if not path.parent.is_dir():
        raise ValueError(f"--out {path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise ValueError(f"--out {path}: is a folder; name a file in it, {path / 'names.parquet'}")
    if path.suffix != ".parquet":
        raise ValueError(f"--out {path}: is a parquet file; let the name end in .parquet")
    if path.exists():
        _read(path)
    try:
        with _staged(path) as file:
            file.touch()
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise ValueError(
            f"--out {path}: the folder {path.parent} cannot be written ({error.strerror});"
            " choose another --out"
        ) from error


def publish_names(names: pa.Table, path: Path, choice: Mapping[str, Any]) -> bool:
    """Write names, and how they were chosen; False if this very file of names was there already."""
    metadata = {**names.schema.metadata, CHOICE_KEY: json.dumps(choice).encode()}
    try:
        with _staged(path) as staged:
            filesystem.write_new(staged, parquet_bytes(names.replace_schema_metadata(metadata)))
            filesystem.publish_file(staged, path)
    except FileExistsError:
        if not _read(path).equals(names):
            raise ValueError(
                f"--out {path}: holds other names, and a published file never changes;"
                " choose another --out, or remove the file if nothing was planned from it"
            ) from None
        return False
    filesystem.sync_folder(path.parent)
    return True


@contextmanager
def _staged(path: Path) -> Iterator[Path]:
    """A file beside the path that is gone afterwards, whatever happens."""
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield staged
    finally:
        filesystem.remove_file(staged)


def _read(path: Path) -> pa.Table:
    try:
        names = read_parquet(path)
    except ValueError as error:
        raise ValueError(
            f"--out {path}: exists and is no names file; choose another --out"
        ) from error
    check_record(names.schema, NAME_SCHEMA, f"--out {path}")
    return names
