"""A GPU's time without a GPU: pictures that come after as long as FLUX takes, and are then real."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.generators.generator import Pixels
from schemas.sample import PlannedSample, Stage
from tasks.generate_shard import GenerateConfig, GenerateShard

SOURCE_S, TARGET_S = 0.15, 1.3
SIZE_PX = 512


def prepared_pictures(count: int) -> npt.NDArray[np.uint8]:
    """Pictures that are as hard to encode as portraits: gradients with fine noise, 450 kB each."""
    chance = np.random.default_rng(0)
    ramp = np.linspace(40, 200, SIZE_PX)[:, None, None]
    noise = chance.normal(0, 12, (count, SIZE_PX, SIZE_PX, 3))
    return np.clip(ramp + noise, 0, 255).astype(np.uint8)


class TimedGpu:
    """Makes a batch in the time that a GPU would take."""

    def __init__(self) -> None:
        self._pictures = prepared_pictures(2)
        self.busy_s = 0.0

    def make(
        self, samples: Sequence[PlannedSample], given: Mapping[Stage, Pixels] | None = None
    ) -> Mapping[Stage, Pixels]:
        """Sleep for the batch, as one that waits for a GPU does."""
        return {"source": self.batch(len(samples), SOURCE_S), "target": self.targets(len(samples))}

    def targets(self, count: int) -> Pixels:
        """A batch of targets."""
        return self.batch(count, TARGET_S)

    def batch(self, count: int, each_s: float) -> Pixels:
        """A batch that takes so long for each picture."""
        begun = time.monotonic()
        time.sleep(count * each_s)
        self.busy_s += time.monotonic() - begun
        return np.resize(self._pictures, (count, SIZE_PX, SIZE_PX, 3))


class TimedShard(GenerateShard):
    """The worker that makes shards, with the time of a GPU in the place of the painter's."""

    def __init__(self, config: GenerateConfig) -> None:
        super().__init__(config)
        self.generator.make = TimedGpu().make  # type: ignore[method-assign]
