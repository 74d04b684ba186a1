"""DeepFace as an analyser: looks for faces once, predicts in batches, and never goes online."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.faces.detection import FaceFinder, FoundFace, sharpness
from models.faces.prediction import Inputs, Prediction, Predictor
from models.faces.process import settle
from models.faces.weights import found_files, home_of, weight_sums
from schemas.audit import AuditStatus, Box, DeepFaceSettings, Face, Finding


@dataclass(frozen=True, slots=True)
class _Looked:
    """A picture's largest face, before anything is predicted of it."""

    status: AuditStatus
    num_faces: int
    box: Box
    confidence: float
    sharpness: float
    inputs: Inputs


class DeepFaceAnalyser:
    """Calls DeepFace's own detector and models."""

    def __init__(self, settings: DeepFaceSettings) -> None:
        """Nothing is loaded yet."""
        self._settings = settings
        self._loaded: tuple[FaceFinder, Predictor] | None = None

    @property
    def detector(self) -> str:
        """What looks for faces."""
        return self._settings.detector

    def load(self) -> None:
        """Load every model; a ValueError names a file of weights that is missing."""
        if self._loaded is None:
            # DeepFace would download what is missing.
            found_files(self._settings)
            settle(self._settings.engine, home_of(self._settings), self._settings.threads)
            self._loaded = FaceFinder(self._settings), Predictor(self._settings)

    def weights(self) -> Mapping[str, str]:
        """The checksum of every file of weights by its name; nothing is loaded for it."""
        return weight_sums(self._settings)

    def numerics(self) -> Mapping[str, str | int | float]:
        """What besides the weights changes the findings."""
        chosen = self._settings
        return {
            "engine": chosen.engine,
            "border": chosen.border,
            "min_confidence": chosen.min_confidence,
            "normalization": chosen.normalization,
            "batch_size": chosen.batch_size,
            "threads": chosen.threads,
        }

    def analyse(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Finding]:
        """A finding for each RGB picture, in their order; one that fails harms no other."""
        assert self._loaded is not None, "load() comes first"
        _, predictor = self._loaded
        looked = [self._look(picture) for picture in pictures]
        shown = [one.inputs for one in looked if isinstance(one, _Looked)]
        told = iter(predictor.predict(shown))
        return [one if isinstance(one, Finding) else _finding(one, next(told)) for one in looked]

    def _look(self, picture: NDArray[np.uint8]) -> _Looked | Finding:
        assert self._loaded is not None
        finder, predictor = self._loaded
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            return _error(
                f"is {picture.dtype} of {picture.shape}, should be uint8 of (height, width, 3)"
            )
        if not picture.size:
            return _error(f"is empty: {picture.shape}")
        try:
            # DeepFace takes what OpenCV reads: blue first.
            faces = finder.find(np.ascontiguousarray(picture[:, :, ::-1]))
            if not faces:
                return Finding(status="no_face", reason=None, num_faces=0, face=None)
            return _Looked(
                status=self._status(faces),
                num_faces=len(faces),
                box=faces[0].box,
                confidence=faces[0].confidence,
                sharpness=sharpness(faces[0].crop),
                inputs=predictor.inputs(faces[0].crop),
            )
        except MemoryError:
            raise
        # Detectors are other people's code, and raise whatever OpenCV or an engine raises.
        except Exception as error:
            return _error(f"{self.detector}: {type(error).__name__}: {_one_line(error)}")

    def _status(self, faces: Sequence[FoundFace]) -> AuditStatus:
        if len(faces) > 1:
            return "multi_face"
        return "low_confidence" if faces[0].confidence < self._settings.min_confidence else "ok"


def _finding(looked: _Looked, told: Prediction) -> Finding:
    if not told.is_whole:
        return _error("the models gave what is no number")
    face = Face(
        box=looked.box,
        confidence=looked.confidence,
        age=told.age,
        age_probabilities=told.age_probabilities,
        gender_probabilities=told.gender_probabilities,
        ethnicity_probabilities=told.ethnicity_probabilities,
        embedding=told.embedding,
        sharpness=looked.sharpness,
    )
    return Finding(status=looked.status, reason=None, num_faces=looked.num_faces, face=face)


def _error(reason: str) -> Finding:
    return Finding(status="error", reason=reason, num_faces=None, face=None)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
