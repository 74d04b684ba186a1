"""Making one shard of photographs: read from a folder, upright, in sRGB, square, at one size.

A file that cannot be used is a failed row. A file that is gone or changed since the plan fails the
lease: a disk that is not there for a while must not become rows for ever.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.heads.pictures import opaque_levels, opened, prepared_file
from schemas.config import DatasetConfig
from schemas.endings import CannotGoOn
from schemas.lease import Lease, StagedShard, Turn
from schemas.photo import FolderSettings, PlannedPhoto, Resampling
from schemas.run import FileIdentity, GeneratorRecord, ModelIdentity
from schemas.sample import PlannedSample, StageImage
from shards import layout
from shards.photo_files import read_as_planned, read_photos
from shards.provenance import code_version, library_versions, processor
from shards.staging import Picture, ShardStage
from tasks.generate_shard import encode_png, fault_of

Levels = NDArray[np.uint8]
_AHEAD = 8
_MOST_READERS = 4
_FILTERS: dict[Resampling, Image.Resampling] = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
}
REPLAN = "the same relume plan as before writes it again"


@dataclass(frozen=True, slots=True)
class PhotoConfig:
    """What a worker is told: where dataset and photographs lie, and what the dataset is."""

    dataset: str
    folder: str
    photos: FileIdentity
    config: DatasetConfig
    record: GeneratorRecord


def photo_making(
    config: DatasetConfig, plan_sha256: str, photos: FileIdentity | None
) -> GeneratorRecord:
    """generator.json of a dataset of photographs; which files they are stands for weights."""
    settings = config.generator
    assert isinstance(settings, FolderSettings)
    stage = config.stage["photo"]
    weights = {} if photos is None else {layout.PHOTOS: photos.sha256}
    model = ModelIdentity(model=stage.model, revision=stage.revision, weights=weights)
    return GeneratorRecord(
        plan_sha256=plan_sha256,
        truth=None,
        models={"photo": model},
        numerics={
            "upright": "exif",
            "colours": "srgb",
            "crop": "middle square",
            "resampling": settings.resampling,
            "smallest_px": smallest_px(config),
            "size_px": config.dataset.size_px,
        },
        code=code_version(),
        libraries=library_versions(),
        processor=processor(),
    )


def smallest_px(config: DatasetConfig) -> int:
    """The shorter side that a photograph has to have."""
    settings = config.generator
    assert isinstance(settings, FolderSettings)
    return config.dataset.size_px if settings.smallest_px is None else settings.smallest_px


class PhotoShard:
    """The worker that makes shards of photographs."""

    def __init__(self, config: PhotoConfig) -> None:
        self._dataset, self._folder = Path(config.dataset), Path(config.folder)
        self._config, self._record, self._identity = config.config, config.record, config.photos
        settings = config.config.generator
        assert isinstance(settings, FolderSettings)
        self._filter = _FILTERS[settings.resampling]
        self._photos: dict[str, PlannedPhoto] = {}

    def setup(self) -> dict[str, str]:
        """Read which files are meant; CannotGoOn where this node does not see their folder."""
        self._look_for_folder()
        self._photos = read_photos(self._dataset, self._identity, REPLAN)
        return {"code": code_version(), "processor": processor(), **library_versions()}

    def run(self, lease: Lease, turn: Turn) -> StagedShard:
        """Make and stage one shard."""
        begun = time.monotonic()
        self._look_for_folder()
        stage = self._config.stage["photo"]
        shared = StageImage(
            seed=0,
            model=stage.model,
            revision=stage.revision,
            steps=stage.steps,
            guidance=stage.guidance,
        )
        readers = max(1, min(_MOST_READERS, len(os.sched_getaffinity(0))))
        with (
            ThreadPoolExecutor(readers) as pool,
            ShardStage(
                self._dataset,
                lease,
                {"photo": shared},
                size_px=self._config.dataset.size_px,
                made_by=self._record.fingerprint(),
            ) as staged,
        ):
            with turn:
                for sample, made in self._made(pool, lease):
                    if isinstance(made, str):
                        staged.fail(sample, f"photo {made}")
                    else:
                        staged.add(sample, {"photo": made})
            return staged.finish(time.monotonic() - begun)

    def _look_for_folder(self) -> None:
        if not self._folder.is_dir():
            raise CannotGoOn(
                f"{socket.gethostname()} sees no folder {self._folder}; mount it there, or name "
                "with --pictures where the photographs lie"
            )

    def _made(
        self, pool: ThreadPoolExecutor, lease: Lease
    ) -> Iterator[tuple[PlannedSample, Picture | str]]:
        """Each sample with its picture, or why there is none; the next ones are read meanwhile."""
        begun = ((sample, pool.submit(self._picture, sample)) for sample in lease.samples)
        waiting: deque[tuple[PlannedSample, Future[Picture | str]]] = deque(islice(begun, _AHEAD))
        try:
            while waiting:
                sample, future = waiting.popleft()
                waiting.extend(islice(begun, 1))
                yield sample, future.result()
        finally:
            for _, future in waiting:
                future.cancel()

    def _picture(self, sample: PlannedSample) -> Picture | str:
        data = read_as_planned(self._folder, self._photos[sample.id])
        size_px = self._config.dataset.size_px
        try:
            levels = photo_levels(data, smallest_px(self._config), size_px, self._filter)
        except ValueError as error:
            return str(error).partition(";")[0]
        fault = fault_of(levels)
        return f"is {fault}" if fault else encode_png(levels)


def photo_levels(
    data: bytes, smallest_px: int, size_px: int, resampling: Image.Resampling
) -> Levels:
    """The bytes of a file as (size_px, size_px, 3) in sRGB; ValueError says why they cannot be."""
    with opened(data) as image:
        if min(image.size) < smallest_px:
            raise ValueError(f"is smaller than {smallest_px} px on its shorter side")
        levels = opaque_levels(prepared_file(image))
    return middle_square(levels, size_px, resampling)


def middle_square(levels: Levels, size_px: int, resampling: Image.Resampling) -> Levels:
    """The largest square in the middle of a picture, resized; an odd pixel goes from the end."""
    height, width = levels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = levels[top : top + side, left : left + side]
    if side == size_px:
        return np.ascontiguousarray(square)
    return np.asarray(Image.fromarray(square).resize((size_px, size_px), resampling))
