"""What an epoch's head is worth: measured on validation, with nothing random in it.

Each process measures its share of the pairs; all know the result.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from metrics.closure import gap_closure
from metrics.ssim import ssim
from models.features.texture import TextureFeatures
from models.heads.blocks import HeadNetwork
from models.heads.enhancer import Enhancer, to_unit
from schemas.sample import Stage
from schemas.train import TrainConfig
from shards.reader import Reader
from tasks.heads.learners import CycleLearner, PairedLearner
from tasks.training.learner import Learner
from tasks.training.ranks import Ranks

Picture = NDArray[np.uint8]
# Pictures that go through the head at once.
_BATCH = 4


class Validation:
    """The pairs of validation, and what is measured on them."""

    def __init__(
        self, dataset: Path, config: TrainConfig, ranks: Ranks, device: torch.device
    ) -> None:
        self._reader = Reader(dataset, "validation")
        self._config, self._ranks, self._device = config, ranks, device
        count = min(config.validation.count, len(self._reader))
        if count < 2:
            raise ValueError(
                f"{dataset}: has {len(self._reader)} finished samples of validation; at least 2 "
                "are needed to tell one head from another"
            )
        # Spread over the whole split, the same ones at every epoch.
        self._positions = np.linspace(0, len(self._reader) - 1, count).astype(int).tolist()
        self._features = TextureFeatures().to(device)
        self._known: dict[Stage, NDArray[np.float64]] = {}

    def measure(self, learner: Learner, head: HeadNetwork) -> dict[str, float]:
        """The closure of the gap, what outputs keep of their sources, and what the objective adds.

        That is the loss of Eq. 1, or the full cycle's SSIM.

        All values are means over the pairs, but for the closure, which is of their features.
        """
        mine = self._positions[self._ranks.rank :: self._ranks.count]
        enhance = Enhancer(head, self._device)
        features, sums = [], dict[str, float]()
        for positions in _batches(mine):
            sources = [self._picture(position, "source") for position in positions]
            outputs = enhance(sources, _BATCH)
            features.append(self._features.of_levels(outputs))
            for source, output in zip(sources, outputs, strict=True):
                sums["ssim_source"] = sums.get("ssim_source", 0.0) + ssim(source, output)
            for name, value in self._of_objective(learner, head, positions, outputs):
                sums[name] = sums.get(name, 0.0) + value
        measured = self._means(sums)
        ours = self._gathered(np.concatenate(features) if features else np.zeros((0, 0)))
        closure = gap_closure(self._of_stage("source"), ours, self._of_stage("target"))
        return {"closure": closure, **measured}

    def grid(self, head: HeadNetwork) -> Picture:
        """A row per pair: source, output, target; always of the same pairs."""
        count = min(self._config.validation.grid, len(self._positions))
        positions = self._positions[:: max(len(self._positions) // count, 1)][:count]
        sources = [self._picture(position, "source") for position in positions]
        outputs = Enhancer(head, self._device)(sources, _BATCH)
        targets = [self._picture(position, "target") for position in positions]
        return np.concatenate(
            [np.concatenate(row, 1) for row in zip(sources, outputs, targets, strict=True)]
        )

    def _of_objective(
        self,
        learner: Learner,
        head: HeadNetwork,
        positions: Sequence[int],
        outputs: Sequence[Picture],
    ) -> Iterator[tuple[str, float]]:
        if isinstance(learner, PairedLearner):
            with torch.inference_mode():
                for position in positions:
                    source, target = (self._unit(position, s) for s in ("source", "target"))
                    losses = learner.losses(head, source, target)
                    yield "loss", float(losses["loss"])
        if isinstance(learner, CycleLearner):
            way_back = Enhancer(learner.way_back, self._device)
            for position, back in zip(positions, way_back(outputs, _BATCH), strict=True):
                yield "ssim_cycle", ssim(self._picture(position, "source"), back)

    def _means(self, sums: dict[str, float]) -> dict[str, float]:
        every = self._ranks.gathered(sums)
        names = sorted({name for one in every for name in one})
        count = len(self._positions)
        return {name: sum(one.get(name, 0.0) for one in every) / count for name in names}

    def _gathered(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = self._ranks.gathered(features)
        return np.concatenate([one for one in parts if len(one)])

    def _of_stage(self, stage: Stage) -> NDArray[np.float64]:
        if stage not in self._known:
            mine = self._positions[self._ranks.rank :: self._ranks.count]
            rows = [self._features.of_levels([self._picture(one, stage)]) for one in mine]
            self._known[stage] = self._gathered(np.concatenate(rows) if rows else np.zeros((0, 0)))
        return self._known[stage]

    def _picture(self, position: int, stage: Stage) -> Picture:
        data = self._reader.read(position, stage, check=True)
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def _unit(self, position: int, stage: Stage) -> Tensor:
        levels = torch.from_numpy(self._picture(position, stage).copy()).permute(2, 0, 1)[None]
        return to_unit(levels.to(self._device))


def _batches(positions: Sequence[int]) -> Iterator[Sequence[int]]:
    return (positions[begin : begin + _BATCH] for begin in range(0, len(positions), _BATCH))
