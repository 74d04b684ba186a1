"""What a sample has beside the picture of it that is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pair:
    """The source and the target of one sample."""

    source: Picture
    target: Picture


@dataclass(frozen=True, slots=True)
class Beside:
    """What a sample has beside the picture that is looked at: a prompt; a pair where asked for."""

    prompt: str
    pair: Pair | None = None
