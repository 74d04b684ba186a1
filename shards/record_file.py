"""Records in files of their own, published once: what a folder is made by, and if it still is.

run.json and generator.json of a dataset, audit.json of an audit, run.json of a training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from schemas.run import Making
from schemas.settings import as_plain, resolve
from shards import filesystem
from shards.encoding import json_bytes

Record = TypeVar("Record")


class Fixed(Making, Protocol):
    """A record that says what a later run may not change."""

    def must_match(self) -> dict[str, Any]:
        """What a later run may not change."""
        ...


def agree_on_record(path: Path, record: Fixed, told: str) -> list[str]:
    """Publish a record, or agree with the one that is there.

    ValueError says `told` and names what may not differ; what may differ is returned.
    """
    if publish_record(path, record):
        return []
    earlier: Fixed = read_record(path, type(record))
    different = differences(earlier.must_match(), record.must_match())
    if different:
        raise ValueError(f"{path.parent}: {told}. They differ in{listed(different)}")
    return differences(earlier.may_differ(), record.may_differ())


def publish_record(path: Path, record: Any) -> bool:
    """Publish a record; False where one is there already."""
    try:
        filesystem.publish_bytes(path.parent, path, json_bytes(as_plain(record)))
    except FileExistsError:
        return False
    return True


def read_record(path: Path, kind: type[Record]) -> Record:
    """A record out of its file; ValueError names what is wrong with it."""
    try:
        tables = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is damaged: {error}") from None
    if not isinstance(tables, dict):
        raise ValueError(f"{path}: is damaged: no object, but {type(tables).__name__}")
    return resolve(kind, tables, str(path))


def differences(before: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    """Each leaf that differs, by its path: `numerics.dtype: 'bfloat16', now 'float32'`."""
    found = []
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        where = f"{path}{key}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{where}.")
        elif old != new:
            found.append(f"{where}: {old!r}, now {new!r}")
    return found


def listed(items: Sequence[str]) -> str:
    """One item on the same line, several on lines of their own."""
    return f" {items[0]}" if len(items) == 1 else "".join(f"\n  {item}" for item in items)
