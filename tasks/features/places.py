"""Where the pictures of a look lie on this machine, how they are read, and what is done to them.

Nothing here is part of what a look is: the same look may be taken from another place.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from schemas.endings import CannotGoOn
from schemas.measure import ByHead, Look, Unchanged
from schemas.sample import Stage
from shards.encoding import sha256
from shards.reader import Reader
from tasks.features.beside import Pair
from tasks.published_pictures import Undecodable, published_picture

Picture = NDArray[np.uint8]
# Pictures and their samples' ids in, pictures out.
Changing = Callable[[list[Picture], list[str]], list[Picture]]
# What pictures of a folder may end with, besides the sample's id.
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True, slots=True)
class LookPlace:
    """A look, and where its pictures, its head and the pictures beside them are."""

    look: Look
    dataset: str
    beside: str
    folder: str | None = None
    head: str | None = None


def file_of(folder: Path, sample_id: str) -> Path | None:
    """The picture of a sample in a folder, named by its id."""
    found = (folder / f"{sample_id}{ending}" for ending in ENDINGS)
    return next((path for path in found if path.is_file()), None)


def read_picture(place: LookPlace, row: Mapping[str, Any]) -> tuple[Picture, str]:
    """The picture of a row of its shard, and the sha256 of its file; Undecodable if it is none."""
    stage = place.look.view.stage
    if place.folder is None:
        return published_picture(Path(place.dataset), row, stage), row[f"{stage}_sha256"]
    path = file_of(Path(place.folder), row["id"])
    if path is None:
        raise CannotGoOn(f"{place.folder}: the picture of {row['id']} is gone; put it back")
    return decoded(path.read_bytes()), sha256(path.read_bytes())


def decoded(data: bytes) -> Picture:
    """A picture of levels out of the bytes of a file; Undecodable where they are none."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if getattr(picture, "is_animated", False):
                raise Undecodable("is an animation; give one picture a sample")
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Undecodable(f"cannot be decoded: {error}") from None


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height by the head of a file; Undecodable where it tells none."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.size
    except Exception as error:  # of a dozen decoders, which have no base in common
        raise Undecodable(f"cannot be decoded: {error}") from None


class PairReader:
    """Sources and targets by the ids of samples; may be asked by several threads at once."""

    def __init__(self, dataset: Path) -> None:
        self._reader = Reader(dataset)
        self._one_at_a_time = threading.Lock()

    def __call__(self, sample_id: str) -> Pair:
        """Both pictures; KeyError where the dataset lacks the sample."""
        with self._one_at_a_time:
            position = self._reader.position(sample_id)

        def read(stage: Stage) -> Picture:
            with self._one_at_a_time:
                data = self._reader.read(position, stage, check=True)
            return decoded(data)

        return Pair(source=read("source"), target=read("target"))


def changing(place: LookPlace, device: str) -> Changing | None:
    """What changes the pictures; None where they stay as they are."""
    change = place.look.view.change
    if isinstance(change, Unchanged):
        return None
    if isinstance(change, ByHead):
        return _by_head(place, change, device)
    from models.straw_men import filtered

    filter_change = change

    def by_filter(pictures: list[Picture], ids: list[str]) -> list[Picture]:
        return [filtered(filter_change, *one) for one in zip(pictures, ids, strict=True)]

    return by_filter


def _by_head(place: LookPlace, change: ByHead, device: str) -> Changing:
    from models.heads.folder import read_config
    from models.heads.head import Head

    assert place.head is not None
    if read_config(Path(place.head)).weights_sha256 != change.weights_sha256:
        raise CannotGoOn(
            f"{place.head}: holds another head than when this began; the same command takes it"
        )
    head = Head.from_pretrained(place.head)

    def apply(pictures: list[Picture], ids: Sequence[str]) -> list[Picture]:
        del ids
        return head.apply(
            pictures, device=device, precision=change.precision, batch_size=len(pictures)
        )

    return apply
