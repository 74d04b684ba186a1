"""What a scorer of faces is, and how pictures are scored with one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pyarrow as pa
from annotated_types import Le, Lt

from schemas.audit import DeepFaceSettings
from schemas.records import column, record_schema
from schemas.run import FileIdentity
from schemas.sample import Stage
from schemas.settings import (
    FILLED,
    NON_NEGATIVE,
    POSITIVE,
    as_plain,
    fingerprint,
    settings,
)

SCORER_FORMAT, SCORER_VERSION = "relume-face-scorer", 1
# FaceScore's released code asks this; the paper writes it without the full stop.
FACE_PROMPT = "A face."
MOST_TOKENS = 35
# What ImageReward takes off its network's output and divides it by; FaceScore leaves it as it is.
IMAGE_REWARD_MEAN, IMAGE_REWARD_STD = 0.16717362830052426, 1.0333394966054072

PictureScore = Literal["largest", "mean", "best", "worst"]


@settings
class ScorerShape:
    """The sizes of BLIP's two transformers, as the files of weights and med_config.json tell them.

    The defaults are those of Face Score and ImageReward: ViT-L/16 at 224 px and BERT base.
    """

    image_px: Annotated[int, POSITIVE] = 224
    """side of the picture that the vision transformer sees"""
    patch_px: Annotated[int, POSITIVE] = 16
    """side of its patches"""
    vision_width: Annotated[int, POSITIVE] = 1024
    """features of a patch"""
    vision_layers: Annotated[int, POSITIVE] = 24
    """layers of the vision transformer"""
    vision_heads: Annotated[int, POSITIVE] = 16
    """heads of its attention"""
    vision_inner: Annotated[int, POSITIVE] = 4096
    """features inside its layers"""
    text_width: Annotated[int, POSITIVE] = 768
    """features of a token"""
    text_layers: Annotated[int, POSITIVE] = 12
    """layers of the text transformer, each with cross-attention to the patches"""
    text_heads: Annotated[int, POSITIVE] = 12
    """heads of its attentions"""
    text_inner: Annotated[int, POSITIVE] = 3072
    """features inside its layers"""
    text_dropout: Annotated[float, NON_NEGATIVE, Lt(1)] = 0.1
    """dropout of its features and attentions in training"""
    text_norm_eps: Annotated[float, POSITIVE] = 1e-12
    """what its norms add to the variance"""
    vocabulary: Annotated[int, POSITIVE] = 30524
    """tokens of BERT uncased and BLIP's two"""
    positions: Annotated[int, POSITIVE] = 512
    """tokens that have a place"""

    @staticmethod
    def _heads_divide(vision_width: int, vision_heads: int) -> Iterator[str]:
        if vision_width % vision_heads:
            yield f"vision_heads = {vision_heads}: does not divide vision_width = {vision_width}"

    @staticmethod
    def _text_heads_divide(text_width: int, text_heads: int) -> Iterator[str]:
        if text_width % text_heads:
            yield f"text_heads = {text_heads}: does not divide text_width = {text_width}"

    @staticmethod
    def _patches_are_whole(image_px: int, patch_px: int) -> Iterator[str]:
        if image_px % patch_px:
            yield f"patch_px = {patch_px}: does not divide image_px = {image_px}"


@settings
class ScorerConfig:
    """config.json of a scorer's folder."""

    format: Literal["relume-face-scorer"] = "relume-face-scorer"
    """which kind of folder this is"""
    version: Literal[1] = 1
    """version of this record"""
    shape: ScorerShape = ScorerShape()
    """sizes of the network"""
    reward_mean: float = 0.0
    """what is taken off the network's output"""
    reward_std: Annotated[float, POSITIVE] = 1.0
    """what it is divided by then"""
    weights_sha256: Annotated[str, FILLED]
    """of model.safetensors"""
    began_from: str | None = None
    """sha256 of the weights that its training began from, null for a copy of published ones"""


