"""Faces cut out of pictures and made into what the network sees, as the released code does it.

A crop's shorter side becomes 224 px by Pillow's bicubic, the middle square is taken, and CLIP's
mean and spread are taken off and divided by. What is left out is ImageReward's mean and spread of
scores.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from schemas.audit import Box

Picture = NDArray[np.uint8]
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_SPREAD = (0.26862954, 0.26130258, 0.27577711)
# A crop below this has no face that anybody could judge.
FEWEST_PX = 2


def face_crop(picture: Picture, box: Box, margin_px: int) -> Picture | None:
    """The face of a picture with a margin around its box; None where hardly any of it is inside.

    What lies outside is left off. The released code drops a face whose box leaves the picture on
    the left or above, as a negative start counts from the other end there.
    """
    height, width = picture.shape[:2]
    left, top = max(0, box.x - margin_px), max(0, box.y - margin_px)
    right = min(width, box.x + box.width + margin_px)
    bottom = min(height, box.y + box.height + margin_px)
    if box.width < 1 or box.height < 1 or min(right - left, bottom - top) < FEWEST_PX:
        return None
    # A copy: a view would keep the whole picture for as long as the crop waits for its batch.
    return picture[top:bottom, left:right].copy()


def shown(crop: Picture, side: int) -> Tensor:
    """A crop as the network sees it, (3, side, side)."""
    if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3 or not crop.size:
        raise ValueError(
            f"a face is {crop.dtype} of {crop.shape}; should be uint8 of (height, width, 3)"
        )
    height, width = crop.shape[:2]
    short, long = min(height, width), max(height, width)
    image = Image.fromarray(np.ascontiguousarray(crop))
    if short != side:
        further = int(side * long / short)
        size = (side, further) if width <= height else (further, side)
        image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = round((image.width - side) / 2), round((image.height - side) / 2)
    square = np.asarray(image.crop((left, top, left + side, top + side)))
    unit = torch.from_numpy(square.copy()).permute(2, 0, 1).float() / 255
    return (unit - torch.tensor(_MEAN).view(3, 1, 1)) / torch.tensor(_SPREAD).view(3, 1, 1)
