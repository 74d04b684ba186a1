"""Samples that cannot be trained on, and the next ones that stand in for them.

Knows neither what a sample is nor where it lies: whoever reads says so, and which one comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

ReadT = TypeVar("ReadT")

# Samples in a row that will not do; then the disk is to blame, or the dataset.
_TRIED = 8


class Unusable(ValueError):
    """A sample that cannot be trained on; says which one and why."""

    def __init__(self, sample: str, why: str) -> None:
        # Both arguments, so that it passes from one process to another.
        super().__init__(sample, why)
        self.sample, self.why = sample, why

    def __str__(self) -> str:
        return f"{self.sample}: {self.why}"


def stood_in(
    read: Callable[[int], ReadT],
    left_out: list[tuple[str, str]],
    stops: Callable[[Unusable], bool],
) -> ReadT:
    """What is read of a sample, or of the next one that will do; the others go to `left_out`.

    `read` is told how many further on the sample is, from 0, so who stands in for whom follows from
    the sample alone. Unusable comes from one that `stops` the run, or from the eighth in a row.
    """
    for further in range(_TRIED):
        try:
            return read(further)
        except Unusable as error:
            if stops(error):
                raise
            left_out.append((error.sample, error.why))
    sample, why = left_out[-1]
    raise Unusable(sample, f"{why}, and so with {_TRIED - 1} before it")
