"""Age, gender, ethnicity and identity of many faces at once, by DeepFace's own models.

It knows crops, not pictures: looking for faces is not its part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.faces.process import model, part
from models.faces.weights import ATTRIBUTE_FILES
from schemas.audit import DeepFaceSettings
from schemas.truth import ETHNICITIES, GENDERS

AGES = np.arange(101)
# What DeepFace's attribute models and ArcFace look at.
_ATTRIBUTE_SIDES_PX = (224, 224)
_EMBEDDING_SIDES_PX = (112, 112)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the models take of one face: (1, height, width, 3), BGR."""

    attributes: Floats
    embedding: Floats


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the models say of one face; a NaN where one gave no number."""

    age: float
    age_probabilities: tuple[float, ...]
    gender_probabilities: tuple[float, ...]
    ethnicity_probabilities: tuple[float, ...]
    embedding: tuple[float, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every number is one."""
        told = (
            *self.age_probabilities,
            *self.gender_probabilities,
            *self.ethnicity_probabilities,
            *self.embedding,
        )
        return bool(np.isfinite(told).all())


class Predictor:
    """DeepFace's three attribute models and ArcFace."""

    def __init__(self, settings: DeepFaceSettings) -> None:
        """Load the models."""
        self._batch_size, self._normalization = settings.batch_size, settings.normalization
        self._attributes = {name: model("facial_attribute", name) for name in ATTRIBUTE_FILES}
        self._arcface = model("facial_recognition", "ArcFace")
        self._preprocessing = part("deepface.modules.preprocessing")
        labels = part("deepface.models.demography.DemographyUtils")
        self._gender_order = _order(GENDERS, labels.GENDER_LABELS)
        self._ethnicity_order = _order(ETHNICITIES, labels.RACE_LABELS)

    def inputs(self, crop: npt.NDArray[np.uint8]) -> Inputs:
        """A crop as DeepFace shows it to its models."""
        # Divided before it is resized, as there: whole numbers would be rounded once more.
        scaled = crop / 255 if crop.max() > 1 else crop
        resize = self._preprocessing.resize_image
        embedding = self._preprocessing.normalize_input(
            img=resize(img=scaled, target_size=_EMBEDDING_SIDES_PX),
            normalization=self._normalization,
        )
        return Inputs(resize(img=scaled, target_size=_ATTRIBUTE_SIDES_PX), embedding)

    def predict(self, faces: Sequence[Inputs]) -> list[Prediction]:
        """What the models say of each face, whole batches at a time."""
        step = self._batch_size
        return [
            told
            for start in range(0, len(faces), step)
            for told in self._batch(faces[start : start + step])
        ]

    def _batch(self, faces: Sequence[Inputs]) -> list[Prediction]:
        shown = np.concatenate([face.attributes for face in faces])
        ages, genders, ethnicities = (
            _probabilities(one, shown) for one in self._attributes.values()
        )
        raw = self._arcface.predict(np.concatenate([face.embedding for face in faces]))
        return [
            Prediction(
                age=float(age @ AGES),
                age_probabilities=_floats(age),
                gender_probabilities=_floats(gender[self._gender_order]),
                ethnicity_probabilities=_floats(ethnicity[self._ethnicity_order]),
                embedding=_floats(embedding),
            )
            for age, gender, ethnicity, embedding in zip(
                ages, genders, ethnicities, _of_length_1(raw), strict=True
            )
        ]


def _probabilities(model: Any, shown: Floats) -> npt.NDArray[np.float64]:
    """(faces, classes) whose rows sum to 1."""
    # predict() of the age model gives ages alone; of one face all of them give one dimension less.
    told = np.asarray(model._predict_internal(shown), np.float64).reshape(len(shown), -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(told / told.sum(axis=1, keepdims=True))


def _of_length_1(raw: Floats) -> npt.NDArray[np.float64]:
    vectors = np.asarray(raw, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _order(ours: Sequence[str], theirs: Sequence[str]) -> list[int]:
    """Where each of our labels stands among theirs."""
    known = [label.lower() for label in theirs]
    if sorted(known) != sorted(ours):
        raise ValueError(f"deepface names its groups {known}, not {list(ours)}; install 0.0.103")
    return [known.index(label) for label in ours]


def _floats(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(values.tolist())
