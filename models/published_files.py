"""Downloads single published files; the only other way out is that to the hub of models."""

from __future__ import annotations

import bz2
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

_TIMEOUT_S = 60
_PIECE = 1 << 20


def fetch_file(path: Path, addresses: Sequence[str]) -> int:
    """Bring a file here from the first address that gives it; its bytes, 0 where it was here.

    What an address that ends in .bz2 gives is unpacked. ValueError names every address that did
    not give it, and why.
    """
    if path.is_file():
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    refused = []
    try:
        for address in addresses:
            try:
                _download(address, partial)
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                refused.append(f"{address}: {getattr(error, 'reason', error)}")
                continue
            partial.replace(path)
            return path.stat().st_size
    finally:
        partial.unlink(missing_ok=True)
    told = "; ".join(refused)
    raise ValueError(f"{path}: cannot be fetched: {told}; bring the file there by hand")


def _download(address: str, path: Path) -> None:
    with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer, path.open("wb") as file:
        unpacked = bz2.BZ2File(answer) if address.endswith(".bz2") else answer
        shutil.copyfileobj(unpacked, file, _PIECE)
        expected = answer.headers.get("Content-Length")
        # A connection that breaks off reads like the end of the file.
        if unpacked is answer and expected is not None and file.tell() != int(expected):
            raise ConnectionError(f"broke off after {file.tell()} of {expected} bytes")
        file.flush()
        os.fsync(file.fileno())
