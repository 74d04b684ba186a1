"""Planned samples, the rows they become, and the pictures of a row.

A dataset has one or more *stages* (source, target, teacher), each a picture per sample. The columns
of a stage carry its name as a prefix, so a table has exactly the columns of its own stages, and no
nulls for stages that it was never to have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pyarrow as pa

from schemas.records import column, record_schema, to_row

# Enhanced pictures are a head's; `relume enhance` makes them, and no plan asks for them. A photo is
# a real picture, read from a folder. Good, bad and mask are a pair of faces, from `relume
# facepairs`: as given, painted over, and where.
Stage = Literal["source", "target", "teacher", "enhanced", "photo", "good", "bad", "mask"]
STAGES: tuple[Stage, ...] = get_args(Stage)
# Pictures that may be alike in two samples: a photograph that a folder holds twice, two faces of
# one picture, two faces in one place.
MAY_REPEAT: frozenset[Stage] = frozenset({"photo", "good", "mask"})
# What other verbs make out of a dataset, by the verb; no plan asks for these.
MADE_BY: dict[Stage, str] = {
    "enhanced": "relume enhance",
    "good": "relume facepairs",
    "bad": "relume facepairs",
    "mask": "relume facepairs",
}
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Half = Literal["A", "B"]
Status = Literal["ok", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSample:
    """What is fixed about a sample before any picture is made."""

    id: str
    split: Split
    half: Half | None
    shard: str
    index: int
    train_rank: int | None
    name: str | None
    nconst: str | None
    prompt: str
    seeds: dict[Stage, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageImage:
    """One picture of a sample: how it was made, and where its bytes lie in the shard's tar."""

    seed: int
    model: str
    revision: str
    steps: int
    guidance: float
    strength: float | None = None
    offset: int | None = None
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A row of a shard: a planned sample and what became of it, the same in every run."""

    id: str
    split: Split
    half: Half | None
    shard: str
    index: int
    status: Status
    reason: str | None
    name: str | None
    nconst: str | None
    prompt: str
    size_px: int
    json_offset: int | None
    json_bytes: int | None
    images: dict[Stage, StageImage]


_IDENTITY = [
    column(
        "id", pa.string(), "sample id, the key of its members in the tar: letters, digits, - and _"
    ),
    column("split", pa.string(), "train, validation or test, by the hash of the name"),
    column("half", pa.string(), "A or B for validation and test, null for train", nullable=True),
    column("shard", pa.string(), "the shard it belongs to, for example train/shard-000000"),
    column("index", pa.int32(), "position in the shard, from 0"),
]
_SUBJECT = [
    column(
        "name", pa.string(), "name in the prompt, null where the prompt has none", nullable=True
    ),
    column("nconst", pa.string(), "IMDb's identifier of the name, null without one", nullable=True),
    column("prompt", pa.string(), "the whole prompt"),
]

PLAN_SCHEMA = record_schema(
    "planned-sample",
    1,
    [
        *_IDENTITY,
        column(
            "train_rank",
            pa.int32(),
            "rank in the seeded draw; fraction f is train_rank < f x rows of the plan",
            nullable=True,
        ),
        *_SUBJECT,
    ],
)
SAMPLE_SCHEMA = record_schema(
    "sample",
    1,
    [
        *_IDENTITY,
        column("status", pa.string(), "ok, or failed: a final row without pictures"),
        column("reason", pa.string(), "why it failed, null when ok", nullable=True),
        *_SUBJECT,
        column("size_px", pa.int32(), "width and height of the pictures"),
        column("json_offset", pa.int64(), "where the json member's bytes start", nullable=True),
        column("json_bytes", pa.int64(), "length of the json member", nullable=True),
    ],
)
PLANNED_STAGE_SCHEMA = record_schema(
    "planned-stage", 1, [column("seed", pa.int64(), "seed of this stage's generator, 53 bits")]
)
STAGE_IMAGE_SCHEMA = record_schema(
    "stage-image",
    1,
    [
        *PLANNED_STAGE_SCHEMA,
        column("model", pa.string(), "model that made the picture"),
        column("revision", pa.string(), "revision of the model"),
        column("steps", pa.int32(), "scheduler steps asked for"),
        column("guidance", pa.float64(), "guidance scale"),
        column("strength", pa.float64(), "img2img strength, null for text-to-image", nullable=True),
        column("offset", pa.int64(), "where the PNG's bytes start in the tar", nullable=True),
        column("bytes", pa.int64(), "length of the PNG", nullable=True),
        column("sha256", pa.string(), "of the PNG's bytes, hexadecimal", nullable=True),
    ],
)


def plan_schema(stages: Sequence[Stage]) -> pa.Schema:
    """Columns of a plan with these stages."""
    return _with_stages(PLAN_SCHEMA, PLANNED_STAGE_SCHEMA, stages)


def sample_schema(stages: Sequence[Stage]) -> pa.Schema:
    """Columns of a shard's rows, and of the manifest, with these stages."""
    return _with_stages(SAMPLE_SCHEMA, STAGE_IMAGE_SCHEMA, stages)


def _with_stages(common: pa.Schema, per_stage: pa.Schema, stages: Sequence[Stage]) -> pa.Schema:
    columns = list(common)
    for stage in stages:
        columns += [field.with_name(f"{stage}_{field.name}") for field in per_stage]
    return pa.schema(columns, metadata=common.metadata)


def planned_sample(row: Mapping[str, Any]) -> PlannedSample:
    """The planned sample that a row of a plan tells."""
    common = {field: row[field] for field in PLAN_SCHEMA.names}
    seeds = {stage: row[f"{stage}_seed"] for stage in STAGES if f"{stage}_seed" in row}
    return PlannedSample(**common, seeds=seeds)


def planned_row(sample: PlannedSample) -> dict[str, Any]:
    """The row of a plan that tells a planned sample."""
    row = to_row(sample)
    seeds = row.pop("seeds")
    return row | {f"{stage}_seed": seed for stage, seed in seeds.items()}


def sample_row(sample: Sample) -> dict[str, Any]:
    """The row of a shard that tells a sample."""
    row = to_row(sample)
    for stage, image in row.pop("images").items():
        row |= {f"{stage}_{field}": value for field, value in to_row(image).items()}
    return row


def stages_of(schema: pa.Schema) -> tuple[Stage, ...]:
    """The stages that a plan's or a shard's columns tell of."""
    return tuple(stage for stage in STAGES if f"{stage}_seed" in schema.names)
