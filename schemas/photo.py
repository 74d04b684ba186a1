"""Photographs out of a folder, as FFHQ's: how they are read, and which file each sample is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import pyarrow as pa

from schemas.records import column, record_schema
from schemas.settings import NON_NEGATIVE, POSITIVE, settings

Resampling = Literal["lanczos", "bicubic", "box"]


@settings
class FolderSettings:
    """Photographs of a folder: read, cut to the middle square, resized. Nothing is generated."""

    kind: Literal["folder"] = "folder"
    """photographs of the folder that relume plan --pictures names"""
    resampling: Resampling = "lanczos"
    """what resizes them; FFHQ's own smaller pictures were made by lanczos"""
    smallest_px: Annotated[int | None, POSITIVE] = None
    """a photograph whose shorter side is less fails; without it size_px, so none is enlarged"""
    skip: Annotated[int, NON_NEGATIVE] = 0
    """so many of the seeded order are passed over: dataset.count of another plan, to share none"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPhoto:
    """Which file a sample is, as it was when it was planned."""

    id: str
    path: str
    bytes: int
    sha256: str | None


PHOTO_SCHEMA = record_schema(
    "planned-photo",
    1,
    [
        column("id", pa.string(), "sample id, made of the path"),
        column("path", pa.string(), "the file, relative to the folder of photographs"),
        column("bytes", pa.int64(), "length of the file when it was planned"),
        column("sha256", pa.string(), "of the file's bytes, where asked for", nullable=True),
    ],
)
