"""The pictures that are captioned: the samples of a dataset by shards, or a folder by chunks."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.heads.pictures import opaque_levels, opened, prepared_file
from schemas.endings import CannotGoOn
from schemas.photo import PlannedPhoto
from schemas.run import FileIdentity
from schemas.sample import Stage
from shards import layout
from shards.encoding import read_parquet, sha256
from shards.photo_files import read_as_planned, read_photos
from tasks.published_pictures import Undecodable, published_picture

Levels = NDArray[np.uint8]
MEND = "take it from a backup, or begin anew in another --out"


@dataclass(frozen=True, slots=True)
class Pictured:
    """One picture, before it is read."""

    id: str
    path: str | None
    sha256: str | None
    told: Mapping[str, Any]


class CaptionInput(Protocol):
    """Where pictures come from."""

    def look(self) -> None:
        """CannotGoOn where this node does not see them."""
        ...

    def pictured(self, shard: str) -> list[Pictured]:
        """The pictures of a unit of work, in their order; failed samples have none."""
        ...

    def levels(self, one: Pictured) -> tuple[Levels, str]:
        """A picture and the sha256 of its bytes; Undecodable where these are none."""
        ...


class DatasetInput:
    """One stage of a dataset."""

    def __init__(self, dataset: Path, stage: Stage) -> None:
        self._dataset, self._stage = dataset, stage

    def look(self) -> None:
        """Its shards are looked for one by one."""

    def pictured(self, shard: str) -> list[Pictured]:
        """The samples of a shard that have a picture."""
        rows = read_parquet(layout.rows_path(self._dataset, shard)).to_pylist()
        made = [row for row in rows if row["status"] == "ok"]
        return [Pictured(row["id"], None, row[f"{self._stage}_sha256"], row) for row in made]

    def levels(self, one: Pictured) -> tuple[Levels, str]:
        """The published picture."""
        assert one.sha256 is not None
        return published_picture(self._dataset, one.told, self._stage), one.sha256


class FolderInput:
    """A folder of pictures, as it was when the captions were begun."""

    def __init__(self, folder: Path, root: Path, photos: FileIdentity, chunk: int) -> None:
        self._folder, self._root, self._identity, self._chunk = folder, root, photos, chunk
        self._photos: list[PlannedPhoto] | None = None

    def look(self) -> None:
        """The folder has to be there on this node too."""
        if not self._folder.is_dir():
            raise CannotGoOn(
                f"{socket.gethostname()} sees no folder {self._folder}; mount it there"
            )

    def pictured(self, shard: str) -> list[Pictured]:
        """The pictures of a chunk."""
        if self._photos is None:
            self._photos = list(read_photos(self._root, self._identity, MEND).values())
        start = chunk_names(len(self._photos), self._chunk).index(shard) * self._chunk
        chunk = self._photos[start : start + self._chunk]
        return [Pictured(one.id, one.path, None, {"photo": one}) for one in chunk]

    def levels(self, one: Pictured) -> tuple[Levels, str]:
        """The picture of a file: upright and in sRGB, whatever its shape."""
        self.look()  # a disk that is gone is no picture that is gone
        data = read_as_planned(self._folder, one.told["photo"])
        try:
            with opened(data) as image:
                return opaque_levels(prepared_file(image)), sha256(data)
        except ValueError as error:
            raise Undecodable(str(error).partition(";")[0]) from None


def chunk_names(count: int, chunk: int) -> Sequence[str]:
    """The units of work of a folder with so many pictures, as shards are named."""
    return [f"pictures/shard-{number:06d}" for number in range(-(-count // chunk))]
