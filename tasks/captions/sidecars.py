"""Captions as text files beside pictures, as trainers elsewhere read them: NAME.txt for NAME.png.

A file that this run did not write is somebody's, and stays: what is written is noted down in
sidecars.jsonl before a file has its name. A caption that is no longer usable loses its file.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from schemas.caption import CaptionRow, CaptionStatus
from shards import filesystem
from shards.encoding import sha256
from tasks.captions.file import USABLE

JOURNAL = "sidecars.jsonl"


@dataclass(slots=True)
class Sidecars:
    """What became of text files."""

    written: int = 0
    there: int = 0
    removed: int = 0
    foreign: list[str] | None = None
    """files of others, which would have been replaced"""


def sidecar_name(row: CaptionRow) -> str:
    """The text file of a caption, relative to the folder: the picture's name, or the id."""
    return f"{row.id}.txt" if row.path is None else str(PurePosixPath(row.path).with_suffix(".txt"))


def write_sidecars(
    root: Path,
    rows: Sequence[CaptionRow],
    folder: Path,
    take: Sequence[CaptionStatus] = USABLE,
) -> Iterator[Sidecars]:
    """Write a text for every usable caption of a run in ROOT; yields how far it is."""
    told = Sidecars(foreign=[])
    mine = _journal(root, folder)
    filesystem.make_folder(folder)
    for row in rows:
        name = sidecar_name(row)
        wanted = f"{row.caption}\n".encode() if row.status in take and row.caption else None
        there = _bytes_of(folder / name)
        if wanted is not None and there == wanted:
            told.there += 1
        elif there is not None and sha256(there) not in mine.get(name, ()):
            if wanted is not None:
                assert told.foreign is not None
                told.foreign.append(name)
        elif wanted is not None:
            _write(root, folder, name, wanted, replaces=there is not None)
            told.written += 1
        elif there is not None:
            filesystem.remove_file(folder / name)
            told.removed += 1
        yield told
    with contextlib.suppress(OSError):  # somebody else may still write there
        (folder / filesystem.STAGING).rmdir()


def _write(root: Path, folder: Path, name: str, data: bytes, *, replaces: bool) -> None:
    line = {"folder": str(folder.absolute()), "file": name, "sha256": sha256(data)}
    filesystem.append_line(root / JOURNAL, json.dumps(line).encode(), sync=True)
    path = folder / name
    filesystem.make_folder(path.parent)
    if replaces:
        filesystem.replace_file(folder, path, filesystem.plain(data))
        return
    try:
        filesystem.publish_bytes(folder, path, data)
    except FileExistsError:
        raise ValueError(f"{path}: somebody has just written it; look whose it is") from None


def _journal(root: Path, folder: Path) -> dict[str, set[str]]:
    """The checksums that this run has written under each name in a folder."""
    found: dict[str, set[str]] = {}
    path = root / JOURNAL
    if not path.exists():
        return found
    for line in path.read_bytes().splitlines():
        try:
            told = json.loads(line)
            if told["folder"] == str(folder.absolute()):
                found.setdefault(told["file"], set()).add(told["sha256"])
        except (ValueError, KeyError, TypeError):
            continue  # cut short by a crash, and then its file was never written
    return found


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
