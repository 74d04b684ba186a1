"""Photographs of a folder as samples: what lies there, its ids, and the table beside the plan.

Opens no picture: names and lengths alone decide here, and checksums where asked for.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pyarrow as pa

from schemas.photo import PHOTO_SCHEMA, PlannedPhoto
from schemas.records import check_record, to_table
from schemas.run import FileIdentity
from schemas.seeds import stable_hash
from shards import filesystem, layout
from shards.encoding import parquet_bytes, read_parquet, sha256

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
# FFHQ's archives put all pictures into one of these; an id is the same with it and without.
_FFHQ = frozenset({"images1024x1024", "images", "thumbnails128x128", "in-the-wild-images"})
# An id and its stage have to fit into the 100 bytes that a tar's header has for a name.
_LONGEST_ID = 64
_HASH_DIGITS = 8
_HASHERS = 8


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in a folder."""

    photos: list[PlannedPhoto]
    others: int
    """files that are no photographs by their names"""


def find_photos(folder: Path) -> Found:
    """Every PNG, JPEG and WebP below a folder, in the order of the paths; hidden files are none.

    ValueError where there is none, or where two would have one id.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: is no folder of pictures; check the path")
    photos: list[PlannedPhoto] = []
    others = 0
    for path, num_bytes in sorted(_files(folder)):
        _refuse_no_text(folder, path)
        if PurePosixPath(path).suffix.lower() in SUFFIXES:
            photos.append(PlannedPhoto(id=photo_id(path), path=path, bytes=num_bytes, sha256=None))
        else:
            others += 1
    if not photos:
        raise ValueError(f"{folder}: holds no PNG, JPEG or WebP; name the folder that does")
    _refuse_same_ids(folder, photos)
    return Found(photos, others)


def photo_id(path: str) -> str:
    """The id of a picture by its path in the folder: its parts, joined by a hyphen.

    Where letters had to go, or the path is long, digits of its hash keep it apart from others.
    """
    parts = list(PurePosixPath(path).with_suffix("").parts)
    if len(parts) > 1 and parts[0] in _FFHQ:
        parts = parts[1:]
    plain = "-".join(parts)
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", plain)
    if safe == plain and len(plain) <= _LONGEST_ID:
        return plain
    told = hashlib.sha256(path.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{safe[: _LONGEST_ID - _HASH_DIGITS - 1]}-{told}"


def chosen_photos(
    photos: Sequence[PlannedPhoto], count: int, skip: int, seed: int
) -> list[PlannedPhoto]:
    """So many in a seeded order, after those that are passed over; in the order of the paths.

    A smaller count is a part of a larger one. ValueError where there are fewer.
    """
    if skip + count > len(photos):
        after = f" after the {skip:,} that generator.skip passes over" if skip else ""
        raise ValueError(
            f"dataset.count = {count}: the folder has {max(0, len(photos) - skip):,} pictures"
            f"{after}; lower it, or name the whole folder"
        )
    drawn = sorted(photos, key=lambda one: (stable_hash("photo", seed, one.id), one.id))
    taken = {one.id for one in drawn[skip : skip + count]}
    return [one for one in photos if one.id in taken]


def with_checksums(folder: Path, photos: Sequence[PlannedPhoto]) -> Iterator[PlannedPhoto]:
    """The same with the sha256 of each file, which reads them all."""

    def summed(one: PlannedPhoto) -> PlannedPhoto:
        facts = filesystem.file_facts(folder / one.path)
        return replace(one, bytes=facts.bytes, sha256=facts.sha256)

    with ThreadPoolExecutor(_HASHERS) as pool:
        yield from pool.map(summed, photos)


def photos_parquet(photos: Sequence[PlannedPhoto]) -> bytes:
    """The table of photographs as a file."""
    return parquet_bytes(to_table(photos, PHOTO_SCHEMA))


def photos_identity(data: bytes, photos: Sequence[PlannedPhoto]) -> FileIdentity:
    """What run.json says of that file."""
    return FileIdentity(sha256=sha256(data), rows=len(photos))


def publish_photos(folder: Path, data: bytes) -> None:
    """Put the table beside the plan; one that is there and differs is damaged, and replaced."""
    path = folder / layout.PHOTOS
    if not path.is_file() or path.read_bytes() != data:
        filesystem.replace_file(folder, path, filesystem.plain(data))


def read_photos(folder: Path, identity: FileIdentity, mend: str) -> dict[str, PlannedPhoto]:
    """The photographs of a plan by id; ValueError where the table is another one."""
    path = folder / layout.PHOTOS
    if not path.is_file():
        raise ValueError(f"{folder}: has no {layout.PHOTOS}; {mend}")
    if filesystem.file_facts(path).sha256 != identity.sha256:
        raise ValueError(f"{path}: is not the table that was planned; {mend}")
    table: pa.Table = read_parquet(path)
    check_record(table.schema, PHOTO_SCHEMA, str(path))
    return {row["id"]: PlannedPhoto(**row) for row in table.to_pylist()}


def read_as_planned(folder: Path, photo: PlannedPhoto) -> bytes:
    """The bytes of a file; ValueError where it is gone, or not as it was planned."""
    path = folder / photo.path
    mend = "put the planned file back, or begin anew with the folder as it is"
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{path}: is gone since it was planned; {mend}") from None
    if len(data) != photo.bytes:
        raise ValueError(
            f"{path}: has {len(data):,} bytes, and had {photo.bytes:,} when it was planned; {mend}"
        )
    if photo.sha256 is not None and sha256(data) != photo.sha256:
        raise ValueError(f"{path}: has changed since it was planned; {mend}")
    return data


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Path and length of every file that is not hidden; links to files count, to folders not."""
    for above, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(above) / name
            if not name.startswith(".") and path.is_file():
                yield path.relative_to(folder).as_posix(), path.stat().st_size


def _raise(error: OSError) -> None:
    """A folder that cannot be listed is no empty folder."""
    raise error


def _refuse_no_text(folder: Path, path: str) -> None:
    """A table holds text, and a name on a disk may be any bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{folder}: the name {path!r} is not UTF-8; rename that file") from None


def _refuse_same_ids(folder: Path, photos: Sequence[PlannedPhoto]) -> None:
    seen: dict[str, str] = {}
    for one in photos:
        other = seen.setdefault(one.id, one.path)
        if other != one.path:
            raise ValueError(
                f"{folder}: {other} and {one.path} would both be {one.id!r}; rename one, or move "
                "it away"
            )
