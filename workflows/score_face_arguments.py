"""What `relume facescore score` is told, and the settings that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from workflows.fetch import face_settings
from workflows.workers import WorkerArguments

if TYPE_CHECKING:
    from schemas.facescore import FaceScoreSettings


@dataclass(frozen=True, kw_only=True)
class Arguments(WorkerArguments):
    """Score the faces in pictures; of a dataset, or continue.

    INPUT is pictures, folders and patterns, scored in this process, or with --workers or --address
    on Ray; or one dataset, whose shards are scored on Ray.
    """

    input: tyro.conf.Positional[tuple[str, ...]]
    """pictures, folders and patterns, or one dataset"""
    scorer: Path
    """folder with FS_model.pt or ImageReward.pt and med_config.json, or one that was trained"""
    out: Path
    """folder of the scores"""
    stage: tuple[str, ...] = ()
    """which pictures of a dataset's samples; all of them without it"""
    chunk: int | None = None
    """pictures of files that are one unit of work, 64 without it; a dataset has its shards"""
    picture: Literal["largest", "mean", "best", "worst"] = "largest"
    """which face's score is the picture's own where there are several"""
    margin_px: int = 1
    """pixels added to each side of a face's box"""
    min_confidence: float | None = None
    """a face of which the detector is less sure is not scored; 0.9, and 0 for opencv"""
    detector: str = "retinaface"
    """what looks for faces: retinaface, opencv, yunet and DeepFace's others"""
    engine: Literal["onnx", "pytorch"] = "onnx"
    """what runs the detector"""
    weights: Path | None = None
    """folder that holds .deepface/weights; without it DEEPFACE_HOME, or else the home folder"""
    batch_size: int = 32
    """faces that go through the network together"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """what the network runs on; auto takes a GPU where there is one"""
    threads: int = 1
    """threads of the processor for each worker"""
    json: Annotated[bool, tyro.conf.arg(help="print the result as JSON")] = False


def score_settings(arguments: Arguments) -> FaceScoreSettings:
    """The options as settings; a ValueError lists every mistake in them."""
    from schemas.facescore import FaceScoreSettings
    from schemas.settings import as_plain, resolve

    faces = as_plain(face_settings(arguments.detector, arguments.engine, arguments.weights))
    sure = 0.0 if arguments.detector == "opencv" else 0.9
    faces["min_confidence"] = sure if arguments.min_confidence is None else arguments.min_confidence
    faces["threads"] = arguments.threads
    device = arguments.device
    if device == "auto":
        # A worker of a cluster sees no GPU that was not asked for.
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    tables = {
        "faces": faces,
        "margin_px": arguments.margin_px,
        "picture": arguments.picture,
        "batch_size": arguments.batch_size,
        "device": device,
        "threads": arguments.threads,
    }
    return resolve(FaceScoreSettings, tables, "relume facescore score")
