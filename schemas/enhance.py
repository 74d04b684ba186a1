"""What `relume enhance` is told, what it notes down, and what it tells meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from schemas.head import Precision
from schemas.settings import POSITIVE, as_plain, fingerprint, settings

Format = Literal["png", "jpeg", "webp"]
Device = Literal["cpu", "cuda"]
# Every network's divisor divides it, so that tiles begin where strides do.
TILE_STEP_PX = 128


@settings
class EnhanceSettings:
    """How pictures are put through a head."""

    device: Device = "cpu"
    """what the network runs on"""
    precision: Precision = "float32"
    """number format of the network; bfloat16 is several times as fast, and a few levels apart"""
    compiled: bool = False
    """compile the network for each size of picture: seconds once, sooner afterwards"""
    batch_size: Annotated[int, POSITIVE, Le(1024)] = 1
    """pictures of one size that go through together"""
    threads: Annotated[int, POSITIVE, Le(256)] = 1
    """threads of the processor that the network has"""
    tile_px: Annotated[int, Ge(256)] = 2048
    """larger pictures go through in tiles of this side, a multiple of 128"""
    overlap_px: Annotated[int, POSITIVE] = 256
    """how much of a tile is its neighbour's too"""

    @staticmethod
    def _tiles_fit_strides(tile_px: int) -> Iterator[str]:
        if tile_px % TILE_STEP_PX:
            yield f"tile_px = {tile_px}: should be a multiple of {TILE_STEP_PX}"

    @staticmethod
    def _tiles_go_on(tile_px: int, overlap_px: int) -> Iterator[str]:
        if overlap_px > tile_px // 2:
            yield f"overlap_px = {overlap_px}: should be at most half of tile_px = {tile_px}"


@settings
class EnhanceRecord:
    """enhance.json of a folder of enhanced pictures, fixed by the first run."""

    record: Literal["enhance"] = "enhance"
    """what this file is"""
    version: Literal[1] = 1
    """version of this record"""
    head: str
    """sha256 of the head's weights"""
    format: Format
    """files that are written"""
    settings: EnhanceSettings
    """how pictures are put through the head"""
    code: str
    """hash of Relume's sources that began"""
    libraries: dict[str, str]
    """versions of what began"""

    def must_match(self) -> dict[str, Any]:
        """What a later run may not change."""
        plain = as_plain(self)
        # More threads or larger batches are no other pictures, but for the last digits.
        told = ("precision", "tile_px", "overlap_px")
        settings = {key: plain["settings"][key] for key in told}
        return {"head": plain["head"], "format": plain["format"], "settings": settings}

    def fingerprint(self) -> str:
        """One number for what may not change."""
        return fingerprint(self.must_match())

    def may_differ(self) -> dict[str, str]:
        """What a later run may change, and has to say so."""
        return {"device": self.settings.device, "code": self.code, **self.libraries}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A line of pictures.jsonl: a file that is about to be published, and what it was made from.

    Written before the file has its name, so that a file without a line is somebody else's.
    """

    file: str
    """the enhanced picture, relative to the folder"""
    bytes: int
    """its length"""
    sha256: str
    """of its bytes"""
    made_from: str
    """path of the picture that was given"""
    made_from_bytes: int
    """length of that file"""
    made_from_time_ns: int
    """when that file was changed last, in nanoseconds of the epoch"""
    made_from_sha256: str
    """of that file's bytes"""
    notes: tuple[str, ...]
    """what was changed on the way in"""


How = Literal["made", "there", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enhanced:
    """A picture is enhanced, was enhanced before, or cannot be."""

    picture: str
    how: How
    file: str | None = None
    notes: tuple[str, ...] = ()
    why: str | None = None
