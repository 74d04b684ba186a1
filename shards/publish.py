"""How a staged shard comes to exist: links only, done.json last.

A file at its final name without its done.json is nobody's; a starting driver sets it aside. Any
kill at any moment loses at most the shard in flight, and doubles nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas.lease import ShardDone, StagedShard
from shards import filesystem, layout
from shards.encoding import json_bytes
from shards.owner import Owner

_DONE = TypeAdapter(ShardDone)


class ShardTaken(RuntimeError):
    """Another publisher has a file of this shard at its final name."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """Files that were moved to the quarantine, and why; `where` is a shard or a file."""

    where: str
    reason: str
    folder: Path


class Publisher:
    """Links staged shards into a dataset, as its owner."""

    def __init__(self, dataset: Path, owner: Owner) -> None:
        self._dataset, self._owner = dataset, owner

    def commit(self, staged: StagedShard) -> None:
        """Make a staged shard exist; ShardTaken when another publisher was first."""
        shard, folder = staged.done.shard, Path(staged.folder)
        tar, rows = layout.tar_path(self._dataset, shard), layout.rows_path(self._dataset, shard)
        done = layout.done_path(self._dataset, shard)
        self._owner.check()
        filesystem.make_folder(tar.parent)
        try:
            # The tar's name is the lock: who links it goes on, everyone else fails here.
            filesystem.publish_file(folder / "tar", tar)
            filesystem.publish_file(folder / "parquet", rows)
            filesystem.sync_folder(tar.parent)
            self._owner.check()
            # A driver that slept through its own takeover may have lost one of the names since.
            mine = filesystem.same_file(folder / "tar", tar)
            if not mine or not filesystem.same_file(folder / "parquet", rows):
                raise ShardTaken(f"{shard}: another publisher took its name")
            filesystem.publish_file(folder / "done.json", done)
        except FileExistsError as error:
            raise ShardTaken(f"{shard}: {error.filename2} is there already") from None
        finally:
            filesystem.remove_staged(folder)
        filesystem.sync_folder(tar.parent)


def read_done(path: Path) -> ShardDone:
    """What a done.json says; ValueError when it is not one."""
    try:
        return _DONE.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ValueError(f"{path}: {where}: {first['msg']}") from None


def published(dataset: Path, shards: Iterable[str]) -> dict[str, ShardDone]:
    """The shards that exist whole, of those asked for."""
    shards = list(shards)
    begun = {
        f"{split}/{path.name.removesuffix('.done.json')}"
        for split in {shard.partition("/")[0] for shard in shards}
        for path in (dataset / split).glob("*.done.json")
    }
    there = (shard for shard in shards if shard in begun and not _what_is_wrong(dataset, shard))
    return {shard: read_done(layout.done_path(dataset, shard)) for shard in there}


def set_aside_broken(dataset: Path, shards: Iterable[str]) -> list[SetAside]:
    """Move what does not make a whole shard to the quarantine, so that it can be made again."""
    found = []
    for shard in shards:
        reason = _what_is_wrong(dataset, shard)
        if reason:
            found.append(set_aside(dataset, shard, reason))
    return found


def set_aside(dataset: Path, where: str, reason: str) -> SetAside:
    """Move a shard's files, or one file by its path in the dataset, to the quarantine."""
    paths = (layout.done_path, layout.rows_path, layout.tar_path)
    files = [path(dataset, where) for path in paths] + [dataset / where]
    folder = quarantine(dataset, {"kind": "files", "where": where, "reason": reason}, files)
    return SetAside(where, reason, folder)


def quarantine(dataset: Path, why: Mapping[str, Any], files: Iterable[Path] = ()) -> Path:
    """Set files aside in a new numbered folder, the reason first."""
    above = dataset / layout.QUARANTINE
    filesystem.make_folder(above)
    number = max((int(path.name) for path in above.iterdir() if path.name.isdigit()), default=0)
    while True:
        number += 1
        folder = above / f"{number:04d}"
        try:
            filesystem.make_new_folder(folder)
            break
        except FileExistsError:
            continue  # the driver of another part took this number
    filesystem.write_new(folder / layout.WHY, json_bytes(why))
    for path in files:
        if path.exists():
            filesystem.move(path, folder / f"{path.parent.name}-{path.name}")
    filesystem.sync_folder(folder)
    return folder


def quarantined(dataset: Path) -> list[dict[str, Any]]:
    """Every reason in the quarantine, oldest first, with its folder."""
    return [
        {"folder": path.parent.name, **json.loads(path.read_bytes())}
        for path in sorted((dataset / layout.QUARANTINE).glob(f"*/{layout.WHY}"))
    ]


def _what_is_wrong(dataset: Path, shard: str) -> str | None:
    """Why the files of a shard do not make it exist; None when they do, or when there are none."""
    tar, rows = layout.tar_path(dataset, shard), layout.rows_path(dataset, shard)
    done = layout.done_path(dataset, shard)
    if not done.exists():
        left = [path.name for path in (tar, rows) if path.exists()]
        return f"{' and '.join(left)} without {done.name}" if left else None
    try:
        facts = read_done(done)
    except ValueError as error:
        return f"{done.name} is damaged: {error}"
    for path, wanted in ((tar, facts.tar), (rows, facts.parquet)):
        if not path.exists():
            return f"{done.name} without {path.name}"
        if path.stat().st_size != wanted.bytes:
            return f"{path.name} has {path.stat().st_size} bytes, {done.name} says {wanted.bytes}"
    return None
