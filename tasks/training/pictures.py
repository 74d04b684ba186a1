"""Reads, decodes, crops and mirrors the pictures of training steps, in processes of its own.

A step's pictures follow from its slots alone, so nothing depends on how many processes read. A
picture that cannot be read, or whose crop shows nothing, is replaced by another sample's and told.
"""

from __future__ import annotations

import io
import multiprocessing
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from schemas.sample import Stage
from schemas.seeds import stable_hash
from schemas.train import DataSettings, Phase
from shards.reader import Reader
from tasks.training.child_process import begin_reader, deaf_at_birth
from tasks.training.sampling import Order, Positions, Slot
from tasks.training.stand_ins import Unusable, stood_in

LoadedT = TypeVar("LoadedT")

# A crop in which no colour's levels span as much shows nothing: through instance norm it gives
# gradients of 10^24.
FLAT_LEVELS = 3
# No reader takes as long to start.
_START_S = 60.0
# Crops of one picture that are tried, before another picture is.
_CROPS = 4


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures of a step as levels, (N, 3, H, W), and whom others stand in for."""

    sources: Tensor
    targets: Tensor
    left_out: list[tuple[str, str]]


class TrainingPictures(Dataset["Batch | Unusable"]):
    """The batches of an epoch of one process, by step."""

    def __init__(
        self,
        dataset: Path,
        positions: Positions,
        order: Order,
        data: DataSettings,
        crop_px: int,
        share: slice,
    ) -> None:
        """`positions` are those of a Reader of train; `share` is this process's of each batch."""
        self._reader = Reader(dataset, "train")
        self._positions, self._order, self._share = positions, order, share
        self._data, self._crop_px = data, crop_px

    def __getitem__(self, place: tuple[int, int]) -> Batch | Unusable:
        """The batch of (epoch, step), or why there is none.

        It is returned and not raised, as a loader would wrap it in an error of its own.
        """
        try:
            return self._batch(place)
        except Unusable as error:
            return error

    def _batch(self, place: tuple[int, int]) -> Batch:
        sources: list[_Crop] = []
        targets: list[_Crop] = []
        left_out: list[tuple[str, str]] = []
        for slot in self._order.batch(*place)[self._share]:
            source, target = self._pair(slot, left_out)
            sources.append(source)
            targets.append(target)
        return Batch(_stacked(sources), _stacked(targets), left_out)

    def _pair(self, slot: Slot, left_out: list[tuple[str, str]]) -> tuple[_Crop, _Crop]:
        """The two pictures of a slot; where these will not do, of the next samples of each side."""

        def crops(further: int) -> tuple[_Crop, _Crop]:
            return self._crops(
                replace(
                    slot,
                    source=_further(self._order.sources, slot.source, further),
                    target=_further(self._order.targets, slot.target, further),
                )
            )

        damaged_stops = self._data.damaged == "stop"
        return stood_in(crops, left_out, lambda error: damaged_stops and error.why != _FLAT)

    def _crops(self, slot: Slot) -> tuple[_Crop, _Crop]:
        source = self._decoded(slot.source, "source")
        target = self._decoded(slot.target, "target")
        for attempt in range(_CROPS):
            of_source = self._crop(source, slot.source_seed, attempt)
            of_target = self._crop(target, slot.target_seed, attempt)
            if of_source is not None and of_target is not None:
                return of_source, of_target
        flat = slot.source if of_source is None else slot.target
        raise Unusable(self._id(flat), _FLAT)

    def _crop(self, picture: _Levels, seed: int, attempt: int) -> _Crop | None:
        """A crop as the seed says; nothing where it shows nothing."""
        chance = np.random.Generator(np.random.PCG64(stable_hash(seed, attempt)))
        height, width = picture.shape[:2]
        side_px = self._crop_px
        top, left = (int(chance.integers(0, long - side_px + 1)) for long in (height, width))
        crop = picture[top : top + side_px, left : left + side_px]
        if _is_flat(crop):
            return None
        return _Crop(crop, self._data.flip and chance.random() < 0.5)

    def _decoded(self, sample: int, stage: Stage) -> _Levels:
        try:
            data = self._reader.read(int(self._positions[sample]), stage, check=True)
            return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        except (ValueError, OSError) as error:
            raise Unusable(self._id(sample), f"the {stage} cannot be read: {error}") from None

    def _id(self, sample: int) -> str:
        return str(self._reader.rows.column("id")[int(self._positions[sample])].as_py())


