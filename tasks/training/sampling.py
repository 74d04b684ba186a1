"""Which pictures a training step sees: a function of seed, epoch and step alone.

Nothing is drawn on the way, so a position in the data is two numbers, whoever asks and however many
processes read ahead. Knows neither files nor torch.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.seeds import stable_hash
from schemas.train import Pairing

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in a batch: a source and a target by their positions, and the seeds of their crops.

    Both seeds are the same where the two pictures belong to one sample and have to stay aligned.
    """

    source: int
    target: int
    source_seed: int
    target_seed: int


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the pictures over all epochs of a phase."""

    sources: Positions
    targets: Positions
    pairing: Pairing
    seed: int
    batch_size: int
    """pictures of each side per step, over all processes"""

    @property
    def num_steps(self) -> int:
        """Steps of an epoch; what does not fill a last batch comes in another epoch."""
        return min(len(self.sources), len(self.targets)) // self.batch_size

    def batch(self, epoch: int, step: int) -> list[Slot]:
        """The slots of a step, over all processes."""
        begin = step * self.batch_size
        places = range(begin, begin + self.batch_size)
        sources = self.sources[_permutation(self.seed, epoch, "source", len(self.sources))[places]]
        # Pairs stay together, and their crops aligned.
        paired = self.pairing == "paired"
        side = "source" if paired else "target"
        everyone = self.sources if paired else self.targets
        targets = everyone[_permutation(self.seed, epoch, side, len(everyone))[places]]
        return [
            Slot(
                int(source),
                int(target),
                stable_hash(self.seed, "crop", "source", epoch, place),
                stable_hash(self.seed, "crop", side, epoch, place),
            )
            for place, source, target in zip(places, sources, targets, strict=True)
        ]


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, side: str, count: int) -> Positions:
    chance = np.random.Generator(np.random.PCG64(stable_hash(seed, "order", side, epoch)))
    return chance.permutation(count)


def make_order(
    samples: pa.Table, pairing: Pairing, seed: int, batch_size: int, where: str
) -> Order:
    """The order of samples (id, name); ValueError when they do not fill one batch."""
    everyone = np.arange(samples.num_rows, dtype=np.int64)
    sources = targets = everyone
    if pairing == "disjoint":
        # By the name: two portraits of one name are no strangers.
        first = np.array([_is_first_half(row) for row in samples.to_pylist()], dtype=bool)
        sources, targets = everyone[first], everyone[~first]
    order = Order(sources, targets, pairing, seed, batch_size)
    if not order.num_steps:
        raise ValueError(
            f"{where}: {min(len(sources), len(targets))} pictures of each side do not fill a batch "
            f"of {batch_size}; use a smaller batch_size, fewer processes or a larger fraction"
        )
    return order


def training_positions(
    ids: Sequence[str],
    plan: pa.Table,
    fraction: float | None,
    selection: Collection[str] | None,
) -> Positions:
    """Positions of the samples to train on, those of the draw's smaller fractions first.

    All of train without a fraction. `ids` are the finished samples of train, by position.
    """
    rank = dict(zip(plan["id"].to_pylist(), plan["train_rank"].to_pylist(), strict=True))
    limit = math.inf if fraction is None else fraction * plan.num_rows
    wanted = [
        (rank[one], position)
        for position, one in enumerate(ids)
        if rank[one] is not None and rank[one] < limit and (selection is None or one in selection)
    ]
    return np.array([position for _, position in sorted(wanted)], dtype=np.int64)


def _is_first_half(row: dict[str, str | None]) -> bool:
    subject = row["nconst"] or row["name"] or row["id"]
    assert subject is not None
    return stable_hash("half", subject) % 2 == 0
