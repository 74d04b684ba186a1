"""Small pictures of samples for figures, read where they lie."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from schemas.sample import Stage
from shards.reader import Reader

Picture = NDArray[np.uint8]
Portrait = Callable[[str], Picture]


def portraits(reader: Reader, stage: Stage, size_px: int = 96) -> Portrait:
    """From a sample's id to its picture of a stage, (size_px, size_px, 3)."""

    def portrait(sample_id: str) -> Picture:
        png = reader.read(reader.position(sample_id), stage)
        with Image.open(io.BytesIO(png)) as picture:
            small = picture.convert("RGB").resize((size_px, size_px), Image.Resampling.LANCZOS)
            return np.asarray(small, dtype=np.uint8)

    return portrait
