"""A published picture as levels, checked against its row, for stages that look at every picture.

Training reads by position, through shards.reader; here a shard's own rows are at hand.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from schemas.sample import Stage
from shards import layout
from shards.encoding import sha256


class Undecodable(Exception):
    """The bytes are as published, and no picture; a finding about the sample, not an error."""


def published_picture(dataset: Path, row: Mapping[str, Any], stage: Stage) -> NDArray[np.uint8]:
    """The picture (height, width, 3) of a row; ValueError where its bytes are not as published."""
    return decoded(published_bytes(dataset, row, stage))


def published_bytes(dataset: Path, row: Mapping[str, Any], stage: Stage) -> bytes:
    """The PNG of a row's stage; ValueError where it is not as published."""
    path = layout.tar_path(dataset, row["shard"])
    with path.open("rb") as tar:
        tar.seek(row[f"{stage}_offset"])
        data = tar.read(row[f"{stage}_bytes"])
    if sha256(data) != row[f"{stage}_sha256"]:
        raise ValueError(
            f"{path}: the {stage} of {row['id']} is not as published; "
            f"relume generate {dataset} --mend makes it anew"
        )
    return data


def decoded(data: bytes) -> NDArray[np.uint8]:
    """The levels (height, width, 3) of a PNG; Undecodable where it is none."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise Undecodable(f"cannot be decoded: {error}") from None
