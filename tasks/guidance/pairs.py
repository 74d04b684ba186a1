"""Reads the face pairs of guidance steps, with their texts and what is drawn for them.

A step's pairs follow from its slots alone, so nothing depends on how many processes read.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from shards.reader import Reader
from tasks.lora.sampling import PhotoOrder, PhotoSlot, Positions
from tasks.training.stand_ins import Unusable, stood_in


@dataclass(frozen=True, slots=True)
class Pair:
    """Levels of both pictures (3, H, W), and where the face is (1, H, W), 0 or 1."""

    good: Tensor
    bad: Tensor
    mask: Tensor


class GuidePairs:
    """The finished pairs of a split of a dataset; may travel to other processes."""

    def __init__(self, dataset: Path, split: str, positions: Positions | None = None) -> None:
        self._reader = Reader(dataset, split)
        everyone = np.arange(len(self._reader), dtype=np.int64)
        self.positions = everyone if positions is None else positions
        prompts = self._reader.rows.column("prompt").to_pylist()
        self.texts: list[str] = [prompts[place] for place in self.positions]

    def __len__(self) -> int:
        return len(self.positions)

    def pair(self, sample: int) -> Pair:
        """The pair at a place among them; Unusable where it cannot be read."""
        good, bad, mask = (self._levels(sample, stage) for stage in ("good", "bad", "mask"))
        return Pair(_channels_first(good), _channels_first(bad), _mask(mask))

    def id(self, sample: int) -> str:
        """Which sample it is."""
        return str(self._reader.rows.column("id")[int(self.positions[sample])].as_py())

    def shards(self) -> list[str]:
        """The shards that they lie in."""
        column = self._reader.rows.column("shard")
        found: list[str] = column.take(np.sort(self.positions)).unique().to_pylist()
        return found

    def _levels(self, sample: int, stage: str) -> np.ndarray:
        try:
            position = int(self.positions[sample])
            data = self._reader.read(position, stage, check=True)  # type: ignore[arg-type]
            return np.array(Image.open(io.BytesIO(data)).convert("L" if stage == "mask" else "RGB"))
        except (ValueError, OSError) as error:
            raise Unusable(self.id(sample), f"the {stage} cannot be read: {error}") from None


@dataclass(frozen=True, slots=True)
class GuideBatch:
    """A process's pairs of a step: levels (N, 3, H, W) and masks (N, 1, H, W)."""

    slots: list[PhotoSlot]
    texts: list[str]
    good: Tensor
    bad: Tensor
    mask: Tensor
    left_out: list[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.slots)

    def pieces(self, size: int) -> list[GuideBatch]:
        """The same in pieces of so many pairs."""
        return [
            GuideBatch(
                self.slots[begin : begin + size],
                self.texts[begin : begin + size],
                self.good[begin : begin + size],
                self.bad[begin : begin + size],
                self.mask[begin : begin + size],
                [],
            )
            for begin in range(0, len(self), size)
        ]


class GuideBatches(Dataset["GuideBatch | Unusable"]):
    """The batches of one process, by (epoch, step)."""

    def __init__(self, pairs: GuidePairs, order: PhotoOrder, share: slice, *, damaged: str) -> None:
        """`share` is this process's of each batch; `damaged` is stop or skip."""
        self._pairs, self._order, self._share = pairs, order, share
        self._damaged = damaged

    def __getitem__(self, place: tuple[int, int]) -> GuideBatch | Unusable:
        """The batch, or why there is none: returned, as a loader would wrap what is raised."""
        left_out: list[tuple[str, str]] = []
        try:
            found = [self._read(one, left_out) for one in self._order.batch(*place)[self._share]]
        except Unusable as error:
            return error
        return stacked(self._pairs, found, left_out)

    def _read(self, slot: PhotoSlot, left_out: list[tuple[str, str]]) -> tuple[PhotoSlot, Pair]:
        """The slot's pair, or the next one that can be read."""

        def read(further: int) -> tuple[PhotoSlot, Pair]:
            used = replace(slot, sample=(slot.sample + further) % len(self._pairs))
            return used, self._pairs.pair(used.sample)

        return stood_in(read, left_out, lambda _: self._damaged == "stop")


def stacked(
    pairs: GuidePairs,
    found: Sequence[tuple[PhotoSlot, Pair]],
    left_out: list[tuple[str, str]],
) -> GuideBatch:
    """Some pairs as one batch."""
    slots = [slot for slot, _ in found]
    good, bad, mask = (
        torch.stack([getattr(pair, what) for _, pair in found]) for what in ("good", "bad", "mask")
    )
    return GuideBatch(slots, [pairs.texts[s.sample] for s in slots], good, bad, mask, left_out)


def _channels_first(levels: np.ndarray) -> Tensor:
    return torch.from_numpy(levels).permute(2, 0, 1).contiguous()


def _mask(levels: np.ndarray) -> Tensor:
    return torch.from_numpy((levels > 127).astype(np.uint8))[None]
