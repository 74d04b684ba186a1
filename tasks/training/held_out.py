"""Held-out samples that can be read, one after the other; the rest is counted and told.

Knows neither networks nor losses: a course says how a sample is read and what is measured on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from tasks.training.ranks import Ranks
from tasks.training.stand_ins import Unusable

ReadT = TypeVar("ReadT")


class HeldOut(Generic[ReadT]):
    """Some samples of a process, read when they are asked for."""

    def __init__(
        self, samples: Sequence[int], read: Callable[[int], ReadT], *, damaged: str
    ) -> None:
        """`read` raises Unusable where there is nothing; `damaged` is stop or skip."""
        self._samples, self._read, self._damaged = samples, read, damaged
        self.num_read = 0
        self.num_left_out = 0

    def __iter__(self) -> Iterator[tuple[int, ReadT]]:
        """Each sample that can be read, and what it is."""
        for sample in self._samples:
            try:
                found = self._read(sample)
            except Unusable:
                if self._damaged == "stop":
                    raise
                self.num_left_out += 1
                continue
            self.num_read += 1
            yield sample, found

    def batches(self, size: int) -> Iterator[list[tuple[int, ReadT]]]:
        """The same, so many at a time."""
        one_by_one = iter(self)
        while some := list(islice(one_by_one, size)):
            yield some

    def alarms(self, ranks: Ranks, what: str, dataset: Path) -> tuple[str, ...]:
        """What is to be told of all processes' samples after the last; ValueError when none is.

        `what` names them, as in "pairs of validation".
        """
        counts = ranks.gathered((self.num_read, self.num_left_out))
        read, left_out = (sum(side) for side in zip(*counts, strict=True))
        if not read:
            raise ValueError(
                f"{dataset}: none of {left_out} {what} can be read, so nothing can be measured; "
                "look at the disk, or make the dataset's damaged shards again"
            )
        if not left_out:
            return ()
        return (f"{left_out} of {read + left_out} {what} cannot be read, and were not measured",)
