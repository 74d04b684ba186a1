"""Random access: from a manifest row to a picture's bytes by offset, with no scan of the tar."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.sample import Stage, stages_of
from shards import layout
from shards.encoding import read_parquet, sha256
from shards.manifest import read_manifest
from shards.plan import read_plan
from shards.run import read_planned

# A process may keep 1,024 files open by default; leave it most of them.
OPEN_TARS = 256


class Reader:
    """The finished samples of a dataset, by position or by id.

    May be pickled, for example into a DataLoader's workers: each opens the tars for itself.
    """

    def __init__(self, dataset: Path, split: str | None = None) -> None:
        """Open the manifest; `split` leaves the other splits out."""
        self._dataset = dataset
        table = read_manifest(dataset, stages_of(read_plan(dataset).schema))
        wanted = np.asarray(table.column("status")) == "ok"
        if split is not None:
            wanted &= np.asarray(table.column("split")) == split
        self.rows: pa.Table = table.filter(pa.array(wanted))
        self.stages = stages_of(self.rows.schema)
        shard = self.rows.column("shard").dictionary_encode().combine_chunks()
        self._shards: list[str] = shard.dictionary.to_pylist()
        self._shard = np.asarray(shard.indices)
        self._offset = {s: np.asarray(self.rows.column(f"{s}_offset")) for s in self.stages}
        self._bytes = {s: np.asarray(self.rows.column(f"{s}_bytes")) for s in self.stages}
        self._position: dict[str, int] | None = None
        self._open: OrderedDict[int, int] = OrderedDict()

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def read(self, position: int, stage: Stage, *, check: bool = False) -> bytes:
        """The PNG of a stage of the sample at a position; `check` compares its sha256."""
        length = int(self._bytes[stage][position])
        tar = self._tar(int(self._shard[position]))
        data = os.pread(tar, length, int(self._offset[stage][position]))
        if len(data) != length:
            raise ValueError(f"{self._where(position)}: ends within the {stage} of this sample")
        if check and sha256(data) != self.rows.column(f"{stage}_sha256")[position].as_py():
            raise ValueError(f"{self._where(position)}: the {stage}'s bytes are not as published")
        return data

    def row(self, position: int) -> dict[str, Any]:
        """Everything that is known about the sample at a position."""
        row: dict[str, Any] = self.rows.slice(position, 1).to_pylist()[0]
        return row

    def position(self, sample_id: str) -> int:
        """Where a sample is; KeyError when it is not here."""
        if self._position is None:
            ids: Sequence[str] = self.rows.column("id").to_pylist()
            self._position = {one: position for position, one in enumerate(ids)}
        return self._position[sample_id]

    def close(self) -> None:
        """Close the tars."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _tar(self, number: int) -> int:
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        if len(self._open) >= OPEN_TARS:
            os.close(self._open.popitem(last=False)[1])
        path = layout.tar_path(self._dataset, self._shards[number])
        self._open[number] = os.open(path, os.O_RDONLY)
        return self._open[number]

    def _where(self, position: int) -> str:
        tar = layout.tar_path(self._dataset, self._shards[int(self._shard[position])])
        return f"{tar}: {self.rows.column('id')[position].as_py()}"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": OrderedDict()}

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_sample(dataset: Path, sample_id: str) -> tuple[dict[str, Any], dict[Stage, bytes]]:
    """The row of a sample and its pictures, checked; needs its shard only, not the manifest."""
    _, plan = read_planned(dataset)
    planned = plan.filter(pc.equal(plan.column("id"), sample_id)).to_pylist()
    if not planned:
        raise ValueError(f"{dataset}: its plan has no sample {sample_id!r}")
    shard = planned[0]["shard"]
    if not layout.done_path(dataset, shard).exists():
        raise ValueError(f"{dataset}: {sample_id} is in {shard}, which is not made yet")
    rows = read_parquet(layout.rows_path(dataset, shard))
    row: dict[str, Any] = rows.slice(planned[0]["index"], 1).to_pylist()[0]
    pictures: dict[Stage, bytes] = {}
    if row["status"] == "ok":
        with layout.tar_path(dataset, shard).open("rb") as tar:
            for stage in stages_of(rows.schema):
                tar.seek(row[f"{stage}_offset"])
                pictures[stage] = tar.read(row[f"{stage}_bytes"])
                if sha256(pictures[stage]) != row[f"{stage}_sha256"]:
                    raise ValueError(f"{tar.name}: the {stage} of {sample_id} is damaged")
    return row, pictures
