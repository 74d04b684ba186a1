"""How pictures are brought to the size that a network looks at: each library's policy, exactly.

A Frechet distance depends on the policy more than on many heads, so it always stands beside one.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

Picture = NDArray[np.uint8]
# tf1: torch-fidelity's, and TensorFlow 1's: bilinear, without care for what is between the samples.
# torchmetrics: bilinear with antialiasing, its default. clean: Pillow's bicubic, clean-fid's.
ResizePolicy = Literal["tf1", "torchmetrics", "clean"]
POLICIES: tuple[ResizePolicy, ...] = get_args(ResizePolicy)


def resized(picture: Picture, policy: ResizePolicy, side_px: int) -> Tensor:
    """A picture (height, width, 3) of levels as (3, side, side) in 0..255, float32."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(
            f"picture of {picture.dtype} and shape {picture.shape}: should be uint8 of "
            "(height, width, 3)"
        )
    if policy == "clean":
        return _clean(picture, side_px)
    levels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float()
    if policy == "tf1":
        return _tf1(levels, side_px)
    if policy == "torchmetrics":
        made = functional.interpolate(
            levels[None], (side_px, side_px), mode="bilinear", align_corners=False, antialias=True
        )
        return made[0]
    raise ValueError(f"policy = {policy!r}: should be one of {', '.join(POLICIES)}")


def bicubic_levels(picture: Picture, height_px: int, width_px: int) -> Picture:
    """A picture resized by Pillow's bicubic filter to whole levels, as CLIP and DINOv2 expect."""
    if picture.shape[:2] == (height_px, width_px):
        return picture
    made = Image.fromarray(picture).resize((width_px, height_px), Image.Resampling.BICUBIC)
    return np.asarray(made)


def _clean(picture: Picture, side_px: int) -> Tensor:
    """Each channel by Pillow in float, cut to 0..255, never rounded."""
    channels = [
        np.asarray(
            Image.fromarray(picture[:, :, channel].astype(np.float32)).resize(
                (side_px, side_px), Image.Resampling.BICUBIC
            )
        ).clip(0, 255)
        for channel in range(3)
    ]
    return torch.from_numpy(np.stack(channels))


def _tf1(levels: Tensor, side_px: int) -> Tensor:
    rows = _between(levels.shape[1], side_px)
    columns = _between(levels.shape[2], side_px)
    return _mixed(_mixed(levels, *columns, dim=2), *rows, dim=1)


def _between(side: int, wanted: int) -> tuple[Tensor, Tensor, Tensor]:
    """The neighbours of each place, and how far it is from the first; corners lie at 0."""
    places = torch.arange(wanted, dtype=torch.float32) * torch.tensor(
        side / wanted, dtype=torch.float32
    )
    first = places.long()
    return first, (first + 1).clamp(max=side - 1), places - first.float()


def _mixed(levels: Tensor, first: Tensor, second: Tensor, share: Tensor, dim: int) -> Tensor:
    """Linear along one axis."""
    one, other = levels.index_select(dim, first), levels.index_select(dim, second)
    return one + (other - one) * share.view(-1, *(1,) * (levels.ndim - 1 - dim))
