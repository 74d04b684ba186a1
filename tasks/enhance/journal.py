"""pictures.jsonl: which files of a folder are enhanced pictures, and of what.

A line comes before its file: whatever moment a process is killed at, a file that is there has its
line, and a line without a file is work to do.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

from schemas.enhance import FileEntry
from schemas.part import Part
from schemas.settings import as_plain
from shards import filesystem
from shards.encoding import sha256

_NAME = "pictures"


class PictureJournal:
    """The files of a folder that were published, or were about to be; publishes more."""

    def __init__(self, folder: Path, part: Part) -> None:
        self._folder = folder
        own = f"{_NAME}.jsonl" if part.count == 1 else f"{_NAME}-{part.label}.jsonl"
        self._path = folder / own
        self._entries = {one.file: one for one in _read(folder)}
        self._lock = threading.Lock()

    def is_made(self, picture: Path, file: str) -> bool:
        """Whether this picture became this file before; ValueError where another file is there."""
        path = self._folder / file
        if not path.exists():
            return False
        entry = self._entries.get(file)
        if entry is None or path.stat().st_size != entry.bytes:
            raise ValueError(
                f"{path} is there, and is none of relume enhance; move it away, or choose another "
                "--out"
            )
        told = picture.stat()
        if (told.st_size, told.st_mtime_ns) == (entry.made_from_bytes, entry.made_from_time_ns):
            return True
        if sha256(picture.read_bytes()) == entry.made_from_sha256:
            return True
        raise ValueError(
            f"is not what {path} was made of; remove that one, or choose another --out"
        )

    def publish(
        self, picture: Path, file: str, data: bytes, given: bytes, notes: tuple[str, ...]
    ) -> None:
        """Note the file, and then let it exist; FileExistsError where another one has its name."""
        path, told = self._folder / file, picture.stat()
        filesystem.make_folder(path.parent)
        with filesystem.staged_content(self._folder, filesystem.plain(data)) as (staged, facts):
            entry = FileEntry(
                file=file,
                bytes=facts.bytes,
                sha256=facts.sha256,
                made_from=str(picture),
                made_from_bytes=len(given),
                made_from_time_ns=told.st_mtime_ns,
                made_from_sha256=sha256(given),
                notes=notes,
            )
            line = json.dumps(as_plain(entry), ensure_ascii=False).encode()
            with self._lock:
                filesystem.append_line(self._path, line, sync=True)
            filesystem.publish_staged(staged, path)


def _read(folder: Path) -> list[FileEntry]:
    """The lines of all parts; one that a crash cut short is left out, and its file is made anew."""
    entries = []
    for path in sorted(folder.glob(f"{_NAME}*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                told = json.loads(line)
                entries.append(FileEntry(**{**told, "notes": tuple(told["notes"])}))
            except (ValueError, TypeError, KeyError):
                continue
    return entries
