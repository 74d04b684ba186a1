"""What every analyser of pictures offers, and the way to one; imports none that is not asked for.

Not a feature network of `models/features`: those map a picture to a vector, an analyser maps it to
a finding, with a status where there is no face.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from schemas.audit import DeepFaceSettings, Finding

Picture = npt.NDArray[np.uint8]


class Analyser(Protocol):
    """Says of each picture who seems to be in it."""

    @property
    def detector(self) -> str:
        """What looks for faces, as it stands in the rows."""
        ...

    def load(self) -> None:
        """Load the models; once per worker. A ValueError names a file that is missing."""
        ...

    def weights(self) -> Mapping[str, str]:
        """The checksum of every file of weights by its name, for which nothing is loaded."""
        ...

    def numerics(self) -> Mapping[str, str | int | float]:
        """What besides the weights changes the findings."""
        ...

    def analyse(self, pictures: Sequence[Picture]) -> list[Finding]:
        """A finding for each RGB picture, in their order; one that fails harms no other."""
        ...


def build_analyser(settings: DeepFaceSettings) -> Analyser:
    """An analyser, with nothing loaded yet."""
    from models.faces.deepface_analyser import DeepFaceAnalyser

    return DeepFaceAnalyser(settings)
