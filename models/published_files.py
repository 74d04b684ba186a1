"""Downloads single published files; the only other way out is that to the hub of models."""

from __future__ import annotations

import bz2
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.checksums import sha256_of

_TIMEOUT_S = 60
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """A file of weights: where it lies in the folder of weights, and where it comes from.

    `sha256` is what its checksum begins with: all of it where a copy was at hand, the eight digits
    that its publisher put into its name, or nothing. `bytes` is None where no copy was at hand.
    """

    path: str
    url: str
    sha256: str
    bytes: int | None


# What measures read as single files. Models of the hub are named beside their loaders.
MEASURES: Mapping[str, tuple[PublishedFile, ...]] = {
    "inception": (
        PublishedFile(
            path="weights-inception-2015-12-05-6726825d.pth",
            url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
            "weights-inception-2015-12-05-6726825d.pth",
            sha256="6726825d",
            bytes=None,
        ),
    ),
}


# Scorers of faces and pictures, each with what is read beside its weights. What the files hold is
# checked, name by name, when they are read.
SCORERS: Mapping[str, tuple[PublishedFile, ...]] = {
    name: tuple(
        PublishedFile(
            path=f"{name}/{file.rpartition('/')[2]}",
            url="https://huggingface.co/{}/resolve/main/{}".format(*file.rsplit("/", 1)),
            sha256="",
            bytes=None,
        )
        for file in files
    )
    for name, files in {
        "FaceScore": (
            "AIGCer-OPPO/FaceScore/FS_model.pt",
            "AIGCer-OPPO/FaceScore/med_config.json",
        ),
        "ImageReward": (
            "THUDM/ImageReward/ImageReward.pt",
            "THUDM/ImageReward/med_config.json",
            "google-bert/bert-base-uncased/vocab.txt",
        ),
        "HPS": (
            "xswu/HPSv2/HPS_v2.1_compressed.pt",
            "openai/clip-vit-large-patch14/vocab.json",
            "openai/clip-vit-large-patch14/merges.txt",
        ),
    }.items()
}


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


def check_published(path: Path, file: PublishedFile) -> None:
    """Raise a ValueError where a fetched file is not the one that was published."""
    found, num_bytes = sha256_of([path])[path], path.stat().st_size
    if not found.startswith(file.sha256) or file.bytes not in (None, num_bytes):
        raise ValueError(
            f"{path}: has {num_bytes:,} bytes and sha256 {found}, not those of {file.url}; "
            "remove it and fetch it again"
        )


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
