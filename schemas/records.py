"""What every record has in common: an arrow schema with its name and version, and its rows.

A record is a frozen dataclass with a handwritten schema beside it; tests/schemas/test_records.py
keeps the two in step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import pyarrow as pa

RECORD_KEY = b"relume.record"
VERSION_KEY = b"relume.version"


def column(name: str, kind: pa.DataType, description: str, *, nullable: bool = False) -> pa.Field:
    """One column of a record, with the description that the manifest reference is made from."""
    return pa.field(name, kind, nullable=nullable, metadata={"description": description})


def record_schema(record: str, version: int, columns: Iterable[pa.Field]) -> pa.Schema:
    """The arrow schema of a record: its columns, its name and its version."""
    metadata = {RECORD_KEY: record.encode(), VERSION_KEY: str(version).encode()}
    return pa.schema(list(columns), metadata=metadata)


def to_row(record: Any) -> dict[str, Any]:
    """A record's fields by name, without the deep copy of ``dataclasses.asdict``."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def to_table(records: Iterable[Any], schema: pa.Schema) -> pa.Table:
    """Records of one kind as an arrow table of exactly this schema."""
    return pa.Table.from_pylist([to_row(record) for record in records], schema=schema)


def check_record(found: pa.Schema, wanted: pa.Schema, path: str) -> None:
    """Raise a ValueError naming file and first difference, unless `found` is the record `wanted`.

    Columns that `wanted` does not know are an error too: a newer version of Relume may have given
    them a meaning.
    """
    for key, label in ((RECORD_KEY, "record"), (VERSION_KEY, "version")):
        have = (found.metadata or {}).get(key, b"none").decode()
        want = wanted.metadata[key].decode()
        if have != want:
            raise ValueError(
                f"{path}: {label} is {have!r}, but this version of Relume reads {want!r}"
            )
    for field in wanted:
        index = found.get_field_index(field.name)
        if index < 0:
            raise ValueError(f"{path}: column {field.name!r} is missing")
        if found.field(index).type != field.type:
            raise ValueError(
                f"{path}: column {field.name!r} is {found.field(index).type}, wanted {field.type}"
            )
        if found.field(index).nullable and not field.nullable:
            raise ValueError(f"{path}: column {field.name!r} may be null, which it never is here")
    unknown = sorted(set(found.names) - set(wanted.names))
    if unknown:
        raise ValueError(f"{path}: unknown column {unknown[0]!r}")
