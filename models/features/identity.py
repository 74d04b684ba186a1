"""Who a picture shows, as ArcFace's embedding of its largest face, by DeepFace's own models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.faces.analyser import Picture, build_analyser
from schemas.audit import WITH_FACE, DeepFaceSettings

WIDTH = 512


class IdentityFeatures:
    """Pictures to embeddings of length 1; a row of NaN where no face was found."""

    def __init__(self, settings: DeepFaceSettings) -> None:
        self._analyser = build_analyser(settings)
        # A ValueError names a file that is missing, and how to get it.
        self._analyser.load()

    def of_levels(self, pictures: Sequence[Picture]) -> NDArray[np.float64]:
        """Embeddings (N, 512)."""
        found = np.full((len(pictures), WIDTH), np.nan)
        for row, finding in enumerate(self._analyser.analyse(pictures)):
            if finding.status == "error":
                raise ValueError(f"picture {row}: {finding.reason}")
            if finding.status in WITH_FACE and finding.face is not None:
                found[row] = finding.face.embedding
        return found
