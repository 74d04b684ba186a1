"""Which picture a step of diffusion training sees, at which noise: by seed, epoch and place alone.

Nothing is drawn on the way, so a position in the data is two numbers, whoever asks. Knows neither
files nor torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from schemas.seeds import stable_fraction, stable_hash

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PhotoSlot:
    """One place in a batch: a picture, and everything that is drawn for it."""

    sample: int
    """its place among the pictures of the phase"""
    mirrored: bool
    without_text: bool
    timestep: int
    noise_seed: int
    latent_seed: int


@dataclass(frozen=True, slots=True)
class PhotoOrder:
    """The order of a phase's pictures over all of its epochs."""

    count: int
    """pictures of the phase"""
    batch_size: int
    """pictures per step, over all processes"""
    seed: int
    flip: bool
    text_dropout: float
    timesteps: int
    """T, the steps of the noise schedule; one of them is drawn for each picture"""

    @property
    def num_steps(self) -> int:
        """Steps of an epoch; what does not fill a last batch comes in another epoch."""
        return self.count // self.batch_size

    def batch(self, epoch: int, step: int) -> list[PhotoSlot]:
        """The slots of a step over all processes; epochs count through the whole run."""
        begin = step * self.batch_size
        order = _permutation(self.seed, epoch, self.count)
        return [
            self._slot(int(order[place]), epoch, place)
            for place in range(begin, begin + self.batch_size)
        ]

    def _slot(self, sample: int, epoch: int, place: int) -> PhotoSlot:
        def drawn(what: str) -> int:
            return stable_hash(self.seed, epoch, place, what)

        return PhotoSlot(
            sample=sample,
            mirrored=self.flip and drawn("mirror") % 2 == 0,
            without_text=stable_fraction(self.seed, epoch, place, "text") < self.text_dropout,
            timestep=drawn("timestep") % self.timesteps,
            noise_seed=drawn("noise"),
            latent_seed=drawn("latent"),
        )


def held_out_slots(count: int, seed: int, timesteps: int) -> list[PhotoSlot]:
    """The slots of held-out pictures, the same at every measurement; steps spread over all of T."""
    return [
        PhotoSlot(
            sample=sample,
            mirrored=False,
            without_text=False,
            # The middle of the picture's part of T: less chance than drawn ones in the mean.
            timestep=(2 * sample + 1) * timesteps // (2 * count),
            noise_seed=stable_hash(seed, "held out", sample, "noise"),
            latent_seed=stable_hash(seed, "held out", sample, "latent"),
        )
        for sample in range(count)
    ]


def portions(positions: Positions, size: int) -> Iterator[Positions]:
    """The pictures of each phase; the last one has what is left."""
    for begin in range(0, len(positions), size):
        yield positions[begin : begin + size]


def check_portions(sizes: Sequence[int], batch_size: int, where: str) -> None:
    """Raise a ValueError where a phase does not fill a step."""
    for number, size in enumerate(sizes, 1):
        if size < batch_size:
            raise ValueError(
                f"{where}: phase {number} has {size} pictures, which do not fill a step of "
                f"{batch_size}; correct data.images, data.phase_images or data.batch_size"
            )


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> Positions:
    chance = np.random.Generator(np.random.PCG64(stable_hash(seed, epoch, "order")))
    return chance.permutation(count)
