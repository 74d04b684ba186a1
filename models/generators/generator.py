"""What every image generator offers, whatever makes its pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from schemas.run import ModelIdentity
from schemas.sample import PlannedSample, Stage

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


class Generator(Protocol):
    """Makes the pictures of samples, each from its prompt and its seeds alone."""

    def copy_weights(self, place: Path, models: Mapping[str, ModelIdentity]) -> None:
        """Have `load` read a copy in this folder of the node, made now where there is none."""
        ...

    def load(self, stages: Sequence[Stage] | None = None) -> None:
        """Load the weights of these stages, of all by default; once per worker."""
        ...

    def identity(self) -> Mapping[Stage, ModelIdentity]:
        """Which model makes each stage, down to its weights."""
        ...

    def revisions(self) -> Mapping[Stage, tuple[str, str]]:
        """Model and revision of each stage, for which no weights need be read."""
        ...

    def numerics(self) -> Mapping[str, str | int]:
        """What besides the models changes the bytes."""
        ...

    def weight_bytes(self) -> int:
        """How much memory the models of all stages take, those that they share once."""
        ...

    def resized(self, size_px: int) -> Generator:
        """The same models, loaded as they are, for pictures of another size."""
        ...

    def gpu(self) -> str | None:
        """The model of the GPU that makes the pictures; None where the processor does."""
        ...

    def make(
        self, samples: Sequence[PlannedSample], given: Mapping[Stage, Pixels] | None = None
    ) -> Mapping[Stage, Pixels]:
        """Pictures of a batch for each stage: (batch, height, width, 3), uint8, or float in 0..1.

        Where sources are given, targets are made of them, and sources need not be made.
        Floats may hold what is no number: that sample has then failed.
        """
        ...
