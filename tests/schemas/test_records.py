"""Each record's dataclass and its arrow schema say the same."""

from __future__ import annotations

import types
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
import pytest

from schemas.audit import AUDIT_SCHEMA, AuditRow
from schemas.caption import CAPTION_SCHEMA, CaptionRow
from schemas.facescore import FACE_SCORE_SCHEMA, FaceScoreRow
from schemas.measure import FEATURE_SCHEMA, FeatureRow
from schemas.name import NAME_SCHEMA, Name
from schemas.photo import PHOTO_SCHEMA, PlannedPhoto
from schemas.prompt import PROMPT_SCHEMA, Prompt
from schemas.records import check_record, column, record_schema, to_table
from schemas.sample import (
    PLAN_SCHEMA,
    PLANNED_STAGE_SCHEMA,
    SAMPLE_SCHEMA,
    STAGE_IMAGE_SCHEMA,
    STAGES,
    PlannedSample,
    Sample,
    Stage,
    StageImage,
    plan_schema,
    planned_row,
    planned_sample,
    sample_row,
    sample_schema,
    stages_of,
)
from schemas.selection import SELECTION_SCHEMA, Selected
from schemas.truth import TRUTH_SCHEMA, Truth

KINDS: dict[type, Any] = {
    str: pa.types.is_string,
    int: pa.types.is_integer,
    float: pa.types.is_floating,
    bool: pa.types.is_boolean,
}
# The fields that hold one thing per stage become columns with the stage's name before them.
PER_STAGE = {"seeds", "images"}


@pytest.mark.parametrize(
    ("record", "schema"),
    [
        (AuditRow, AUDIT_SCHEMA),
        (CaptionRow, CAPTION_SCHEMA),
        (FeatureRow, FEATURE_SCHEMA),
        (FaceScoreRow, FACE_SCORE_SCHEMA),
        (Selected, SELECTION_SCHEMA),
        (Name, NAME_SCHEMA),
        (PlannedPhoto, PHOTO_SCHEMA),
        (PlannedSample, PLAN_SCHEMA),
        (Prompt, PROMPT_SCHEMA),
        (Sample, SAMPLE_SCHEMA),
        (StageImage, STAGE_IMAGE_SCHEMA),
        (Truth, TRUTH_SCHEMA),
    ],
)
def test_dataclass_and_schema_are_in_step(record: type, schema: pa.Schema) -> None:
    hints = {k: v for k, v in get_type_hints(record).items() if k not in PER_STAGE}
    assert list(hints) == schema.names
    assert schema.metadata[b"relume.record"]
    assert int(schema.metadata[b"relume.version"]) >= 1
    for name, hint in hints.items():
        field = schema.field(name)
        kind, optional = _kind(hint)
        assert field.nullable == optional, name
        if kind is list:
            assert pa.types.is_list(field.type), name
        else:
            assert KINDS[kind](field.type), name
        assert len(field.metadata[b"description"]) > 5, name


def _kind(hint: Any) -> tuple[Any, bool]:
    optional = get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint)
    if optional:
        (hint,) = (member for member in get_args(hint) if member is not type(None))
    if get_origin(hint) is Literal:
        return str, optional
    return get_origin(hint) or hint, optional


def planned(stages: tuple[Stage, ...]) -> PlannedSample:
    return PlannedSample(
        id="a-00",
        split="test",
        half="A",
        shard="test/shard-000000",
        index=3,
        train_rank=None,
        name="Zoë O'Neil",
        nconst="a",
        prompt="p",
        seeds={stage: number for number, stage in enumerate(stages)},
    )


@pytest.mark.parametrize("stages", [("source",), ("source", "target"), ("teacher",), STAGES])
def test_a_plan_comes_back_from_arrow(stages: tuple[Stage, ...]) -> None:
    sample = planned(stages)
    table = pa.Table.from_pylist([planned_row(sample)], schema=plan_schema(stages))
    assert planned_sample(table.to_pylist()[0]) == sample
    assert stages_of(table.schema) == stages
    per_stage = len(PLANNED_STAGE_SCHEMA.names)
    assert len(table.column_names) == len(PLAN_SCHEMA.names) + per_stage * len(stages)


def test_a_sample_becomes_a_row_of_exactly_its_schema() -> None:
    image = StageImage(
        seed=1, model="m", revision="1", steps=4, guidance=0.0, offset=512, bytes=9, sha256="ab"
    )
    given = {f.name: getattr(planned(()), f.name) for f in fields(PlannedSample)}
    for other in ("seeds", "train_rank"):
        given.pop(other)
    sample = Sample(
        **given,
        status="ok",
        reason=None,
        size_px=64,
        json_offset=1,
        json_bytes=2,
        images={"source": image, "target": image},
    )
    row = sample_row(sample)
    schema = sample_schema(("source", "target"))
    assert list(row) == schema.names
    assert pa.Table.from_pylist([row], schema=schema).to_pylist() == [row]


def test_names_go_into_a_table() -> None:
    name = Name(nconst="nm1", name="A B", birth_year=None, professions=["actor"])
    table = to_table([name], NAME_SCHEMA)
    assert table.to_pylist() == [
        {"nconst": "nm1", "name": "A B", "birth_year": None, "professions": ["actor"]}
    ]


def _schema(record: str = "r", version: int = 1, *extra: pa.Field) -> pa.Schema:
    return record_schema(record, version, [column("a", pa.int32(), "a thing"), *extra])


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (_schema("other"), "record is 'other', but this version of Relume reads 'r'"),
        (_schema("r", 2), "version is '2', but this version of Relume reads '1'"),
        (pa.schema([pa.field("a", pa.int32())]), "record is 'none'"),
        (_schema().remove(0), "column 'a' is missing"),
        (_schema().set(0, pa.field("a", pa.string())), "column 'a' is string, wanted int32"),
        (_schema("r", 1, column("b", pa.int8(), "new")), "unknown column 'b'"),
        (_schema().set(0, pa.field("a", pa.int32())), "column 'a' may be null, which it never is"),
    ],
)
def test_other_records_are_refused(found: pa.Schema, told: str) -> None:
    with pytest.raises(ValueError, match=f"file: {told}"):
        check_record(found, _schema(), "file")


def test_the_reference_explains_every_column() -> None:
    reference = Path("docs/manifest.md").read_text()
    explained = (NAME_SCHEMA, PLAN_SCHEMA, SAMPLE_SCHEMA, STAGE_IMAGE_SCHEMA, TRUTH_SCHEMA)
    others = (PHOTO_SCHEMA, PROMPT_SCHEMA, CAPTION_SCHEMA, FACE_SCORE_SCHEMA)
    for schema in (*explained, *others):
        for field in schema:
            description = field.metadata[b"description"].decode()
            assert f"`{field.name}`" in reference, field.name
            assert description in reference, description


def test_a_record_is_itself_and_its_columns_may_come_in_any_order() -> None:
    wanted = _schema("r", 1, column("b", pa.int8(), "another", nullable=True))
    check_record(wanted, wanted, "file")
    turned = pa.schema(list(reversed(list(wanted))), metadata=wanted.metadata)
    check_record(turned, wanted, "file")
    stricter = wanted.set(1, pa.field("b", pa.int8(), nullable=False))
    check_record(stricter, wanted, "file")
