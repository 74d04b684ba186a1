"""How a staged shard comes to exist: links only, done.json last.

A file at its final name without its done.json is nobody's; a starting driver sets it aside. Any
kill at any moment loses at most the shard in flight, and doubles nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
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


class Publisher:
    """Links staged shards into a dataset, as its owner."""

    def __init__(self, dataset: Path, owner: Owner) -> None:
        self._dataset, self._owner = dataset, owner

    def commit(self, staged: StagedShard) -> None:
        """Make a staged shard exist; ShardTaken when another publisher was first."""
        shard, folder = staged.done.shard, Path(staged.folder)
        done = layout.done_path(self._dataset, shard)
        files = {folder / "parquet": layout.rows_path(self._dataset, shard)}
        if staged.done.tar is not None:
            files = {folder / "tar": layout.tar_path(self._dataset, shard), **files}
        self._owner.check()
        filesystem.make_folder(done.parent)
        try:
            # The first name is the lock: who links it goes on, everyone else fails here.
            for own, name in files.items():
                filesystem.publish_file(own, name)
            filesystem.sync_folder(done.parent)
            self._owner.check()
            # A driver that slept through its own takeover may have lost one of the names since.
            if not all(filesystem.same_file(own, name) for own, name in files.items()):
                raise ShardTaken(f"{shard}: another publisher took its name")
            filesystem.publish_file(folder / "done.json", done)
        except FileExistsError as error:
            raise ShardTaken(f"{shard}: {error.filename2} is there already") from None
        finally:
            filesystem.remove_staged(folder)
        filesystem.sync_folder(done.parent)


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
        if (dataset / split).is_dir()
        for path in (dataset / split).iterdir()
        if path.name.endswith(".done.json")
    }
    examined = ((shard, _examine(dataset, shard)[0]) for shard in shards if shard in begun)
    return {shard: facts for shard, facts in examined if facts is not None}


def broken(dataset: Path, shards: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What does not make a whole shard, as names and lengths of files tell, and why."""
    for shard in shards:
        reason = _examine(dataset, shard)[1]
        if reason:
            yield shard, reason


def set_aside(dataset: Path, where: str, reason: str) -> Path:
    """Move a shard, or one file by its path in the dataset, to the quarantine; the folder there."""
    paths = (layout.done_path, layout.rows_path, layout.tar_path)
    files = [path(dataset, where) for path in paths] + [dataset / where]
    return quarantine(dataset, {"kind": "files", "where": where, "reason": reason}, files)


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
    filesystem.publish_bytes(dataset, folder / layout.WHY, json_bytes(why))
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            filesystem.move(path, folder / f"{path.parent.name}-{path.name}")
    filesystem.sync_folder(folder)
    return folder


def quarantined(dataset: Path) -> list[dict[str, Any]]:
    """Every reason in the quarantine, oldest first, with its folder."""
    found = []
    for path in sorted((dataset / layout.QUARANTINE).glob(f"*/{layout.WHY}")):
        try:
            why = json.loads(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path}: is damaged; remove it, it only says why") from error
        found.append({"folder": path.parent.name, **why})
    return found


def given_up(dataset: Path) -> dict[str, str]:
    """Shards whose leases were given up, with the last error; until something new came of them."""
    found: dict[str, str] = {}
    for why in quarantined(dataset):
        if why["kind"] == "lease":
            found[why["shard"]] = why["error"]
        else:
            # Its files were set aside later, so it had been made by then.
            found.pop(why["where"], None)
    return found


def _examine(dataset: Path, shard: str) -> tuple[ShardDone | None, str | None]:
    """What a shard's done.json says, if it exists whole; else what is wrong, if anything is."""
    tar, rows = layout.tar_path(dataset, shard), layout.rows_path(dataset, shard)
    done = layout.done_path(dataset, shard)
    if not done.exists():
        left = [path.name for path in (tar, rows) if path.exists()]
        return None, f"{' and '.join(left)} without {done.name}" if left else None
    try:
        facts = read_done(done)
    except ValueError as error:
        return None, f"{done.name} is damaged: {error}"
    for path, wanted in ((tar, facts.tar), (rows, facts.parquet)):
        if wanted is None:
            continue
        if not path.exists():
            return None, f"{done.name} without {path.name}"
        length = path.stat().st_size
        if length != wanted.bytes:
            return None, f"{path.name} has {length} bytes, {done.name} says {wanted.bytes}"
    return facts, None
