"""What `relume enhance` is told, what it notes down, and what it tells meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge

from schemas.fingerprint import fingerprint
from schemas.head import Precision
from schemas.settings import POSITIVE, as_plain, settings


@settings
class EnhanceSettings:
    """How pictures are put through a head."""

    format: Literal["png", "jpeg", "webp"] = "png"
    """files to write; webp is lossless, jpeg of quality 95 without alpha"""
    precision: Precision = "float32"
    """number format of the network; bfloat16 is several times as fast and a level apart at most places"""
    tile_px: Annotated[int, Ge(128)] = 1024
    """larger pictures go through in tiles of this side"""
    overlap_px: Annotated[int, POSITIVE] = 64
    """how much of a tile is blended with its neighbour"""


@settings
class EnhanceRecord:
    """run.json of a folder of enhanced pictures, fixed by the first start."""

    record: Literal["run"] = "run"
    """which record this is"""
    version: Literal[1] = 1
    """version of this record"""
    head: str
    """sha256 of the head's weights"""
    settings: EnhanceSettings
    """how they were put through it"""
    code: str
    """hash of Relume's sources that began"""
    libraries: dict[str, str]
    """versions of what began"""

    def must_match(self) -> dict[str, Any]:
        """What a later start may not change."""
        plain = as_plain(self)
        return {key: plain[key] for key in ("head", "settings")}

    def fingerprint(self) -> str:
        """One number for what may not change."""
        return fingerprint(self.must_match())

    def may_differ(self) -> dict[str, str]:
        """What a later start may change, and has to say so."""
        return {"code": self.code, **self.libraries}


@dataclass(frozen=True, slots=True, kw_only=True)
class Enhanced:
    """A picture is done, was done before, or could not be."""

    file: str
    how: Literal["made", "there", "failed"]
    notes: list[str]
