"""What an audit was made by: of which dataset, by which models, with which settings."""

from __future__ import annotations

from typing import Any, Literal

from schemas.audit import AuditSettings
from schemas.sample import Stage
from schemas.settings import as_plain, fingerprint, settings


@settings
class AuditRecord:
    """audit.json: fixed by the first run of an audit."""

    record: Literal["audit"] = "audit"
    """which record this is"""
    version: Literal[1] = 1
    """version of this record"""
    name: str
    """name of the dataset"""
    dataset: str
    """fingerprint of what the dataset was made by"""
    stages: tuple[Stage, ...]
    """the pictures of each sample that are looked at"""
    settings: AuditSettings
    """how pictures are audited"""
    weights: dict[str, str]
    """sha256 of every file of weights by its name"""
    procedural: bool
    """whether the pictures are drawings, which show no person"""
    code: str
    """hash of Relume's sources that began"""
    libraries: dict[str, str]
    """versions of what began"""
    processor: str
    """processor that began"""

    def must_match(self) -> dict[str, Any]:
        """What a later run may not change; where weights lie is no part of it, what they are is."""
        plain = as_plain(self)
        plain["settings"]["analyser"].pop("weights", None)
        plain["settings"].pop("lpips_weights")
        return {key: plain[key] for key in ("dataset", "stages", "settings", "weights")}

    def fingerprint(self) -> str:
        """Stands in every done.json for all that may not change."""
        return fingerprint(self.must_match())

    def may_differ(self) -> dict[str, str]:
        """What a later run may change, and has to say so."""
        return {"code": self.code, "processor": self.processor, **self.libraries}
