"""A contact sheet: some samples of a dataset side by side, a row for each stage."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image

from schemas.sample import Stage
from shards.reader import Reader

SHEET_SAMPLES = 32
_CELL_PX = 256
_GAP_PX = 4
_PAPER = (250, 250, 248)


def contact_sheet(reader: Reader, positions: Sequence[int], columns: int = 8) -> Image.Image:
    """The pictures of these samples; under each source its target."""
    cell = min(_CELL_PX, _size_px(reader, positions[0]))
    bands = -(-len(positions) // columns)
    rows = len(reader.stages)
    width = min(columns, len(positions)) * (cell + _GAP_PX) + _GAP_PX
    band_height = rows * cell + 3 * _GAP_PX
    sheet = Image.new("RGB", (width, bands * band_height + _GAP_PX), _PAPER)
    for number, position in enumerate(positions):
        band, column = divmod(number, columns)
        for row, stage in enumerate(reader.stages):
            corner = (
                _GAP_PX + column * (cell + _GAP_PX),
                _GAP_PX + band * band_height + row * cell,
            )
            sheet.paste(_picture(reader, position, stage).resize((cell, cell)), corner)
    return sheet


def _picture(reader: Reader, position: int, stage: Stage) -> Image.Image:
    return Image.open(io.BytesIO(reader.read(position, stage)))


def _size_px(reader: Reader, position: int) -> int:
    return int(reader.row(position)["size_px"])
