"""A copy of models on a disk of this node, so that its workers do not all read a shared one.

Files lie there by their checksums, as two models may share some; a folder per model links them. The
first worker of a node copies each file, under a lock, and the others wait for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from models.generators.diffusers_pair.checkpoint import LOADED, Checkpoint
from schemas.endings import ends_the_run
from schemas.settings import fingerprint

_PIECE = 1 << 24


def local_copy(checkpoint: Checkpoint, sums: Mapping[str, str], place: Path) -> Checkpoint:
    """The same model in `place`, copied there where it was not; `sums` names what it has to be."""
    folder = place / "models" / fingerprint(sums)[:16]
    for name, sha256 in sums.items():
        blob = place / "blobs" / sha256
        _copy_file(checkpoint.folder / name, blob, sha256)
        _link(blob, folder / name)
    for path in _settings(checkpoint.folder):
        name = path.relative_to(checkpoint.folder).as_posix()
        if name not in sums:
            # Which file holds which layer, and the like: small, and read by the loader as well.
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            _copy_file(path, place / "blobs" / sha256, sha256)
            _link(place / "blobs" / sha256, folder / name)
    return replace(checkpoint, folder=folder)


def _settings(folder: Path) -> Iterator[Path]:
    for pattern in LOADED["allow_patterns"]:
        if pattern.endswith(".json"):
            yield from sorted(folder.glob(pattern))


def _copy_file(source: Path, blob: Path, sha256: str) -> None:
    """Copy a file once; ValueError when it is not what its checksum says."""
    with ends_the_run():
        blob.parent.mkdir(parents=True, exist_ok=True)
        with _lock(blob.with_name(f"{sha256}.lock")):
            # A power cut may have left a shorter one.
            if blob.exists() and blob.stat().st_size == source.stat().st_size:
                return
            partial = blob.with_name(f"{sha256}.partial")
            try:
                found = _copy_and_hash(source, partial)
                if found != sha256:
                    raise ValueError(
                        f"{source}: is not the file that generator.json tells of; "
                        "get it again: relume fetch PRESET"
                    )
                partial.replace(blob)
            finally:
                partial.unlink(missing_ok=True)


def _copy_and_hash(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while piece := reading.read(_PIECE):
            digest.update(piece)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    shutil.copymode(source, target)
    return digest.hexdigest()


def _link(blob: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        name.symlink_to(os.path.relpath(blob, name.parent))


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One worker of the node at a time; the system lets go when a worker is killed."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
