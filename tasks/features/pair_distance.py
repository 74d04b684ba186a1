"""How far a target looks from its source, by LPIPS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.audit import AuditSettings
from shards import filesystem

Picture = NDArray[np.uint8]


class PairDistance:
    """LPIPS with its published weights; torch is imported when it is loaded."""

    def __init__(self, settings: AuditSettings) -> None:
        assert settings.lpips is not None
        self._net, self._folder = settings.lpips, Path(settings.lpips_weights)

    def weights(self) -> dict[str, str]:
        """The checksum of each file; ValueError names one that is missing."""
        from models.features.lpips import FILES

        found = {}
        for file in FILES[self._net]:
            path = self._folder / file.path
            if not path.exists():
                raise ValueError(
                    f"{path}: is missing; get it with: relume fetch --lpips {self._net}"
                )
            found[file.path] = filesystem.file_facts(path).sha256
        return found

    def load(self) -> None:
        """Load the weights."""
        from models.features.lpips import load_lpips

        self._lpips = load_lpips(self._net, self._folder)

    def __call__(self, source: Picture, target: Picture) -> float:
        """The distance of two pictures of one size."""
        import torch

        from models.heads.enhancer import to_unit

        one, other = (
            to_unit(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None])
            for picture in (source, target)
        )
        with torch.inference_mode():
            return float(self._lpips(other, one))
