"""Reads the pictures of diffusion training steps, whole, with their texts and their draws.

A step's pictures follow from its slots alone, so nothing depends on how many processes read. A
picture that cannot be read is replaced by the next of its phase and told, where settings allow it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from schemas.sample import Stage
from shards.reader import Reader
from tasks.lora.sampling import PhotoOrder, PhotoSlot, Positions
from tasks.training.stand_ins import Unusable, stood_in


@dataclass(frozen=True, slots=True)
class Photos:
    """Pictures of a dataset by position, each with its text; may travel to other processes."""

    reader: Reader
    stage: Stage
    positions: Positions
    texts: Sequence[str]
    """of each position, empty where there is none"""

    def __len__(self) -> int:
        return len(self.positions)

    def levels(self, sample: int) -> Tensor:
        """The picture (3, H, W) of a place among them; Unusable where it cannot be read."""
        try:
            data = self.reader.read(int(self.positions[sample]), self.stage, check=True)
            picture = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
        except (ValueError, OSError) as error:
            told = f"the {self.stage} cannot be read: {error}"
            raise Unusable(self.id(sample), told) from None
        return torch.from_numpy(picture).permute(2, 0, 1).contiguous()

    def id(self, sample: int) -> str:
        """Which sample it is."""
        return str(self.reader.rows.column("id")[int(self.positions[sample])].as_py())


@dataclass(frozen=True, slots=True)
class PhotoBatch:
    """A process's pictures of a step as levels (N, 3, H, W), or none where latents are kept."""

    place: tuple[int, int]
    """epoch and step"""
    slots: list[PhotoSlot]
    texts: list[str]
    levels: Tensor | None
    left_out: list[tuple[str, str]]


class PhotoBatches(Dataset["PhotoBatch | Unusable"]):
    """The batches of one process of a phase, by (epoch, step)."""

    def __init__(
        self,
        photos: Photos,
        order: PhotoOrder,
        share: slice,
        *,
        damaged: str,
        unreadable: Mapping[int, str] | None = None,
    ) -> None:
        """`share` is this process's of each batch; `damaged` is stop or skip.

        Where latents are kept no picture is read, and `unreadable` says which have none, and why.
        """
        self._photos, self._order, self._share = photos, order, share
        self._damaged, self._unreadable = damaged, unreadable

    def __getitem__(self, place: tuple[int, int]) -> PhotoBatch | Unusable:
        """The batch, or why there is none: returned, as a loader would wrap what is raised."""
        try:
            return self._batch(place)
        except Unusable as error:
            return error

    def _batch(self, place: tuple[int, int]) -> PhotoBatch:
        slots: list[PhotoSlot] = []
        levels: list[Tensor] = []
        left_out: list[tuple[str, str]] = []
        for slot in self._order.batch(*place)[self._share]:
            used, picture = self._picture(slot, left_out)
            slots.append(used)
            if picture is not None:
                levels.append(picture.flip(2) if used.mirrored else picture)
        texts = [self._photos.texts[slot.sample] for slot in slots]
        return PhotoBatch(place, slots, texts, torch.stack(levels) if levels else None, left_out)

    def _picture(
        self, slot: PhotoSlot, left_out: list[tuple[str, str]]
    ) -> tuple[PhotoSlot, Tensor | None]:
        """The slot's picture, or that of the next one which can be read."""

        def read(further: int) -> tuple[PhotoSlot, Tensor | None]:
            used = replace(slot, sample=(slot.sample + further) % len(self._photos))
            return used, self._levels(used.sample)

        return stood_in(read, left_out, lambda _: self._damaged == "stop")

    def _levels(self, sample: int) -> Tensor | None:
        if self._unreadable is None:
            return self._photos.levels(sample)
        if sample in self._unreadable:
            raise Unusable(self._photos.id(sample), self._unreadable[sample])
        return None


def the_only_stage(dataset: Path, there: Sequence[Stage], wanted: Stage | None) -> Stage:
    """The stage to learn; ValueError where the dataset has no such, or several to choose from."""
    if wanted is not None and wanted not in there:
        raise ValueError(
            f"{dataset}: has no pictures of stage {wanted}; set data.stage to one of {list(there)}"
        )
    if wanted is None and len(there) > 1:
        raise ValueError(
            f"{dataset}: has {', '.join(there)} of each sample; say which is learned, as data.stage"
        )
    return wanted or there[0]
