"""One unit of a gallery's work: the sheets, details and exact copies of some neighbouring rows.

Knows neither how many processes there are nor a progress bar. What a unit writes depends on its
rows alone, so the same dataset gives the same files however the units are shared out.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from PIL import Image

from schemas.sample import Stage
from shards import layout
from shards.encoding import sha256
from tasks.gallery.rows import (
    FOUND,
    LEFT_OUT_WHY,
    SELECTION,
    Gathered,
    found_column,
    truth_column,
)
from tasks.gallery.script import write_script
from tasks.gallery.shape import ROWS_PER_CHUNK, Shape

SHEETS, ROWS, PICTURES = "sheets", "rows", "pictures"
EXACT = "exact"
# Sheets of 64 px portraits: 0.21 bytes a pixel. Method 4 takes twice as long for 4 % less.
QUALITY, METHOD = 90, 2
_PAPER = (128, 128, 128)
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class ChunkConfig:
    """What every unit needs to know; small enough to be sent to a process."""

    dataset: Path
    gallery: Path
    rows: Path
    stages: tuple[Stage, ...]
    audited: tuple[Stage, ...]
    shape: Shape


@contextmanager
def staged_rows(folder: Path, gathered: Gathered, exact: np.ndarray) -> Iterator[Path]:
    """A file of the gathered rows that many processes can map; removed afterwards."""
    path = folder / "rows.arrow"
    table = gathered.rows.append_column(EXACT, pa.array(exact))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    try:
        yield path
    finally:
        path.unlink()


class ChunkWorker:
    """Makes units, one after another; opens the gathered rows once."""

    def __init__(self, config: ChunkConfig) -> None:
        """Map the rows' file; it is not read into memory."""
        self._config = config
        self._rows = pa.ipc.open_file(pa.memory_map(str(config.rows))).read_all()
        self._truth = [
            name.removeprefix(truth_column(""))
            for name in self._rows.schema.names
            if name.startswith(truth_column(""))
        ]

    def make(self, number: int) -> int:
        """Write all files of a unit; how many rows it has."""
        table = self._rows.slice(number * ROWS_PER_CHUNK, ROWS_PER_CHUNK)
        rows: list[dict[str, Any]] = table.to_pylist()
        shape, config = self._config.shape, self._config
        first_sheet = number * (ROWS_PER_CHUNK // shape.pairs_per_sheet)
        sheets = [
            rows[start : start + shape.pairs_per_sheet]
            for start in range(0, len(rows), shape.pairs_per_sheet)
        ]
        pictures = self._pictures(rows)
        for offset, part in enumerate(sheets):
            sheet = self._sheet(part, pictures)
            path = config.gallery / SHEETS / f"{first_sheet + offset:06d}.webp"
            sheet.save(path, "WEBP", quality=QUALITY, method=METHOD)
        write_script(config.gallery, f"{ROWS}/{number:06d}", self._details(rows))
        return len(rows)

    def _sheet(
        self, rows: Sequence[dict[str, Any]], pictures: Iterator[tuple[bytes, ...]]
    ) -> Image.Image:
        """Pictures of a sample beside each other, samples in rows of `sheet_columns`."""
        shape, px = self._config.shape, self._config.shape.picture_px
        lines = math.ceil(shape.pairs_per_sheet / shape.sheet_columns)
        size = (shape.sheet_columns * shape.num_stages * px, lines * px)
        sheet = Image.new("RGB", size, _PAPER)
        for place, row in enumerate(rows):
            line, column = divmod(place, shape.sheet_columns)
            for part, data in enumerate(next(pictures)):
                corner = ((column * shape.num_stages + part) * px, line * px)
                sheet.paste(_small(data, px), corner)
                if row[EXACT]:
                    name = layout.picture_member(row["id"], self._config.stages[part])
                    (self._config.gallery / PICTURES / name).write_bytes(data)
        return sheet

    def _pictures(self, rows: Sequence[dict[str, Any]]) -> Iterator[tuple[bytes, ...]]:
        """The PNGs of each row, compared with their sha256; none for one that failed."""
        with ExitStack() as stack:
            tars: dict[str, BinaryIO] = {}
            for row in rows:
                if row["status"] != "ok":
                    yield ()
                    continue
                shard = row["shard"]
                if shard not in tars:
                    path = layout.tar_path(self._config.dataset, shard)
                    tars[shard] = stack.enter_context(path.open("rb"))
                yield tuple(self._picture(tars[shard], row, s) for s in self._config.stages)

    def _picture(self, tar: BinaryIO, row: dict[str, Any], stage: Stage) -> bytes:
        data = os.pread(tar.fileno(), row[f"{stage}_bytes"], row[f"{stage}_offset"])
        if sha256(data) != row[f"{stage}_sha256"]:
            raise ValueError(
                f"{tar.name}: the {stage} of {row['id']} is not as published; "
                f"relume generate {self._config.dataset} --mend makes it anew"
            )
        return data

    def _details(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """What the page shows of each row, a list per column."""
        columns = ["id", "name", "nconst", "prompt", "shard", "index", "half", "reason", EXACT]
        for stage in self._config.stages:
            columns += [f"{stage}_{key}" for key in ("seed", "sha256", "offset", "bytes")]
        if SELECTION in self._rows.schema.names:
            columns += [SELECTION, LEFT_OUT_WHY]
        details: dict[str, Any] = {column: [row[column] for row in rows] for column in columns}
        for stage in self._config.audited:
            details[f"{stage}_found"] = [self._finding(row, stage) for row in rows]
        if self._truth:
            details["drawn"] = [
                {column: _short(row[truth_column(column)]) for column in self._truth}
                for row in rows
            ]
        return details

    def _finding(self, row: dict[str, Any], stage: Stage) -> dict[str, Any] | None:
        if row[found_column(stage, "status")] is None:
            return None
        return {column: _short(row[found_column(stage, column)]) for column in FOUND}


def _small(data: bytes, px: int) -> Image.Image:
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    if picture.width == px:
        return picture
    return picture.resize((px, px), Image.Resampling.LANCZOS)


def _short(value: Any) -> Any:
    """A number with as many digits as a person reads; NaN and the infinite are not known."""
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    return [_short(one) for one in value] if isinstance(value, list) else value
