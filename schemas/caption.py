"""Captions: how they are asked for, what made them, and a row for each picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import pyarrow as pa
from annotated_types import Le

from schemas.records import column, record_schema
from schemas.run import FileIdentity
from schemas.sample import Stage
from schemas.settings import FILLED, POSITIVE, as_plain, fingerprint, settings

Device = Literal["cpu", "cuda"]
NumberFormat = Literal["float32", "float16", "bfloat16"]
CaptionStatus = Literal["ok", "cut_off", "refusal", "empty", "duplicate", "rejected", "error"]
CAPTION_STATUSES: tuple[CaptionStatus, ...] = get_args(CaptionStatus)
ReviewAction = Literal["accept", "reject", "edit"]


@settings
class CaptionSettings:
    """How pictures are captioned."""

    model: Annotated[str, FILLED]
    """folder of a LLaVA 1.5, or its name in the hub's cache"""
    revision: Annotated[str, FILLED] = "main"
    """revision of a model of the hub's cache"""
    template: Annotated[str, FILLED] = "portrait-1"
    """which question is asked, by its version"""
    question: Annotated[str, FILLED]
    """the question itself"""
    device: Device = "cpu"
    """what the model runs on"""
    dtype: NumberFormat = "float32"
    """number format of the weights"""
    batch_size: Annotated[int, POSITIVE, Le(1024)] = 8
    """pictures that are captioned at once"""
    max_new_tokens: Annotated[int, POSITIVE, Le(2048)] = 128
    """a caption that is longer is cut off"""
    threads: Annotated[int, POSITIVE, Le(256)] = 1
    """threads of the processor for each worker"""
    chunk: Annotated[int, POSITIVE, Le(100_000)] = 64
    """pictures of a folder that are one unit of work; a dataset has its shards"""
    clip_tokenizer: Annotated[str | None, FILLED] = None
    """folder of a Stable Diffusion 1.5 or its tokenizer, by which tokens are counted"""


@settings
class CaptionRecord:
    """captions.json: fixed by the first run."""

    record: Literal["captions"] = "captions"
    """which record this is"""
    version: Literal[1] = 1
    """version of this record"""
    name: str
    """name of the dataset or folder"""
    dataset: str | None
    """fingerprint of what the dataset was made by; null for a folder"""
    stage: Stage | None
    """which picture of a sample; null for a folder"""
    photos: FileIdentity | None
    """photos.parquet beside this file, the pictures of a folder; null for a dataset"""
    settings: CaptionSettings
    """how pictures are captioned"""
    weights: dict[str, str]
    """sha256 of every file of the model"""
    clip: dict[str, str]
    """sha256 of every file of the tokenizer that counts; empty without one"""
    refusals: str
    """version of the patterns by which a refusal is known"""
    code: str
    """hash of Relume's sources that began"""
    libraries: dict[str, str]
    """versions of what began"""

    def must_match(self) -> dict[str, Any]:
        """What a later run may not change; where models lie is no part of it, what they are is."""
        plain = as_plain(self)
        for place in ("model", "revision", "clip_tokenizer"):
            plain["settings"].pop(place)
        fixed = ("dataset", "stage", "photos", "settings", "weights", "clip", "refusals")
        return {key: plain[key] for key in fixed}

    def fingerprint(self) -> str:
        """Stands in every done.json for all that may not change."""
        return fingerprint(self.must_match())

    def may_differ(self) -> dict[str, str]:
        """What a later run may change, and has to say so."""
        return {"code": self.code, **self.libraries}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionRow:
    """A row of captions: one picture, and what was said of it."""

    id: str
    shard: str
    path: str | None
    picture_sha256: str | None
    status: CaptionStatus
    reason: str | None
    caption: str | None
    said: str | None
    num_tokens: int | None
    clip_tokens: int | None
    clip_cut: bool | None
    review: ReviewAction | None
    captioner: str


CAPTION_SCHEMA = record_schema(
    "caption-row",
    1,
    [
        column("id", pa.string(), "sample id, or made of the path in a folder"),
        column("shard", pa.string(), "shard of the sample, or chunk of the folder"),
        column("path", pa.string(), "the file in a folder, null for a sample", nullable=True),
        column("picture_sha256", pa.string(), "of the file that was read", nullable=True),
        column(
            "status",
            pa.string(),
            "ok, cut_off, refusal, empty, duplicate, rejected or error",
        ),
        column("reason", pa.string(), "why it is not ok, null where it is", nullable=True),
        column("caption", pa.string(), "in one line; null after an error", nullable=True),
        column("said", pa.string(), "the model's text as it came", nullable=True),
        column("num_tokens", pa.int32(), "tokens that the model said", nullable=True),
        column(
            "clip_tokens",
            pa.int32(),
            "CLIP's tokens of the caption with begin and end, null where nobody counted",
            nullable=True,
        ),
        column("clip_cut", pa.bool_(), "whether these are more than 77", nullable=True),
        column("review", pa.string(), "accept, reject or edit, null without one", nullable=True),
        column("captioner", pa.string(), "fingerprint of model, settings and pictures"),
    ],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDecision:
    """What a person decided about one caption."""

    id: str
    action: ReviewAction
    caption: str
    reason: str
    of: str
    """the caption that was looked at, of which it says nothing any more once that is another"""