_Levels = NDArray[np.uint8]


class _Crop(NamedTuple):
    """A part of a picture, (H, W, 3), still in the picture's memory."""

    levels: _Levels
    mirrored: bool


_FLAT = "shows nothing: it has one colour alone"


def batches(
    pictures: TrainingPictures, order: Order, data: DataSettings, epochs: range, first_step: int
) -> Generator[Batch]:
    """The batches of some epochs, the first of them from a step on; epochs follow without a gap."""
    places = [(epoch, step) for epoch in epochs for step in range(order.num_steps)][first_step:]
    return loaded(pictures, places, data.loader_workers)


def loaded(
    pictures: Dataset[LoadedT | Unusable], places: Sequence[tuple[int, int]], workers: int
) -> Generator[LoadedT]:
    """What a dataset has at these (epoch, step), in their order, read ahead by processes."""
    context = multiprocessing.get_context("spawn")
    begun = context.Semaphore(0)
    loader = DataLoader(
        pictures,
        batch_size=None,
        sampler=places,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=4 if workers else None,
        # It would draw a seed for its workers from the trainer's chance otherwise.
        generator=torch.Generator(),
        # A forked process would inherit the threads, handlers and locks of the trainer; one of a
        # forkserver would outlive it.
        multiprocessing_context=context if workers else None,
        worker_init_fn=partial(begin_reader, begun),
    )
    with deaf_at_birth():
        ready = iter(loader)
    try:
        for batch in ready:
            if isinstance(batch, Unusable):
                raise batch
            yield batch
    finally:
        # One that is still starting would not find what it is to read from.
        limit = time.monotonic() + _START_S
        for _ in range(workers):
            begun.acquire(timeout=max(limit - time.monotonic(), 0))


def _further(side: Positions, sample: int, by: int) -> int:
    """The sample that comes so much later on its side, which is in rising order."""
    place = int(np.searchsorted(side, sample))
    return int(side[(place + by) % len(side)])


def _is_flat(crop: _Levels) -> bool:
    """Whether no colour of a crop tells one place from another."""
    # A few places settle it for nearly every crop.
    return all(
        bool((np.ptp(places, axis=(0, 1)) < FLAT_LEVELS).all())
        for places in (crop[::16, ::16], crop)
    )


def crop_side_px(size_px: int, phase: Phase) -> int:
    """The side of a phase's crops; ValueError when the pictures are smaller."""
    if phase.crop_px is not None and phase.crop_px > size_px:
        raise ValueError(
            f"phase.crop_px = {phase.crop_px}: the dataset's pictures are {size_px} px; "
            "use smaller crops, or a dataset of larger pictures"
        )
    return phase.crop_px or size_px


def _stacked(crops: list[_Crop]) -> Tensor:
    shape = (len(crops), *crops[0].levels.shape)
    stacked = torch.empty(shape, dtype=torch.uint8)
    if get_worker_info() is not None:
        # Or it would be copied there once more.
        stacked.share_memory_()  # type: ignore[no-untyped-call]
    for place, crop in zip(stacked, crops, strict=True):
        place.numpy()[...] = crop.levels
        if crop.mirrored:
            # numpy would copy mirrored pixels ten times as slowly.
            place.copy_(place.flip(1))
    return stacked.permute(0, 3, 1, 2)
