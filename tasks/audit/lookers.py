"""What tells who is in a picture: models that look at it, or the painter who knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.faces.analyser import build_analyser
from models.faces.detection import sharpness
from schemas.audit import AuditSettings, Box, DeepFaceSettings, Face, Finding
from schemas.truth import ETHNICITIES, GENDERS, HAIR_STYLES
from shards import layout
from shards.encoding import read_parquet
from shards.run import read_generator
from shards.truth import what_is_wrong_with_truth
from tasks.features.pair_distance import PairDistance

Picture = NDArray[np.uint8]
_AGES = 101


class Looker(Protocol):
    """What says of each picture who seems to be in it."""

    @property
    def detector(self) -> str:
        """What looks for faces, as it stands in the rows."""
        ...

    def load(self) -> None:
        """Load what is needed; once per worker."""
        ...

    def weights(self) -> dict[str, str]:
        """The checksum of every file that findings follow from."""
        ...

    def findings(self, ids: Sequence[str], pictures: Sequence[Picture]) -> list[Finding]:
        """A finding for each sample's picture, in their order."""
        ...


def build_looker(settings: AuditSettings, dataset: Path) -> Looker:
    """What looks at the pictures, with nothing loaded yet."""
    if isinstance(settings.analyser, DeepFaceSettings):
        return ModelLooker(settings.analyser)
    return TruthLooker(dataset)


def audit_weights(settings: AuditSettings, looker: Looker) -> dict[str, str]:
    """The checksums of every file that an audit's rows follow from."""
    return {**looker.weights(), **(PairDistance(settings).weights() if settings.lpips else {})}


class ModelLooker:
    """DeepFace's models."""

    def __init__(self, settings: DeepFaceSettings) -> None:
        self._analyser = build_analyser(settings)

    @property
    def detector(self) -> str:
        """What looks for faces."""
        return self._analyser.detector

    def load(self) -> None:
        """Load the models."""
        self._analyser.load()

    def weights(self) -> dict[str, str]:
        """The checksum of every file of weights."""
        return dict(self._analyser.weights())

    def findings(self, ids: Sequence[str], pictures: Sequence[Picture]) -> list[Finding]:
        """What the models find; who the samples are is nothing to them."""
        del ids
        return self._analyser.analyse(pictures)


class TruthLooker:
    """The painter's truth: certain, and about drawings alone."""

    detector = "truth"

    def __init__(self, dataset: Path) -> None:
        """ValueError where the dataset has no truth."""
        generator = read_generator(dataset)
        wrong = (
            "is missing; only procedural portraits have one, so take --analyser deepface"
            if generator is None or generator.truth is None
            else what_is_wrong_with_truth(dataset, generator.truth)
        )
        if wrong:
            raise ValueError(f"{dataset / layout.TRUTH}: {wrong}")
        assert generator is not None
        assert generator.truth is not None
        self._path, self._sha256 = dataset / layout.TRUTH, generator.truth.sha256
        self._truths: dict[str, dict[str, Any]] = {}

    def load(self) -> None:
        """Read nothing yet: a shard needs few of its rows."""

    def weights(self) -> dict[str, str]:
        """The file that findings follow from."""
        return {layout.TRUTH: self._sha256}

    def findings(self, ids: Sequence[str], pictures: Sequence[Picture]) -> list[Finding]:
        """What the painter drew."""
        if not self._truths:
            table = read_parquet(self._path)
            self._truths = {row["id"]: row for row in table.to_pylist()}
        return [
            _finding(self._truths[one], picture) for one, picture in zip(ids, pictures, strict=True)
        ]


def _finding(truth: dict[str, Any], picture: Picture) -> Finding:
    height, width = picture.shape[:2]
    face = Face(
        box=Box(x=0, y=0, width=width, height=height),
        confidence=1.0,
        age=float(truth["age"]),
        age_probabilities=_certain(truth["age"], range(_AGES)),
        gender_probabilities=_certain(truth["gender"], GENDERS),
        ethnicity_probabilities=_certain(truth["ethnicity"], ETHNICITIES),
        embedding=_parameters(truth),
        sharpness=sharpness(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)),  # type: ignore[arg-type]
    )
    return Finding(status="ok", reason=None, num_faces=1, face=face)


def _certain(value: Any, words: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(word == value) for word in words)


def _parameters(truth: dict[str, Any]) -> tuple[float, ...]:
    """The drawing's parameters as a vector of length 1, in the place of an embedding."""
    numbers = [
        *_certain(truth["gender"], GENDERS),
        *_certain(truth["ethnicity"], ETHNICITIES),
        *_certain(truth["hair_style"], HAIR_STYLES),
        truth["age"] / 50 - 1,
        2 * truth["skin_tone"] - 1,
        truth["beard"],
        float(truth["glasses"]),
        truth["light"],
    ]
    vector = np.array(numbers)
    return tuple(float(one) for one in vector / np.linalg.norm(vector))
