"""Checksums of files of weights, each read once in a process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# A file that was neither replaced nor written to since has the sum that it had.
_known: dict[tuple[str, int, int], str] = {}
# Hashing lets go of the interpreter, and one core is slower than a good disk.
_THREADS = min(8, os.cpu_count() or 1)


def sha256_of(files: Sequence[Path]) -> dict[Path, str]:
    """The checksum of each file."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(files, pool.map(_sha256, files), strict=True))


def _sha256(file: Path) -> str:
    path = file.resolve()
    facts = path.stat()
    key = (str(path), facts.st_size, facts.st_mtime_ns)
    if key not in _known:
        with path.open("rb") as stream:
            _known[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _known[key]
