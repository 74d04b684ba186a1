"""What an audit says of one picture: who seems to be in it, and how sure the analyser is.

Every word about people here is a classifier's perception of a synthetic picture, or, for procedural
portraits, a parameter of a drawing; none is a fact about a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import pyarrow as pa
from annotated_types import Le

from schemas.records import column, record_schema
from schemas.sample import Stage
from schemas.settings import FILLED, NON_NEGATIVE, POSITIVE, settings, tagged

AuditStatus = Literal["ok", "no_face", "multi_face", "low_confidence", "error"]
AUDIT_STATUSES: tuple[AuditStatus, ...] = get_args(AuditStatus)
# Pictures of these have a largest face that was analysed; only those of ok are counted in tables.
WITH_FACE: frozenset[AuditStatus] = frozenset({"ok", "multi_face", "low_confidence"})

Engine = Literal["onnx", "pytorch"]
Detector = Literal[
    "retinaface",
    "opencv",
    "yunet",
    "ssd",
    "centerface",
    "mtcnn",
    "fastmtcnn",
    "dlib",
    "mediapipe",
    "yolov8n",
    "yolov8m",
    "yolov8l",
    "yolov11n",
    "yolov11s",
    "yolov11m",
    "yolov11l",
    "yolov12n",
    "yolov12s",
    "yolov12m",
    "yolov12l",
]
DETECTORS: tuple[Detector, ...] = get_args(Detector)
Normalization = Literal["base", "raw", "Facenet", "Facenet2018", "VGGFace", "VGGFace2", "ArcFace"]
# DeepFace puts this share of a picture's sides around it in black before it looks for faces.
DEEPFACE_BORDER = 0.5
# These see a face at the same size however wide the border is; others shrink what they look at.
_BORDERLESS: tuple[Detector, ...] = ("retinaface", "opencv")


@settings
class DeepFaceSettings:
    """DeepFace's own detector and its models of age, gender, race and identity (ArcFace)."""

    kind: Literal["deepface"] = "deepface"
    """DeepFace's models"""
    detector: Detector = "retinaface"
    """what looks for faces"""
    engine: Engine = "onnx"
    """what runs the models; one for a whole process"""
    weights: Annotated[str | None, FILLED] = None
    """folder that holds .deepface/weights; by default DEEPFACE_HOME, or else the home folder"""
    border: Annotated[float, NON_NEGATIVE, Le(DEEPFACE_BORDER)] = 0.125
    """black border while faces are looked for, as a share of the sides; 0.5 is DeepFace's own"""
    min_confidence: Annotated[float, NON_NEGATIVE, Le(1)] = 0.0
    """a largest face below this is low_confidence; retinaface itself gives none below 0.9"""
    normalization: Normalization = "base"
    """what is done to ArcFace's input; base, which is DeepFace's default, leaves it in 0..1"""
    batch_size: Annotated[int, POSITIVE, Le(1024)] = 16
    """faces whose attributes are predicted at once; another number may change the last digits"""
    threads: Annotated[int, POSITIVE, Le(256)] = 1
    """threads of the processor for each worker"""

    @staticmethod
    def _sees_the_same_size(detector: Detector, border: float) -> Iterator[str]:
        if detector not in _BORDERLESS and border != DEEPFACE_BORDER:
            yield (
                f"border = {border}: {detector} would see faces at another size than DeepFace "
                f"shows it; set border = {DEEPFACE_BORDER}"
            )

    @staticmethod
    def _confidence_means_something(detector: Detector, min_confidence: float) -> Iterator[str]:
        if detector == "opencv" and min_confidence:
            yield (
                f"min_confidence = {min_confidence}: the confidence that DeepFace gives for opencv "
                "falls where opencv is surer; set min_confidence = 0, or take retinaface"
            )


@settings
class TruthSettings:
    """The truth that the painter tells of its procedural portraits; no model looks at them."""

    kind: Literal["truth"] = "truth"
    """the painter's truth.parquet"""


AnalyserSettings = Annotated[DeepFaceSettings | TruthSettings, tagged("kind")]


@settings
class AuditSettings:
    """How pictures are audited."""

    analyser: AnalyserSettings = DeepFaceSettings()
    """what says who is in a picture"""
    lpips: Literal["vgg", "alex"] | None = None
    """which LPIPS tells how far each target is from its source; none without it"""
    lpips_weights: Annotated[str, FILLED] = "weights"
    """folder of LPIPS' published weights"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A face's place in its picture, in pixels from the upper left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """The largest face of a picture. Probabilities follow the orders of `schemas.truth`."""

    box: Box
    confidence: float
    age: float
    age_probabilities: tuple[float, ...]
    gender_probabilities: tuple[float, ...]
    ethnicity_probabilities: tuple[float, ...]
    embedding: tuple[float, ...]
    sharpness: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an analyser found in one picture; a face exactly where the status has one."""

    status: AuditStatus
    reason: str | None
    num_faces: int | None
    face: Face | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """A row of an audit: one stage's picture of one sample, and what was found in it."""

    id: str
    shard: str
    stage: Stage
    picture_sha256: str | None
    status: AuditStatus
    reason: str | None
    num_faces: int | None
    detector: str
    box_x: int | None
    box_y: int | None
    box_width: int | None
    box_height: int | None
    confidence: float | None
    age: float | None
    age_probabilities: list[float] | None
    gender_probabilities: list[float] | None
    ethnicity_probabilities: list[float] | None
    embedding: list[float] | None
    sharpness: float | None
    picture_hash: int | None
    analyser: str
    lpips: float | None = None


_FLOATS = pa.list_(pa.float32())

AUDIT_SCHEMA = record_schema(
    "audit-row",
    1,
    [
        column("id", pa.string(), "sample id"),
        column("shard", pa.string(), "shard of the sample, for example train/shard-000000"),
        column("stage", pa.string(), "which picture of it: source, target or teacher"),
        column("picture_sha256", pa.string(), "of the PNG that was read", nullable=True),
        column("status", pa.string(), "ok, no_face, multi_face, low_confidence or error"),
        column("reason", pa.string(), "what the error was, null without one", nullable=True),
        column("num_faces", pa.int32(), "faces found, null after an error", nullable=True),
        column("detector", pa.string(), "what looked for faces"),
        column("box_x", pa.int32(), "left edge of the largest face", nullable=True),
        column("box_y", pa.int32(), "upper edge of the largest face", nullable=True),
        column("box_width", pa.int32(), "width of the largest face", nullable=True),
        column("box_height", pa.int32(), "height of the largest face", nullable=True),
        column("confidence", pa.float32(), "the detector's, 0 to 1", nullable=True),
        column("age", pa.float32(), "perceived age in years, not rounded", nullable=True),
        column("age_probabilities", _FLOATS, "of the ages 0 to 100", nullable=True),
        column("gender_probabilities", _FLOATS, "of man and woman", nullable=True),
        column(
            "ethnicity_probabilities",
            _FLOATS,
            "of asian, black, indian, latino hispanic, middle eastern and white",
            nullable=True,
        ),
        column("embedding", _FLOATS, "of the face, length 1", nullable=True),
        column(
            "sharpness",
            pa.float32(),
            "variance of the Laplacian of the face's grey levels at 112 x 112",
            nullable=True,
        ),
        column(
            "picture_hash",
            pa.int64(),
            "64 bits of differences of neighbours in the picture at 9 x 8, for near-duplicates",
            nullable=True,
        ),
        column("analyser", pa.string(), "fingerprint of analyser, settings and weights"),
        column("lpips", pa.float32(), "of a target to its source, where asked for", nullable=True),
    ],
)
