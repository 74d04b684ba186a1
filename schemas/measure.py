"""What networks make of pictures, kept per shard: settings, rows, and what a folder was made by.

Distances and tables are made from these rows, as often as wanted, without a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pyarrow as pa
from annotated_types import Le, MinLen

from schemas.records import column, record_schema
from schemas.sample import Stage
from schemas.settings import FILLED, POSITIVE, as_plain, fingerprint, settings, tagged

Tap = Literal[64, 192, 768, 2048]
ResizePolicy = Literal["tf1", "torchmetrics", "clean"]
FeatureStatus = Literal["ok", "error"]
# The tap of networks that have only one.
ONLY_TAP = 0


@settings
class InceptionSettings:
    """FID's Inception-v3."""

    kind: Literal["inception"] = "inception"
    """the network"""
    policy: ResizePolicy = "clean"
    """how pictures are brought to 299 x 299"""
    taps: Annotated[tuple[Tap, ...], MinLen(1)] = (64, 192, 768, 2048)
    """after which layers features are taken"""
    weights: Annotated[str, FILLED] = "weights"
    """folder of the published file"""

    @staticmethod
    def _no_tap_twice(taps: tuple[Tap, ...]) -> Iterator[str]:
        if list(taps) != sorted(set(taps)):
            yield f"taps = {list(taps)}: give each once, the smallest first"


@settings
class Dinov2Settings:
    """DINOv2's class token."""

    kind: Literal["dinov2"] = "dinov2"
    """the network"""
    model: Annotated[str, FILLED] = "facebook/dinov2-large"
    """folder, or name in the hub's cache"""


@settings
class CmmdSettings:
    """CLIP's embeddings as CMMD sees pictures."""

    kind: Literal["cmmd"] = "cmmd"
    """the network"""
    model: Annotated[str, FILLED] = "openai/clip-vit-large-patch14-336"
    """folder, or name in the hub's cache"""


@settings
class ClipIqaSettings:
    """CLIP-IQA's score of quality, a feature of one number."""

    kind: Literal["clip_iqa"] = "clip_iqa"
    """the network"""
    model: Annotated[str, FILLED] = "openai/clip-vit-base-patch16"
    """folder, or name in the hub's cache"""


NetworkSettings = Annotated[
    InceptionSettings | Dinov2Settings | CmmdSettings | ClipIqaSettings, tagged("kind")
]


@settings
class FeatureSettings:
    """How features are taken."""

    network: NetworkSettings = InceptionSettings()
    """what looks at the pictures"""
    batch_size: Annotated[int, POSITIVE, Le(4096)] = 16
    """pictures looked at together; another number may change the last digits"""
    threads: Annotated[int, POSITIVE, Le(256)] = 1
    """threads of the processor for each worker"""


@settings
class FeatureRecord:
    """features.json: fixed by the first run that takes these features."""

    record: Literal["features"] = "features"
    """which record this is"""
    version: Literal[1] = 1
    """version of this record"""
    name: str
    """name of the dataset"""
    dataset: str
    """fingerprint of what the dataset was made by"""
    stages: tuple[Stage, ...]
    """the pictures of each sample that are looked at"""
    settings: FeatureSettings
    """how features are taken"""
    weights: dict[str, str]
    """sha256 of every file of weights by its name"""
    procedural: bool
    """whether the pictures are drawings"""
    code: str
    """hash of Relume's sources that began"""
    libraries: dict[str, str]
    """versions of what began"""
    processor: str
    """processor that began"""

    def must_match(self) -> dict[str, Any]:
        """What a later run may not change; where weights lie is no part of it, what they are is."""
        plain = as_plain(self)
        for where in ("weights", "model"):
            plain["settings"]["network"].pop(where, None)
        return {key: plain[key] for key in ("dataset", "stages", "settings", "weights")}

    def fingerprint(self) -> str:
        """Stands in every done.json for all that may not change."""
        return fingerprint(self.must_match())

    def may_differ(self) -> dict[str, str]:
        """What a later run may change, and has to say so."""
        return {"code": self.code, "processor": self.processor, **self.libraries}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRow:
    """What a network made of one picture at one tap."""

    id: str
    shard: str
    stage: Stage
    picture_sha256: str
    status: FeatureStatus
    reason: str | None
    tap: int
    features: list[float] | None


FEATURE_SCHEMA = record_schema(
    "feature-row",
    1,
    [
        column("id", pa.string(), "sample id"),
        column("shard", pa.string(), "shard of the sample, for example test/shard-000000"),
        column("stage", pa.string(), "which picture of it: source, target or teacher"),
        column("picture_sha256", pa.string(), "of the PNG that was read"),
        column("status", pa.string(), "ok or error"),
        column("reason", pa.string(), "what the error was, null without one", nullable=True),
        column("tap", pa.int32(), "Inception's tap; 0 where a network has only one"),
        column("features", pa.list_(pa.float32()), "null after an error", nullable=True),
    ],
)
