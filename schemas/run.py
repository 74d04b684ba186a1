"""What a dataset knows of its own making. Both files are published once and never change.

run.json is written by `plan`, generator.json by the first `generate`.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

from schemas.config import DatasetConfig
from schemas.settings import as_plain, fingerprint, settings


class Making(Protocol):
    """What the shards of a folder are made by."""

    @property
    def record(self) -> str:
        """Which record it is; its file has this name."""
        ...

    def fingerprint(self) -> str:
        """Stands in every done.json for all that may not change."""
        ...

    def may_differ(self) -> dict[str, str]:
        """What a later run may change, and has to say so."""
        ...


@settings
class FileIdentity:
    """A table that something was made from."""

    sha256: str
    """checksum of the file"""
    rows: int
    """rows in it"""


@settings
class Run:
    """run.json: what was planned, from what, by which code."""

    record: Literal["run"] = "run"
    """what this file is"""
    version: Literal[1] = 1
    """version of this record"""
    config: DatasetConfig
    """the resolved settings"""
    plan: FileIdentity
    """plan.parquet"""
    names: FileIdentity | None
    """the names that the plan was made from; null where the prompt has none"""
    prompts: FileIdentity | None = None
    """the prompts that the plan was made from; null where all samples share one"""
    photos: FileIdentity | None = None
    """photos.parquet, which says which file each sample is; null where pictures are generated"""
    folder: str | None = None
    """where these photographs lay when they were planned"""
    part_of: FileIdentity | None = None
    """the plan of the dataset that this one belongs to, as its pilot or as its sources"""
    code: str
    """hash of Relume's sources that planned"""
    libraries: dict[str, str]
    """versions of what planned"""


@settings
class ModelIdentity:
    """Which model makes the pictures of a stage, down to its weights."""

    model: str
    """hub id or local name"""
    revision: str
    """revision of the model"""
    weights: dict[str, str]
    """sha256 of each file that is loaded: weights, configs, vocabularies; empty without weights"""


@settings
class GeneratorRecord:
    """generator.json: what makes the pictures, fixed by the first run that makes some."""

    record: Literal["generator"] = "generator"
    """what this file is"""
    version: Literal[1] = 1
    """version of this record"""
    plan_sha256: str
    """the plan that it works on, which bears the fingerprint of its settings"""
    truth: FileIdentity | None
    """truth.parquet, where what makes the pictures knows what it draws"""
    models: dict[str, ModelIdentity]
    """the model of each stage"""
    numerics: dict[str, str | int]
    """what changes the bytes: dtype, compile, batch size, threads"""
    code: str
    """hash of Relume's sources that began"""
    libraries: dict[str, str]
    """versions of what began"""
    processor: str | None
    """processor that began; null where GPUs make the pictures, which only workers see"""

    def must_match(self) -> dict[str, Any]:
        """What a later run may not change."""
        plain = as_plain(self)
        fixed = ("plan_sha256", "models", "numerics")
        return {key: plain[key] for key in fixed}

    def fingerprint(self) -> str:
        """Stands in every done.json for all that may not change."""
        return fingerprint(self.must_match())

    def may_differ(self) -> dict[str, str]:
        """What a later run may change, and has to say so."""
        processor = {} if self.processor is None else {"processor": self.processor}
        return {"code": self.code, **processor, **self.libraries}
