"""Pictures to face scores: finds faces, cuts them out, and scores them in batches across pictures.

A face is never scored twice, a picture without one gets no score, and none is ever 0 for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.checksums import sha256_of
from models.faces.detection import FaceFinder, SeenFace
from models.faces.process import settle
from models.faces.weights import found_files, home_of, weight_sums
from models.facescore.pixels import face_crop
from models.facescore.scorer import Scorer, files_to_open, open_scorer
from schemas.audit import Box
from schemas.facescore import FaceScoreSettings, FaceScoreStatus, PictureScore

Picture = NDArray[np.uint8]
Crop = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class CutFaces:
    """The faces of a picture that are of use, and how many were not."""

    faces: tuple[SeenFace, ...]
    crops: tuple[Crop, ...]
    num_found: int
    num_unsure: int
    num_outside: int
    num_clipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What is known of a picture: its faces with a score each, or why there is none."""

    status: FaceScoreStatus
    reason: str | None = None
    cut: CutFaces | None = None
    scores: tuple[float, ...] = ()
    score: float | None = None

    def columns(self) -> dict[str, Any]:
        """The columns of a row that tell this."""
        cut = self.cut
        boxes = [face.box for face in cut.faces] if cut else []
        return {
            "status": self.status,
            "reason": self.reason,
            "score": self.score,
            "num_found": cut.num_found if cut else None,
            "num_unsure": cut.num_unsure if cut else None,
            "num_outside": cut.num_outside if cut else None,
            "num_clipped": cut.num_clipped if cut else None,
            "scores": list(self.scores) if cut else None,
            "confidences": [face.confidence for face in cut.faces] if cut else None,
            "box_x": [box.x for box in boxes] if cut else None,
            "box_y": [box.y for box in boxes] if cut else None,
            "box_width": [box.width for box in boxes] if cut else None,
            "box_height": [box.height for box in boxes] if cut else None,
        }


def scorer_weights(settings: FaceScoreSettings, place: Path) -> dict[str, str]:
    """The checksums of the scorer's two files and the detector's; ValueError where one lacks."""
    scorer = sha256_of(files_to_open(place))
    return {
        **{f"scorer/{file.name}": one for file, one in scorer.items()},
        **weight_sums(settings.faces, finding_only=True),
    }


def cut_faces(picture: Picture, seen: Sequence[SeenFace], settings: FaceScoreSettings) -> CutFaces:
    """The crops of the faces that are sure and in the picture, the largest first."""
    sure = [face for face in seen if face.confidence >= settings.faces.min_confidence]
    faces, crops, clipped = [], [], 0
    for face in sure:
        crop = face_crop(picture, face.box, settings.margin_px)
        if crop is not None:
            faces.append(face)
            crops.append(crop)
            clipped += _leaves(face.box, picture)
    return CutFaces(
        faces=tuple(faces),
        crops=tuple(crops),
        num_found=len(seen),
        num_unsure=len(seen) - len(sure),
        num_outside=len(sure) - len(faces),
        num_clipped=clipped,
    )


def picture_score(scores: Sequence[float], rule: PictureScore) -> float | None:
    """A picture's own score out of those of its faces, the largest first; None without one."""
    if not scores:
        return None
    if rule == "mean":
        return float(np.mean(scores))
    return {"largest": scores[0], "best": max(scores), "worst": min(scores)}[rule]


class FaceScore:
    """Scores pictures: load() once, then find() and score() as often as wanted."""

    def __init__(self, settings: FaceScoreSettings, place: Path) -> None:
        """`place` is the scorer's folder or file; nothing is loaded yet."""
        self.settings, self._place = settings, place
        self._loaded: tuple[FaceFinder, Scorer] | None = None

    def load(self) -> None:
        """Load detector and network; a ValueError names what is missing or wrong."""
        if self._loaded is not None:
            return
        faces = self.settings.faces
        # DeepFace would download what is missing.
        found_files(faces, finding_only=True)
        settle(faces.engine, home_of(faces), faces.threads)
        torch.set_num_threads(self.settings.threads)
        scorer = open_scorer(self._place)
        scorer.network.to(_device(self.settings))
        self._loaded = FaceFinder(faces), scorer

    def score(self, pictures: Sequence[Picture]) -> list[Scored]:
        """What is known of each RGB picture; one that fails harms no other."""
        found = [self.find(picture) for picture in pictures]
        return self.score_found(found)

    def find(self, picture: Picture) -> CutFaces | str:
        """The faces of a picture, or why nobody could look."""
        assert self._loaded is not None, "load() comes first"
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            return f"is {picture.dtype} of {picture.shape}, should be uint8 of (height, width, 3)"
        if not picture.size:
            return f"is empty: {picture.shape}"
        try:
            # DeepFace takes what OpenCV reads: blue first.
            seen = self._loaded[0].seen(np.ascontiguousarray(picture[:, :, ::-1]))
        except MemoryError:
            raise
        # Detectors are other people's code, and raise whatever OpenCV or an engine raises.
        except Exception as error:
            why = " ".join(str(error).split())
            return f"{self.settings.faces.detector}: {type(error).__name__}: {why}"
        return cut_faces(picture, seen, self.settings)

    def score_found(self, found: Sequence[CutFaces | str]) -> list[Scored]:
        """Scores of faces that were found, in batches whatever pictures they are of."""
        assert self._loaded is not None, "load() comes first"
        scorer = self._loaded[1]
        crops = [crop for one in found if isinstance(one, CutFaces) for crop in one.crops]
        scores = iter(scorer.score(crops, self.settings.batch_size).tolist())
        told = []
        for one in found:
            if isinstance(one, str):
                told.append(Scored(status="error", reason=one))
                continue
            own = tuple(next(scores) for _ in one.crops)
            if not all(map(np.isfinite, own)):
                told.append(Scored(status="error", reason="the scorer gave what is no number"))
                continue
            told.append(
                Scored(
                    status="ok" if own else "no_face",
                    cut=one,
                    scores=own,
                    score=picture_score(own, self.settings.picture),
                )
            )
        return told


def tally(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many pictures and faces there are of each kind, none of them left out in silence."""
    looked = [row for row in rows if row["status"] != "error"]
    return {
        "pictures": len(rows),
        "with a face": sum(row["status"] == "ok" for row in rows),
        "without a face": sum(row["status"] == "no_face" for row in rows),
        "with several": sum(len(row["scores"]) > 1 for row in looked),
        "errors": len(rows) - len(looked),
        "faces scored": sum(len(row["scores"]) for row in looked),
        "faces clipped at the border": sum(row["num_clipped"] for row in looked),
        "faces outside the picture": sum(row["num_outside"] for row in looked),
        "faces too unsure": sum(row["num_unsure"] for row in looked),
    }


def _device(settings: FaceScoreSettings) -> str:
    there = torch.cuda.is_available()
    if settings.device == "cuda" and not there:
        raise ValueError('device = "cuda": this machine has no GPU; say "auto" or "cpu"')
    return "cuda" if there and settings.device != "cpu" else "cpu"


def _leaves(box: Box, picture: Picture) -> bool:
    height, width = picture.shape[:2]
    return box.x < 0 or box.y < 0 or box.x + box.width > width or box.y + box.height > height
