"""How much of the gap between sources and targets a head closes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metrics.frechet import frechet_distance


def gap_closure(
    sources: NDArray[np.floating], outputs: NDArray[np.floating], targets: NDArray[np.floating]
) -> float:
    """1 - FD(outputs, targets) / FD(sources, targets): 0 like the sources, 1 like the targets.

    Of one set of prompts, so that it ranks the epochs of a run; between heads the protocol of the
    evaluation counts, which corrects what this one does not.
    """
    gap = frechet_distance(sources, targets)
    return 1 - frechet_distance(outputs, targets) / gap if gap > 0 else 0.0
