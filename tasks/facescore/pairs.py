"""The faces of pairs as the scorer sees them: of the good and of the bad picture in one place."""

from __future__ import annotations

import io
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from models.facescore.pixels import face_crop, shown
from schemas.audit import Box
from schemas.sample import Stage
from schemas.score_train import PairDataSettings
from schemas.seeds import stable_hash
from shards.reader import Reader
from tasks.training.pictures import loaded
from tasks.training.sampling import Order, Positions
from tasks.training.stand_ins import Unusable, stood_in

Picture = NDArray[np.uint8]
_SIDES: tuple[Stage, Stage] = ("good", "bad")
# Where a mask is white.
_WHITE = 128


@dataclass(frozen=True, slots=True)
class ScoreBatch:
    """Faces of a step, (N, 3, side, side), the seed of its dropouts, and who is stood in for."""

    good: Tensor
    bad: Tensor
    seed: int
    left_out: list[tuple[str, str]]


class ScorePairs:
    """The pairs of one split of a dataset, by position; only finished ones are there."""

    def __init__(self, dataset: Path, split: str, data: PairDataSettings, side_px: int) -> None:
        self.reader = Reader(dataset, split)
        self._data, self._side_px = data, side_px

    def __len__(self) -> int:
        return len(self.reader)

    def pair(self, position: int) -> tuple[Tensor, Tensor]:
        """The good and the bad face at a position; Unusable says why there is none."""
        good, bad = (self._picture(position, stage) for stage in _SIDES)
        if good.shape != bad.shape:
            raise self._unusable(position, "good and bad are of different sizes")
        if self._data.region == "mask":
            mask = self._picture(position, "mask")
            if mask.shape != good.shape:
                raise self._unusable(position, "the mask is of another size than its pictures")
            box = mask_box(mask)
            if box is None:
                raise self._unusable(position, "the mask shows no face")
            crops = [face_crop(one, box, self._data.margin_px) for one in (good, bad)]
            if crops[0] is None or crops[1] is None:
                raise self._unusable(position, "hardly any face is left inside the picture")
            good, bad = crops[0], crops[1]
        return shown(good, self._side_px), shown(bad, self._side_px)

    def _picture(self, position: int, stage: Stage) -> Picture:
        try:
            data = self.reader.read(position, stage, check=True)
            return np.array(Image.open(io.BytesIO(data)).convert("RGB"))
        except (ValueError, OSError) as error:
            raise self._unusable(position, f"the {stage} cannot be read: {error}") from None

    def _unusable(self, position: int, why: str) -> Unusable:
        return Unusable(str(self.reader.rows.column("id")[position].as_py()), why)


class ScoreBatches(Dataset["ScoreBatch | Unusable"]):
    """The batches of an epoch of one process, by (epoch, step)."""

    def __init__(
        self,
        pairs: ScorePairs,
        positions: Positions,
        order: Order,
        data: PairDataSettings,
        share: slice,
    ) -> None:
        self._pairs, self._positions, self._order = pairs, positions, order
        self._data, self._share = data, share

    def __getitem__(self, place: tuple[int, int]) -> ScoreBatch | Unusable:
        """The batch of (epoch, step), or why there is none: a loader would wrap what is raised."""
        left_out: list[tuple[str, str]] = []
        try:
            slots = self._order.batch(*place)[self._share]
            found = [self._pair(slot.source, left_out) for slot in slots]
        except Unusable as error:
            return error
        seed = stable_hash(self._order.seed, "dropout", *place, self._share.start)
        good, bad = (torch.stack(side) for side in zip(*found, strict=True))
        return ScoreBatch(good, bad, seed, left_out)

    def _pair(self, sample: int, left_out: list[tuple[str, str]]) -> tuple[Tensor, Tensor]:
        """The pair of a slot, or the next one that can be used."""

        def read(further: int) -> tuple[Tensor, Tensor]:
            place = (sample + further) % len(self._positions)
            return self._pairs.pair(int(self._positions[place]))

        return stood_in(read, left_out, lambda _: self._data.damaged == "stop")


def score_batches(
    pairs: ScoreBatches, order: Order, data: PairDataSettings, epochs: range, first_step: int
) -> Generator[ScoreBatch]:
    """The batches of some epochs, the first of them from a step on, read ahead by processes."""
    places = [(epoch, step) for epoch in epochs for step in range(order.num_steps)][first_step:]
    return loaded(pairs, places, data.loader_workers)


def mask_box(mask: Picture) -> Box | None:
    """The box around what is white in a mask; None where nothing is."""
    white = mask[..., 0] >= _WHITE
    rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
    if not len(rows):
        return None
    return Box(
        x=int(columns[0]),
        y=int(rows[0]),
        width=int(columns[-1] - columns[0]) + 1,
        height=int(rows[-1] - rows[0]) + 1,
    )
