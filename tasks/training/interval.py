"""The steps since the last line of metrics.jsonl: their losses, and the pictures left out.

Losses stay where they were worked out until somebody asks, so that a GPU is not waited for at every
step. Part of the state, so that a continued run tells what an undisturbed one tells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


class Interval:
    """What one process has seen since the last line."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._waiting: list[Tensor] = []
        self._sums: dict[str, float] = {}
        self._steps = 0
        self.left_out: list[tuple[str, str]] = []

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Take the losses of a step in."""
        self._names = list(losses)
        self._waiting.append(torch.stack(list(losses.values())).detach())

    def read(self) -> Iterator[tuple[int, dict[str, float]]]:
        """The losses of the steps not read yet, each with how many steps came after it."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        for number, values in enumerate(torch.stack(waiting).tolist(), 1):
            losses = dict(zip(self._names, values, strict=True))
            yield len(waiting) - number, losses
            self._steps += 1
            for name, value in losses.items():
                self._sums[name] = self._sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """The mean of each loss over the steps that were read; then the next interval begins."""
        means = {name: value / self._steps for name, value in self._sums.items()}
        self._sums, self._steps = {}, 0
        return means

    def taken_left_out(self) -> list[tuple[str, str]]:
        """The samples left out and why, once."""
        taken, self.left_out = self.left_out, []
        return taken

    def state(self) -> dict[str, Any]:
        """What a continued run goes on from."""
        return {"sums": self._sums, "steps": self._steps}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from such a state."""
        self._sums, self._steps = dict(state["sums"]), int(state["steps"])


def diverged(losses: Mapping[str, float], max_gradient_norm: float) -> str | None:
    """The first loss that no further step comes back from, and its value."""
    for name, value in losses.items():
        too_steep = name.startswith("gradient") and value > max_gradient_norm
        if not math.isfinite(value) or too_steep:
            return f"{name} is {value:g}"
    return None
