"""How much of the gap between sources and targets a head closes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metrics.frechet import frechet_distance


def gap_closure(
    sources: NDArray[np.floating], outputs: NDArray[np.floating], targets: NDArray[np.floating]
) -> float:
    """1 - FD(outputs, targets) / FD(sources, targets): 0 like the sources, 1 like the targets.

    Where there is hardly a gap, what two draws of targets would differ by stands below the line
    instead, so that noise divided by noise does not pass for a gain.

    Of one set of prompts, so that it ranks the epochs of a run; between heads the protocol of the
    evaluation counts, which corrects what this one does not.
    """
    gap = frechet_distance(sources, targets)
    closed = gap - frechet_distance(outputs, targets)
    scale = max(gap, _floor(targets))
    return closed / scale if scale > 0 else 0.0


def _floor(targets: NDArray[np.floating]) -> float:
    # Fewer than four have no halves that a covariance can be told of.
    half = len(targets) // 2
    if half < 2:
        return 0.0
    # Rows of one picture stand together, so the halves are of different pictures.
    # The bias falls with the count, so halves differ by twice what whole draws would.
    return frechet_distance(targets[:half], targets[half:]) / 2
