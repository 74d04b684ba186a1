"""How a learning rate rises and falls over the steps of a run, or of a phase of it."""

from __future__ import annotations

import math
from typing import Literal

Fall = Literal["cosine", "constant"]


def warmed_up(highest: float, step: int, steps: int, *, warmup_steps: int, fall: Fall) -> float:
    """The rate of a step, from 0, of so many: a line up, then half a cosine down to 0, or flat."""
    if step < warmup_steps:
        return highest * (step + 1) / warmup_steps
    if fall == "constant":
        return highest
    share = min(1.0, (step - warmup_steps) / max(steps - warmup_steps, 1))
    return highest * (1 + math.cos(math.pi * share)) / 2
