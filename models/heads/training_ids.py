"""What a head remembers of its training samples: a 64-bit hash of each id, not the ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TrainingIds:
    """The hashes, sorted and each once."""

    hashes: NDArray[np.int64]

    @classmethod
    def of(cls, ids: Iterable[str]) -> TrainingIds:
        """The hashes of these sample ids."""
        return cls(np.unique(np.fromiter((_hash(one) for one in ids), np.int64)))

    @property
    def sha256(self) -> str:
        """One number for all of them."""
        return hashlib.sha256(self.hashes.astype("<i8").tobytes()).hexdigest()

    def overlap(self, ids: Iterable[str]) -> list[str]:
        """Which of these ids were trained on; by chance one of 10^14 would be named wrongly."""
        known = set(self.hashes.tolist())
        return [one for one in ids if _hash(one) in known]

    def __len__(self) -> int:
        return len(self.hashes)


def _hash(one: str) -> int:
    return int.from_bytes(hashlib.sha256(one.encode()).digest()[:8], "little", signed=True)
