"""What a process is told by whoever started it and others beside it, and what it answers.

The contract between a launcher and its work: the launcher knows processes, hosts and signals, the
work knows what it computes. Neither imports the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

Ending: TypeAlias = Literal["finished", "converged", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One process among those of a job, and where they meet."""

    rank: int
    count: int
    local_rank: int
    local_count: int
    host: str
    """a name or address by which the others reach this process"""
    meeting: Path
    """file on a disk that all see, in which the first says where to meet"""


class Work(Protocol):
    """What each process of a job does; it can be pickled, and loads nothing heavy by that."""

    def __call__(
        self, place: Place, stop: Callable[[], bool], saved: Callable[[int], None]
    ) -> Ending:
        """Work until the end, or until `stop` says so; tell `saved` how far a restart would be."""
        ...