@settings
class FaceScoreSettings:
    """How pictures are scored."""

    faces: DeepFaceSettings = DeepFaceSettings(min_confidence=0.9)
    """what looks for faces; of min_confidence only a face that has it is scored, 0.9 as released"""
    margin_px: Annotated[int, NON_NEGATIVE, Le(1024)] = 1
    """pixels added to each side of a face's box, 1 as in the released code"""
    picture: PictureScore = "largest"
    """which face's score is the picture's own where there are several; every face has its own"""
    batch_size: Annotated[int, POSITIVE, Le(4096)] = 32
    """faces that go through the network together"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """what the network runs on; auto takes a GPU where there is one"""
    threads: Annotated[int, POSITIVE, Le(256)] = 1
    """threads of the network on a processor, for each worker"""


FaceScoreStatus = Literal["ok", "no_face", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceScoreRow:
    """What was found in one picture: a score for each face that is of use, the largest first."""

    id: str
    shard: str | None
    stage: Stage | None
    picture_sha256: str | None
    status: FaceScoreStatus
    reason: str | None
    score: float | None
    num_found: int | None
    num_unsure: int | None
    num_outside: int | None
    num_clipped: int | None
    scores: list[float] | None
    confidences: list[float] | None
    box_x: list[int] | None
    box_y: list[int] | None
    box_width: list[int] | None
    box_height: list[int] | None
    scorer: str


_INTS, _FLOATS = pa.list_(pa.int32()), pa.list_(pa.float64())

FACE_SCORE_SCHEMA = record_schema(
    "face-score-row",
    1,
    [
        column("id", pa.string(), "sample id; of a file its name, or path where two have one"),
        column("shard", pa.string(), "shard of the sample, null for a file", nullable=True),
        column("stage", pa.string(), "which picture of the sample, null for a file", nullable=True),
        column("picture_sha256", pa.string(), "of the bytes that were read", nullable=True),
        column("status", pa.string(), "ok, no_face where no face is of use, or error"),
        column("reason", pa.string(), "what the error was, null without one", nullable=True),
        column(
            "score",
            pa.float64(),
            "the picture's own, by the setting; null without a face, never 0",
            nullable=True,
        ),
        column(
            "num_found", pa.int32(), "faces the detector told, null after an error", nullable=True
        ),
        column(
            "num_unsure", pa.int32(), "of these, below min_confidence: not scored", nullable=True
        ),
        column(
            "num_outside", pa.int32(), "of these, hardly in the picture: not scored", nullable=True
        ),
        column(
            "num_clipped", pa.int32(), "of these, scored without what lies outside", nullable=True
        ),
        column("scores", _FLOATS, "a score for each face of use, the largest first", nullable=True),
        column("confidences", _FLOATS, "the detector's, in the same order", nullable=True),
        column(
            "box_x", _INTS, "left edges of their boxes in px, as the detector told", nullable=True
        ),
        column("box_y", _INTS, "upper edges", nullable=True),
        column("box_width", _INTS, "widths", nullable=True),
        column("box_height", _INTS, "heights", nullable=True),
        column("scorer", pa.string(), "fingerprint of scorer, detector and settings"),
    ],
)


@settings
class FaceScoreRecord:
    """facescore.json: fixed by the first run of a scoring."""

    record: Literal["facescore"] = "facescore"
    """which record this is"""
    version: Literal[1] = 1
    """version of this record"""
    dataset: str | None
    """fingerprint of what the dataset was made by, null for files"""
    stages: tuple[Stage, ...]
    """the pictures of each sample that are scored, none for files"""
    photos: FileIdentity | None = None
    """photos.parquet beside this file, the files that are scored; null for a dataset"""
    chunk: Annotated[int | None, POSITIVE] = None
    """files that are one unit of work; null for a dataset, which has its shards"""
    settings: FaceScoreSettings
    """how pictures are scored"""
    weights: dict[str, str]
    """sha256 of the scorer's weights, of the settings beside them, and of the detector's"""
    code: str
    """hash of Relume's sources that began"""
    libraries: dict[str, str]
    """versions of what began"""
    processor: str
    """processor that began"""

    def must_match(self) -> dict[str, Any]:
        """What a later run may not change; where weights lie is no part of it, what they are is."""
        plain = as_plain(self)
        plain["settings"]["faces"].pop("weights")
        plain["settings"].pop("device")
        fixed = ("dataset", "stages", "photos", "chunk", "settings", "weights")
        return {key: plain[key] for key in fixed}

    def fingerprint(self) -> str:
        """Stands in every done.json for all that may not change."""
        return fingerprint(self.must_match())

    def may_differ(self) -> dict[str, str]:
        """What a later run may change, and has to say so."""
        return {"code": self.code, "processor": self.processor, **self.libraries}
