"""What looks at a picture beside its own source and target: pixels, LPIPS, spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.audit import AuditSettings
from schemas.measure import ONLY_TAP, PairsSettings
from tasks.features.beside import Beside


def lpips_of(settings: PairsSettings) -> Any:
    """The LPIPS that is asked for, not loaded yet."""
    from tasks.features.pair_distance import PairDistance

    return PairDistance(AuditSettings(lpips=settings.lpips, lpips_weights=settings.weights))


class PairedPixels:
    """SSIM and mean square error to source and target, and LPIPS where asked for."""

    def __init__(self, settings: PairsSettings) -> None:
        self._lpips = None if settings.lpips is None else lpips_of(settings)
        if self._lpips:
            self._lpips.load()

    def prepared(self, picture: NDArray[np.uint8], beside: Beside) -> Any:
        """SSIM and error to both, the picture and the pair; NaN of one of another size."""
        from metrics.ssim import ssim

        pair = beside.pair
        assert pair is not None, "pairs are asked for with their source and target"
        found: list[float] = []
        for other in (pair.source, pair.target):
            alike = other.shape == picture.shape
            error = np.square(picture.astype(np.float64) - other).mean() if alike else np.nan
            found += [ssim(picture, other) if alike else np.nan, float(error)]
        return found, picture, pair

    def features(self, shown: Sequence[Any]) -> Mapping[int, NDArray[np.floating]]:
        """The numbers of `PAIRS`, then of `PAIRS_LPIPS` (N, 4 or 6)."""
        rows = []
        for found, picture, pair in shown:
            more = []
            if self._lpips:
                for other in (pair.source, pair.target):
                    alike = other.shape == picture.shape
                    more.append(self._lpips(other, picture) if alike else np.nan)
            rows.append([*found, *more])
        return {ONLY_TAP: np.array(rows)}


class PairedDetail:
    """The net-like pattern that the source has not, and fine detail by octave."""

    def prepared(self, picture: NDArray[np.uint8], beside: Beside) -> Any:
        """The share of the pattern, and detail from the finest octave on."""
        from metrics.pattern import net_pattern
        from metrics.spectrum import detail

        pair = beside.pair
        assert pair is not None, "detail is asked for with its source and target"
        source = pair.source if pair.source.shape == picture.shape else None
        told = detail(picture)
        return [net_pattern(picture, source).share, told.finest, told.fine, told.middle]

    def features(self, shown: Sequence[Any]) -> Mapping[int, NDArray[np.floating]]:
        """The numbers of `DETAIL` (N, 4)."""
        return {ONLY_TAP: np.array(shown)}
